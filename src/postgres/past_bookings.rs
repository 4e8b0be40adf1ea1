use codeccloud_actors::ids::{BookingId, TenantId, Version};
use codeccloud_actors::ports::StoreError;
use codeccloud_actors::sagas::booking::BookingDetails;
use codeccloud_actors::time::Timestamp;
use futures_util::future::BoxFuture;
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

use super::types::JsonText;
use super::{ConnectionPool, away};
use crate::event_sourced::PastBookings;
use crate::ports::{BookingFilter, BookingOrder, BookingView};

/// The expressions of two indexes, of all bookings and of each customer's; the schema says why they differ.
const START: &str = "(state ->> 'slotStart') COLLATE \"C\"";
const START_OF_CUSTOMERS: &str = "(state #>> '{slotStart}') COLLATE \"C\"";

/// Lists bookings from the rows of their sagas.
pub struct PostgresPastBookings {
    pool: ConnectionPool,
}

impl PostgresPastBookings {
    /// `pool` is of readers.
    pub fn new(pool: ConnectionPool) -> PostgresPastBookings {
        PostgresPastBookings { pool }
    }

    async fn read(&self, tenant_id: TenantId, filter: BookingFilter) -> Result<Vec<BookingView>, StoreError> {
        let (direction, beyond) = match filter.order {
            BookingOrder::EarliestFirst => ("ASC", ">"),
            BookingOrder::LatestFirst => ("DESC", "<"),
        };
        let start = if filter.customer_id.is_some() { START_OF_CUSTOMERS } else { START };
        let sql = format!(
            "SELECT saga_id, version, state FROM saga_instances WHERE tenant_id = $1 AND saga_type = 'booking' \
             AND {start} >= $2 AND {start} < $3 AND ($4::text IS NULL OR ({start}, saga_id) {beyond} ($4, $5)) \
             AND ($6::text IS NULL OR state ->> 'staffId' = $6) AND ($7::uuid IS NULL OR (state ->> 'customerId')::uuid = $7) \
             AND (cardinality($8::text[]) = 0 OR status = ANY ($8)) \
             AND ($9::bool IS NULL OR (state ->> 'moved')::bool = $9) ORDER BY {start} {direction}, saga_id {direction} LIMIT $10"
        );
        let from = filter.from.unwrap_or(Timestamp::MIN).to_string();
        let to = filter.to.unwrap_or(Timestamp::MAX).to_string();
        let after = filter.after.map(|(at, _)| at.to_string());
        let after_id = filter.after.map(|(_, id)| id.0);
        let staff = filter.staff_id.map(|id| id.to_string());
        let customer = filter.customer_id.map(|id| id.0);
        let statuses: Vec<&str> = filter.statuses.iter().map(|status| status.as_str()).collect();
        let limit = i64::try_from(filter.limit).unwrap_or(i64::MAX);
        let params: [(&(dyn ToSql + Sync), Type); 10] = [
            (&tenant_id.0, Type::UUID),
            (&from, Type::TEXT),
            (&to, Type::TEXT),
            (&after, Type::TEXT),
            (&after_id, Type::UUID),
            (&staff, Type::TEXT),
            (&customer, Type::UUID),
            (&statuses, Type::TEXT_ARRAY),
            (&filter.moved, Type::BOOL),
            (&limit, Type::INT8),
        ];
        let client = self.pool.get().await.map_err(away)?;
        let rows = client.query_typed(&sql, &params).await.map_err(away)?;
        rows.iter().map(booking).collect()
    }

    async fn read_some(&self, tenant_id: TenantId, ids: &[BookingId]) -> Result<Vec<BookingView>, StoreError> {
        let sql = "SELECT saga_id, version, state FROM saga_instances \
                   WHERE tenant_id = $1 AND saga_type = 'booking' AND saga_id = ANY ($2)";
        let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        let client = self.pool.get().await.map_err(away)?;
        let params: [(&(dyn ToSql + Sync), Type); 2] = [(&tenant_id.0, Type::UUID), (&ids, Type::UUID_ARRAY)];
        client.query_typed(sql, &params).await.map_err(away)?.iter().map(booking).collect()
    }
}

impl PastBookings for PostgresPastBookings {
    fn list(&self, tenant_id: TenantId, filter: BookingFilter) -> BoxFuture<'_, Result<Vec<BookingView>, StoreError>> {
        Box::pin(self.read(tenant_id, filter))
    }

    fn some(&self, tenant_id: TenantId, ids: Vec<BookingId>) -> BoxFuture<'_, Result<Vec<BookingView>, StoreError>> {
        Box::pin(async move { self.read_some(tenant_id, &ids).await })
    }
}

fn booking(row: &Row) -> Result<BookingView, StoreError> {
    let JsonText(state) = row.get(2);
    Ok(BookingView {
        id: BookingId(row.get(0)),
        version: Version(u32::try_from(row.get::<_, i32>(1)).map_err(away)?),
        details: BookingDetails::read_saga_state(state).map_err(away)?,
    })
}
