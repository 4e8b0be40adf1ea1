//! A booking by its id, wherever it is kept.

use std::sync::Arc;

use codeccloud_actors::aggregate::Aggregate;
use codeccloud_actors::event::EventBody;
use codeccloud_actors::ids::{BookingId, StreamId, TenantId, Version};
use codeccloud_actors::ports::{StoreError, StreamStore};
use codeccloud_actors::projections::appointment_summaries::{AppointmentSummaries, Summary};
use codeccloud_actors::runtime::Published;
use codeccloud_actors::sagas::booking::{BookingEvent, BookingSaga};

use crate::ports::BookingView;

/// Recent ones from memory, the long tail from their streams.
#[derive(Clone)]
pub(super) struct Bookings {
    pub summaries: Published<AppointmentSummaries>,
    pub streams: Arc<dyn StreamStore>,
}

impl Bookings {
    pub async fn find(&self, tenant_id: TenantId, id: BookingId) -> Result<Option<BookingView>, StoreError> {
        if let Some(summary) = self.summaries.view().fold.model.booking(tenant_id, id) {
            return Ok(Some(view(id, summary)));
        }
        self.folded(tenant_id, id).await
    }

    async fn folded(&self, tenant_id: TenantId, id: BookingId) -> Result<Option<BookingView>, StoreError> {
        let stream = StreamId { tenant_id, aggregate_type: BookingSaga::TYPE, aggregate_id: id.0 };
        let loaded = self.streams.load(stream).await?;
        let mut saga = BookingSaga::default();
        let mut version = Version::NONE;
        while version < loaded.head.version {
            let events = self.streams.read(&loaded, version).await?;
            if events.is_empty() {
                return Err(StoreError(format!("{stream} ends at {version}, before its head")));
            }
            for recorded in &events {
                let event = recorded.event.as_ref().map_err(|error| StoreError(error.to_string()))?;
                if let Some(event) = BookingEvent::from_event(event) {
                    saga.evolve(event, recorded.occurred_at);
                }
                version = recorded.version;
            }
        }
        Ok(saga.details.map(|details| BookingView { id, version, details }))
    }
}

pub(super) fn view(id: BookingId, summary: &Summary) -> BookingView {
    BookingView { id, version: summary.version, details: summary.details.clone() }
}
