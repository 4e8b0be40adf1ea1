use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use codeccloud_actors::ports::SealedCustomer;
use tokio::sync::{Semaphore, oneshot};

use super::{CustomerRef, Unreachable, VaultStore};

/// More only means that less gets read together.
const READS_AT_ONCE: usize = 2;

type Loaded = Result<Arc<HashMap<CustomerRef, SealedCustomer>>, Unreachable>;

/// Reads customers for all callers that ask while earlier reads are under way in one statement: under load, looking up
/// each new customer alone would cost more than booking does.
///
/// There is no task: a caller that gets to read reads for all who wait. If it goes away in the middle, those ask again.
pub struct Loader {
    store: Arc<dyn VaultStore>,
    waiting: Mutex<Vec<Waiting>>,
    reads: Semaphore,
}

struct Waiting {
    customers: Vec<CustomerRef>,
    answer: oneshot::Sender<Loaded>,
}

impl Loader {
    pub fn new(store: Arc<dyn VaultStore>) -> Loader {
        Loader { store, waiting: Mutex::default(), reads: Semaphore::new(READS_AT_ONCE) }
    }

    /// The rows of these customers, and possibly of others.
    pub async fn load(&self, customers: &[CustomerRef]) -> Loaded {
        loop {
            // As many as there are requests under way, which the server bounds.
            let (answer, mut answered) = oneshot::channel();
            let waiting = Waiting { customers: customers.to_vec(), answer };
            self.waiting.lock().expect("nothing panics under this lock").push(waiting);
            let received = tokio::select! {
                biased;
                received = &mut answered => received,
                read = self.reads.acquire() => {
                    let _read = read.expect("the semaphore is never closed");
                    self.read_for_all().await;
                    answered.await
                }
            };
            if let Ok(loaded) = received {
                return loaded;
            }
        }
    }

    async fn read_for_all(&self) {
        let callers = std::mem::take(&mut *self.waiting.lock().expect("nothing panics under this lock"));
        let mut customers: Vec<CustomerRef> =
            callers.iter().flat_map(|caller| caller.customers.iter().copied()).collect();
        customers.sort_unstable_by_key(|customer| (customer.tenant_id, customer.customer_id));
        customers.dedup();
        if customers.is_empty() {
            return;
        }
        let loaded = self.store.load_customers(&customers).await;
        let loaded = loaded.map(|rows| Arc::new(HashMap::from_iter(rows)));
        for caller in callers {
            // One that has gone away doesn't mind.
            let _ = caller.answer.send(loaded.clone());
        }
    }
}
