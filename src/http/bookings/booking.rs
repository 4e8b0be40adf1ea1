use actix_web::http::StatusCode;
use bytes::Bytes;
use codeccloud_actors::answer::{Answer, StateView, Verdict};
use codeccloud_actors::ids::{BookingId, CustomerId, EventId, ServiceId, StaffId, TenantId};
use codeccloud_actors::money::Money;
use codeccloud_actors::sagas::booking::BookingStatus;
use codeccloud_actors::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ports::{BookingView, Note, Rendering};
use crate::vault::{CustomerProfile, NoteKind};

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Booking<'a> {
    pub id: BookingId,
    pub tenant_id: TenantId,
    pub service_id: Option<ServiceId>,
    pub staff_id: StaffId,
    pub customer: Option<BookedBy<'a>>,
    pub slot_start: Timestamp,
    pub slot_end: Timestamp,
    pub status: ApiStatus,
    pub price: Money,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// The booking's own id once it was rescheduled.
    pub rescheduled_from_id: Option<BookingId>,
    /// Null also while the database is away.
    pub cancellation_reason: Option<&'a str>,
}

/// All but the id is null once the customer was erased, and may be so while the database is away.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BookedBy<'a> {
    pub id: CustomerId,
    pub email: Option<&'a str>,
    pub phone: Option<&'a str>,
    pub first_name: Option<&'a str>,
    pub last_name: Option<&'a str>,
}

/// The answer to every change of a booking.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BookingChanged<'a> {
    pub booking: Booking<'a>,
    /// Opaque; known once the change is committed.
    pub outbox_event_id: EventId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApiStatus {
    Pending,
    Scheduled,
    /// Scheduled, and moved at least once.
    Rescheduled,
    Confirmed,
    CheckedIn,
    Completed,
    NoShow,
    Cancelled,
}

impl ApiStatus {
    pub fn new(status: BookingStatus, moved: bool) -> ApiStatus {
        match status {
            BookingStatus::Pending => ApiStatus::Pending,
            BookingStatus::Scheduled if moved => ApiStatus::Rescheduled,
            BookingStatus::Scheduled => ApiStatus::Scheduled,
            BookingStatus::Confirmed => ApiStatus::Confirmed,
            BookingStatus::CheckedIn => ApiStatus::CheckedIn,
            BookingStatus::Completed => ApiStatus::Completed,
            BookingStatus::NoShow => ApiStatus::NoShow,
            BookingStatus::Cancelled => ApiStatus::Cancelled,
        }
    }

    /// The life cycle's status, and whether the booking has been moved where that makes a difference.
    pub fn parts(self) -> (BookingStatus, Option<bool>) {
        match self {
            ApiStatus::Pending => (BookingStatus::Pending, None),
            ApiStatus::Scheduled => (BookingStatus::Scheduled, Some(false)),
            ApiStatus::Rescheduled => (BookingStatus::Scheduled, Some(true)),
            ApiStatus::Confirmed => (BookingStatus::Confirmed, None),
            ApiStatus::CheckedIn => (BookingStatus::CheckedIn, None),
            ApiStatus::Completed => (BookingStatus::Completed, None),
            ApiStatus::NoShow => (BookingStatus::NoShow, None),
            ApiStatus::Cancelled => (BookingStatus::Cancelled, None),
        }
    }
}

impl<'a> Booking<'a> {
    pub fn new(
        view: &BookingView,
        tenant_id: TenantId,
        customer: Option<&'a CustomerProfile>,
        cancellation_reason: Option<&'a str>,
    ) -> Booking<'a> {
        let details = &view.details;
        Booking {
            id: view.id,
            tenant_id,
            service_id: details.service_id,
            staff_id: details.staff_id,
            customer: details.customer_id.map(|id| BookedBy {
                id,
                email: customer.map(|customer| customer.email.as_str()),
                phone: customer.and_then(|customer| customer.phone.as_deref()),
                first_name: customer.map(|customer| customer.first_name.as_str()),
                last_name: customer.map(|customer| customer.last_name.as_str()),
            }),
            slot_start: details.slot.start,
            slot_end: details.slot.end,
            status: ApiStatus::new(details.status, details.moved),
            price: details.price,
            created_at: details.created_at,
            updated_at: details.updated_at,
            rescheduled_from_id: details.moved.then_some(view.id),
            cancellation_reason,
        }
    }
}

/// Text of spaces alone says nothing.
pub fn note(booking_id: BookingId, kind: NoteKind, text: Option<String>) -> Option<Note> {
    let text = text.filter(|text| !text.trim().is_empty())?;
    Some(Note { booking_id, kind, text })
}

/// Writes the answer to a change of this booking that was accepted.
pub fn changed(id: BookingId, status: StatusCode) -> impl Fn(&Rendering<'_>) -> Answer + Send + Sync + 'static {
    move |rendering| {
        let Verdict::Accepted { state: StateView::Booking(saga), version, event_id, .. } = rendering.verdict else {
            unreachable!("a booking's command is accepted by the booking");
        };
        let details = saga.details.clone().expect("an accepted command leaves a booking");
        let view = BookingView { id, version: *version, details };
        let booking = Booking::new(&view, rendering.tenant_id, rendering.customer, rendering.cancellation_reason);
        let body = serde_json::to_vec(&BookingChanged { booking, outbox_event_id: *event_id });
        let body = Bytes::from(body.expect("a booking holds nothing that JSON can't"));
        Answer { status: status.as_u16(), body, version: Some(*version) }
    }
}
