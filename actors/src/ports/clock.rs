use uuid::Uuid;

use crate::time::Timestamp;

/// What time it is. Injected, so that tests can move time.
pub trait Clock: Send + Sync + 'static {
    fn now(&self) -> Timestamp;
}

/// New ids, injected so that tests are repeatable. Ascending with time (UUID version 7): indexes stay dense.
pub trait Ids: Send + Sync + 'static {
    fn uuid(&self) -> Uuid;
}
