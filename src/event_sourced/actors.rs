use std::sync::Arc;

use codeccloud_actors::ids::{BookingId, CustomerId, TenantId};
use codeccloud_actors::ports::{StoreError, StreamStore};
use codeccloud_actors::projections::appointment_summaries::AppointmentSummaries;
use codeccloud_actors::runtime::{Executed, ExecutionError, Published, Runtime, Submission};
use futures_util::future::BoxFuture;

use super::bookings::Bookings;
use crate::commands::Mode;

/// Aggregates kept by actors: they decide, and one append holds it all.
pub struct Actors {
    runtime: Runtime,
    bookings: Bookings,
}

impl Actors {
    pub fn new(runtime: Runtime, summaries: Published<AppointmentSummaries>, streams: Arc<dyn StreamStore>) -> Actors {
        Actors { runtime, bookings: Bookings { summaries, streams } }
    }
}

impl Mode for Actors {
    fn execute(&self, submission: Submission) -> BoxFuture<'_, Result<Executed, ExecutionError>> {
        Box::pin(self.runtime.execute(submission))
    }

    fn customer_of(
        &self,
        tenant_id: TenantId,
        booking_id: BookingId,
    ) -> BoxFuture<'_, Result<Option<CustomerId>, StoreError>> {
        Box::pin(async move {
            let booking = self.bookings.find(tenant_id, booking_id).await?;
            Ok(booking.and_then(|booking| booking.details.customer_id))
        })
    }
}
