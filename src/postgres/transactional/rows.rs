//! Rows as aggregates.

use codeccloud_actors::aggregates::loyalty_balance::LoyaltyBalance;
use codeccloud_actors::aggregates::staff_utilisation::{Buffers, Reservation};
use codeccloud_actors::aggregates::stock_item::StockItem;
use codeccloud_actors::ids::{BookingId, CustomerId, ProductId, ServiceId, StaffId, Version};
use codeccloud_actors::money::{Currency, Money};
use codeccloud_actors::sagas::booking::{BookingDetails, BookingStatus};
use codeccloud_actors::time::Slot;
use tokio_postgres::Row;

use crate::postgres::types::{JsonText, PgTime};

/// The columns of [`appointment`].
pub(super) const APPOINTMENT: &str = "id, customer_id, staff_id, service_id, status::text, slot_start, slot_end, price_cents, \
     currency, version, moved_at IS NOT NULL, reason_recorded, created_at, updated_at, buffer_before_minutes, \
     buffer_after_minutes";

/// Of tenant `$1`, starting in the millisecond `$2`, with the id `$3`: for whoever knows no more of it than was shown.
pub(super) const AT_PLACE: &str =
    "tenant_id = $1 AND slot_start >= $2 AND slot_start < $2 + interval '1 millisecond' AND id = $3";

pub(super) struct Appointment {
    pub id: BookingId,
    pub version: Version,
    pub details: BookingDetails,
    pub buffers: Buffers,
}

/// A row that can't be what it says, such as one in a currency that we don't know.
#[derive(Debug, thiserror::Error)]
#[error("appointment {id}: {reason}")]
pub(super) struct UnreadableRow {
    id: BookingId,
    reason: String,
}

pub(super) fn appointment(row: &Row) -> Result<Appointment, UnreadableRow> {
    let id = BookingId(row.get(0));
    let unreadable = |reason: String| UnreadableRow { id, reason };
    let (PgTime(start), PgTime(end), PgTime(created_at), PgTime(updated_at)) =
        (row.get(5), row.get(6), row.get(12), row.get(13));
    let status: &str = row.get(4);
    let currency: &str = row.get(8);
    let details = BookingDetails {
        status: status_of(status).ok_or_else(|| unreadable(format!("unknown status {status}")))?,
        staff_id: StaffId(row.get(2)),
        service_id: row.get::<_, Option<_>>(3).map(ServiceId),
        customer_id: row.get::<_, Option<_>>(1).map(CustomerId),
        slot: Slot::new(start, end).ok_or_else(|| unreadable("its slot is empty".to_owned()))?,
        price: Money {
            currency: Currency::parse(currency).ok_or_else(|| unreadable(format!("unknown currency {currency}")))?,
            amount: row.get::<_, i32>(7).into(),
        },
        moved: row.get(10),
        reason_recorded: row.get(11),
        created_at,
        updated_at,
    };
    let version = Version(unsigned(row.get(9)));
    let buffers = Buffers { before_minutes: unsigned(row.get(14)), after_minutes: unsigned(row.get(15)) };
    Ok(Appointment { id, version, details, buffers })
}

/// Of `app_private.busy_slots`; `None` for a slot that is empty, and so in nobody's way.
pub(super) fn reservation(row: &Row) -> Option<(StaffId, Reservation)> {
    let (PgTime(start), PgTime(end)) = (row.get(3), row.get(4));
    let reservation = Reservation {
        booking_id: BookingId(row.get(1)),
        service_id: row.get::<_, Option<_>>(2).map(ServiceId),
        slot: Slot::new(start, end)?,
        buffers: Buffers { before_minutes: unsigned(row.get(5)), after_minutes: unsigned(row.get(6)) },
    };
    Some((StaffId(row.get(0)), reservation))
}

/// Stock items of a tenant as they are known and as movements add up, each product that is asked for once.
pub(super) const STOCK: &str = "SELECT p.id, coalesce(i.version, 0), i.state, coalesce(s.quantity_on_hand, 0), \
     coalesce(s.quantity_reserved, 0) FROM unnest($2::uuid[]) AS p (id) \
     LEFT JOIN stock_items i ON i.tenant_id = $1 AND i.product_id = p.id \
     LEFT JOIN product_stock s ON s.tenant_id = $1 AND s.product_id = p.id";

/// From the columns of [`STOCK`]: with what other software has moved.
pub(super) fn stock_item(row: &Row) -> Result<(ProductId, Version, StockItem), serde_json::Error> {
    let known = row.get::<_, Option<JsonText<'_>>>(2).map(|JsonText(state)| serde_json::from_slice(state));
    let item: StockItem = known.transpose()?.unwrap_or_default();
    let (on_hand, reserved): (i32, i32) = (row.get(3), row.get(4));
    Ok((ProductId(row.get(0)), Version(unsigned(row.get(1))), item.with_sums(on_hand.into(), reserved.into())))
}

/// From the columns `version` and `state` of an account.
pub(super) fn balance(row: &Row) -> Result<(Version, LoyaltyBalance), serde_json::Error> {
    let JsonText(state) = row.get(1);
    Ok((Version(unsigned(row.get(0))), serde_json::from_slice(state)?))
}

fn status_of(name: &str) -> Option<BookingStatus> {
    if name == "draft" {
        return Some(BookingStatus::Pending);
    }
    BookingStatus::ALL.into_iter().filter(|status| *status != BookingStatus::Pending).find(|s| s.as_str() == name)
}

fn unsigned(value: i32) -> u32 {
    u32::try_from(value).unwrap_or(0)
}
