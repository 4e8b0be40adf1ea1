//! A list of bookings as a statement.

use codeccloud_actors::ids::{BookingId, TenantId};
use codeccloud_actors::time::Timestamp;
use tokio_postgres::types::{ToSql, Type};

use super::rows::{APPOINTMENT, AT_PLACE};
use crate::ports::{BookingFilter, BookingOrder};
use crate::postgres::row_writer::row_status;
use crate::postgres::types::PgTime;

pub(super) struct List {
    pub sql: String,
    arguments: Vec<(Box<dyn ToSql + Sync + Send>, Type)>,
}

impl List {
    /// Of one more booking than the filter wants, which tells whether there are more.
    ///
    /// Other software may write times with microseconds, which a page's last booking doesn't show: how far it was is looked
    /// up by its id. One that has moved since counts as it was shown.
    pub fn of(tenant_id: TenantId, filter: &BookingFilter) -> List {
        let mut list =
            List { sql: format!("SELECT {APPOINTMENT} FROM appointments WHERE tenant_id = "), arguments: Vec::new() };
        list.push(tenant_id.0, Type::UUID);
        let (mut from, mut to) = (filter.from.unwrap_or(Timestamp::MIN), filter.to.unwrap_or(Timestamp::MAX));
        let beyond = match filter.order {
            BookingOrder::EarliestFirst => ">",
            BookingOrder::LatestFirst => "<",
        };
        if let Some((at, id)) = filter.after {
            match filter.order {
                BookingOrder::EarliestFirst => from = from.max(at),
                BookingOrder::LatestFirst => to = to.min(at.plus_millis(1)),
            }
            list.beyond(beyond, at, id);
        }
        list.and("slot_start >= ", PgTime(from), Type::TIMESTAMPTZ);
        list.and("slot_start < ", PgTime(to), Type::TIMESTAMPTZ);
        if let Some(staff_id) = filter.staff_id {
            list.and("staff_id = ", staff_id.0, Type::UUID);
        }
        if let Some(customer_id) = filter.customer_id {
            list.and("customer_id = ", customer_id.0, Type::UUID);
        }
        if !filter.statuses.is_empty() {
            let statuses: Vec<&'static str> = filter.statuses.iter().copied().map(row_status).collect();
            list.and("status::text = ANY (", statuses, Type::TEXT_ARRAY);
            list.sql.push(')');
        }
        if let Some(moved) = filter.moved {
            list.sql.push_str(if moved { " AND moved_at IS NOT NULL" } else { " AND moved_at IS NULL" });
        }
        list.sql.push_str(match filter.order {
            BookingOrder::EarliestFirst => " ORDER BY slot_start, id LIMIT ",
            BookingOrder::LatestFirst => " ORDER BY slot_start DESC, id DESC LIMIT ",
        });
        list.push(i64::try_from(filter.limit + 1).unwrap_or(i64::MAX), Type::INT8);
        list
    }

    pub fn arguments(&self) -> Vec<(&(dyn ToSql + Sync), Type)> {
        self.arguments.iter().map(|(value, kind)| (&**value as &(dyn ToSql + Sync), kind.clone())).collect()
    }

    /// Behind the last booking of the page before, in the order of the list.
    fn beyond(&mut self, beyond: &str, at: Timestamp, id: BookingId) {
        self.sql.push_str(&format!(
            " AND (slot_start, id) {beyond} (coalesce((SELECT slot_start FROM appointments WHERE {AT_PLACE}), $2), $3)"
        ));
        self.arguments.push((Box::new(PgTime(at)), Type::TIMESTAMPTZ));
        self.arguments.push((Box::new(id.0), Type::UUID));
    }

    fn and(&mut self, condition: &str, value: impl ToSql + Sync + Send + 'static, kind: Type) {
        self.sql.push_str(" AND ");
        self.sql.push_str(condition);
        self.push(value, kind);
    }

    fn push(&mut self, value: impl ToSql + Sync + Send + 'static, kind: Type) {
        self.arguments.push((Box::new(value), kind));
        self.sql.push_str(&format!("${}", self.arguments.len()));
    }
}
