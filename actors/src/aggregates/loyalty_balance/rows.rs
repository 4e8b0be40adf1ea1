use crate::event::EventBody;
use crate::ids::{BookingId, CustomerId, EventId, Version};
use crate::rows::{Account, Decided, LedgerEntry, RowChange};
use crate::time::Timestamp;
use uuid::Uuid;

use super::{LoyaltyBalance, LoyaltyBalanceEvent};

/// An entry for each event; the last one says what is left.
pub(super) fn changes(balance: &LoyaltyBalance, decided: &Decided<'_, LoyaltyBalanceEvent>) -> Vec<RowChange> {
    let customer_id = CustomerId(decided.aggregate_id);
    let last = decided.events.len().saturating_sub(1);
    let numbered = decided.events.iter().enumerate();
    let entries = numbered.map(|(nth, (event_id, event))| {
        let version = decided.before.plus(nth + 1);
        let entry = entry(customer_id, version, *event_id, event, decided.occurred_at);
        LedgerEntry { account: (nth == last).then(|| account(balance)), ..entry }
    });
    entries.map(RowChange::Ledger).collect()
}

fn entry(
    customer_id: CustomerId,
    version: Version,
    event_id: EventId,
    event: &LoyaltyBalanceEvent,
    occurred_at: Timestamp,
) -> LedgerEntry {
    let (points, booking_id, reference_id, expires_at): (i64, Option<BookingId>, Option<Uuid>, Option<Timestamp>) =
        match event {
            LoyaltyBalanceEvent::Accrued(e) => (e.points.into(), Some(e.booking_id), None, e.expires_at),
            LoyaltyBalanceEvent::Redeemed(e) => (-i64::from(e.points), None, Some(e.redemption_id), None),
            LoyaltyBalanceEvent::Adjusted(e) => (e.points.into(), None, Some(e.adjustment_id), e.expires_at),
            LoyaltyBalanceEvent::Reversed(e) => (-i64::from(e.points), Some(e.booking_id), None, None),
            LoyaltyBalanceEvent::Expired(e) => (-i64::from(e.points), None, None, Some(e.expired_until)),
        };
    let kind = event.event_type();
    LedgerEntry {
        customer_id,
        version,
        event_id,
        kind,
        points,
        booking_id,
        reference_id,
        expires_at,
        occurred_at,
        account: None,
    }
}

fn account(balance: &LoyaltyBalance) -> Account {
    let state = serde_json::to_string(balance).expect("balances hold nothing that JSON can't");
    Account { balance: balance.points(), state }
}
