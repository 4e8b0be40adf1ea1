//! Where appointments are. A row's month is part of its key, and a command names the booking only.

use std::sync::{Mutex, MutexGuard, PoisonError};

use codeccloud_actors::ids::{BookingId, CustomerId, TenantId};
use codeccloud_actors::ports::StoreError;
use tokio_postgres::types::Type;

use crate::generations::Generations;
use crate::postgres::types::PgMicros;
use crate::postgres::{ConnectionPool, away};

/// Bookings that are changed soon after they were looked at.
const KEPT_MAX: usize = 20_000;

const FIND: &str = "SELECT slot_start, customer_id FROM app_private.find_appointment($1, $2)";

pub(super) struct Places {
    readers: ConnectionPool,
    seen: Mutex<Generations<(TenantId, BookingId), Place>>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// To the microsecond, since other software may write such.
    pub slot_start: PgMicros,
    pub customer_id: Option<CustomerId>,
}

impl Places {
    pub fn new(readers: ConnectionPool) -> Places {
        Places { readers, seen: Mutex::new(Generations::new(KEPT_MAX)) }
    }

    /// Where it was last seen; it may have moved since.
    pub async fn seen(&self, tenant_id: TenantId, id: BookingId) -> Result<Option<Place>, StoreError> {
        let known = self.lock().get(&(tenant_id, id));
        match known {
            Some(place) => Ok(Some(place)),
            None => self.find(tenant_id, id).await,
        }
    }

    /// Where it is now. Looks into every month.
    pub async fn find(&self, tenant_id: TenantId, id: BookingId) -> Result<Option<Place>, StoreError> {
        let reader = self.readers.get().await.map_err(away)?;
        let parameters = [(&tenant_id.0 as _, Type::UUID), (&id.0 as _, Type::UUID)];
        let rows = reader.query_prepared(FIND, &parameters).await.map_err(away)?;
        let Some(row) = rows.first() else {
            self.lock().remove(&(tenant_id, id));
            return Ok(None);
        };
        let place = Place { slot_start: row.get(0), customer_id: row.get::<_, Option<_>>(1).map(CustomerId) };
        self.note(tenant_id, id, place);
        Ok(Some(place))
    }

    pub fn note(&self, tenant_id: TenantId, id: BookingId, place: Place) {
        let dropped = self.lock().insert((tenant_id, id), place);
        drop(dropped);
    }

    fn lock(&self) -> MutexGuard<'_, Generations<(TenantId, BookingId), Place>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
