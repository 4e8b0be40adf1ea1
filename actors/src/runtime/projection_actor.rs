//! The actor that owns one projection: folds what the bus brings, publishes the result, and saves itself.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::fut::wrap_future;
use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, ResponseActFuture};
use tokio::sync::oneshot;
use tracing::Span;

use crate::envelope::RecordedEvent;
use crate::ids::TenantId;
use crate::metrics_catalogue as names;
use crate::ports::{FeedCursor, FeedPage, ProjectionStore, StoreError};
use crate::projections::{Fold, Projection, Stopped};
use crate::time::Timestamp;
use crate::trace::{self, ContinueTrace};

use super::freshness::Freshness;
use super::published::{Publisher, View};

/// Batches wait for a slow projection in the bus, not here: one being folded, one ready.
pub(super) const MAILBOX_CAPACITY: usize = 4;

const SAVE_CHECK_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug, Clone)]
pub struct ProjectionSettings {
    /// A save is due after this time, or after that many events, if there were any.
    pub save_every: Duration,
    pub save_every_events: u64,
}

pub(super) struct ProjectionActor<P: Projection> {
    pub fold: Fold<P>,
    /// Takes what the bus brings; one that is behind the bus catches up by itself first.
    pub follows: bool,
    /// Has caught up once, and shows its model since.
    pub live: bool,
    pub publisher: Publisher<P>,
    pub freshness: Arc<Freshness>,
    pub store: Arc<dyn ProjectionStore>,
    pub continue_trace: ContinueTrace,
    pub settings: ProjectionSettings,
    pub saved: Saved,
    /// Batches kept for the end of a rebuild, so that what is swapped in misses nothing.
    pub retained: Option<Vec<Batch>>,
    /// Built beside this one, and waiting for the bus to come as far as it has read.
    pub successor: Option<Adopt<P>>,
}

pub(super) struct Saved {
    pub at: Instant,
    /// Events of the feed since then, also those of others: a start reads again whatever the checkpoint isn't past.
    pub events_since: u64,
    pub under_way: bool,
}

/// A page of the feed.
#[derive(Clone, Message)]
#[rtype(result = "()")]
pub(super) struct Batch {
    pub events: Arc<[RecordedEvent]>,
    pub cursor: FeedCursor,
    pub caught_up: bool,
    pub read_at: Instant,
    pub waiting_since: Option<Timestamp>,
}

impl Batch {
    pub fn of(page: FeedPage, read_at: Instant) -> Batch {
        let FeedPage { events, cursor, caught_up, waiting_since } = page;
        Batch { events, cursor, caught_up, read_at, waiting_since }
    }
}

#[derive(Message)]
#[rtype(result = "Result<(), StoreError>")]
pub(super) struct Save;

/// From here on batches are kept for [`Adopt`].
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Retain;

/// The bus begins at this projection's checkpoint.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Follow;

/// Takes a fold that was built beside this one, up to the feed's end.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Adopt<P: Projection> {
    pub fold: Fold<P>,
    /// Told when the fold has taken this one's place.
    pub swapped: oneshot::Sender<()>,
}

impl<P: Projection> ProjectionActor<P> {
    fn take(&mut self, batch: &Batch, ctx: &mut Context<Self>) {
        if !self.follows {
            return;
        }
        let spans = self.continued_traces(batch);
        let stopped = self.fold.apply(&batch.events, batch.cursor);
        self.saved.events_since += batch.events.len() as u64;
        self.report(stopped, ctx);
        self.live |= batch.caught_up;
        // Nobody reads a model that is still catching up, and one that nobody holds is changed in place.
        if self.live {
            self.publish();
        }
        self.freshness.applied(batch.read_at, batch.waiting_since);
        drop(spans);
    }

    /// A span for each event that a trace goes with. While the projection catches up, events are history, and so are
    /// their traces.
    fn continued_traces(&self, batch: &Batch) -> Vec<Span> {
        if !self.live || !trace::is_wanted() {
            return Vec::new();
        }
        let ours = batch.events.iter().filter(|recorded| recorded.stream.aggregate_type == P::FOLDS);
        let traced = ours.filter_map(|recorded| {
            let traceparent = recorded.traceparent.as_deref()?;
            let span = trace::apply(P::NAME, recorded, batch.events.len());
            (self.continue_trace)(&span, traceparent);
            Some(span)
        });
        traced.collect()
    }

    fn publish(&self) {
        self.publisher.publish(View { fold: self.fold.clone(), live: self.live });
    }

    fn report(&self, stopped: Vec<(TenantId, Stopped)>, ctx: &mut Context<Self>) {
        metrics::counter!(names::PROJECTION_EVENTS.name, "projection" => P::NAME).absolute(self.fold.events_applied);
        #[allow(clippy::cast_precision_loss, reason = "a gauge")]
        metrics::gauge!(names::PROJECTION_TENANTS_STOPPED.name, "projection" => P::NAME)
            .set(self.fold.stopped.len() as f64);
        for (tenant_id, at) in stopped {
            tracing::error!(
                projection = P::NAME, %tenant_id, position = at.position.0, reason = %at.reason,
                "an event can't be applied: the tenant is stopped in this projection until an operator retries or skips it"
            );
            let store = Arc::clone(&self.store);
            ctx.spawn(wrap_future(async move {
                if let Err(error) = store.stop_tenant(P::NAME, tenant_id, at.position, &at.reason).await {
                    tracing::warn!(projection = P::NAME, %tenant_id, %error, "a stopped tenant could not be recorded");
                }
            }));
        }
    }

    /// A fold was read by windows of its own. Only when the bus has delivered all of them do both agree on what is still
    /// to come; swapped in earlier, it would be given events that it has already.
    fn swap_when_due(&mut self, ctx: &mut Context<Self>) {
        let Some(bus) = self.retained.as_ref().and_then(|batches| batches.last()).map(|batch| batch.cursor) else {
            return;
        };
        let reached = |adopt: &mut Adopt<P>| {
            let read = adopt.fold.cursor;
            bus.cluster_id == read.cluster_id && bus.low >= read.low
        };
        let Some(Adopt { fold, swapped }) = self.successor.take_if(reached) else { return };
        let read = fold.cursor;
        self.fold = fold;
        self.follows = true;
        self.live = true;
        // Also one that was given nothing to fold has read far.
        self.saved.events_since += self.fold.events_applied.max(1);
        for batch in self.retained.take().unwrap_or_default() {
            let stopped = self.fold.apply(&batch.events, read);
            self.report(stopped, ctx);
        }
        self.fold.cursor = bus;
        self.publish();
        // Nobody may be waiting for it any more.
        let _ = swapped.send(());
    }

    /// Encodes and writes beside the folding: the clone is a handful of pointers.
    fn save(&mut self) -> ResponseActFuture<Self, Result<(), StoreError>> {
        self.saved.under_way = true;
        let (fold, events) = (self.fold.clone(), self.saved.events_since);
        let store = Arc::clone(&self.store);
        let saving = async move {
            let encoded = tokio::task::spawn_blocking(move || fold.encode()).await;
            let encoded = encoded.map_err(|error| StoreError(error.to_string()))?;
            store.save(P::NAME, encoded).await
        };
        Box::pin(wrap_future(saving).map(move |result: Result<(), StoreError>, actor: &mut Self, _| {
            actor.saved.under_way = false;
            actor.saved.at = Instant::now();
            result.inspect(|()| actor.saved.events_since = actor.saved.events_since.saturating_sub(events))
        }))
    }

    fn save_when_due(&mut self, ctx: &mut Context<Self>) {
        let news = self.saved.events_since;
        let due = self.saved.at.elapsed() >= self.settings.save_every || news >= self.settings.save_every_events;
        if self.live && news > 0 && due && !self.saved.under_way {
            let saving = self.save();
            ctx.spawn(saving.map(|result, _, _| {
                if let Err(error) = result {
                    tracing::warn!(projection = P::NAME, %error, "the projection could not save itself; it tries again");
                }
            }));
        }
    }
}

impl<P: Projection> Actor for ProjectionActor<P> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX_CAPACITY);
        ctx.run_interval(SAVE_CHECK_EVERY, Self::save_when_due);
    }
}

impl<P: Projection> Handler<Batch> for ProjectionActor<P> {
    type Result = ();

    fn handle(&mut self, batch: Batch, ctx: &mut Self::Context) {
        self.take(&batch, ctx);
        if let Some(retained) = &mut self.retained {
            // The bus may deliver a page again, and one that moves nothing has no events.
            if retained.last().is_none_or(|last| last.cursor != batch.cursor) {
                retained.push(batch);
            }
        }
        self.swap_when_due(ctx);
    }
}

impl<P: Projection> Handler<Save> for ProjectionActor<P> {
    type Result = ResponseActFuture<Self, Result<(), StoreError>>;

    fn handle(&mut self, _: Save, _: &mut Self::Context) -> Self::Result {
        self.save()
    }
}

impl<P: Projection> Handler<Retain> for ProjectionActor<P> {
    type Result = ();

    fn handle(&mut self, _: Retain, _: &mut Self::Context) {
        self.retained = Some(Vec::new());
    }
}

impl<P: Projection> Handler<Follow> for ProjectionActor<P> {
    type Result = ();

    fn handle(&mut self, _: Follow, _: &mut Self::Context) {
        self.follows = true;
    }
}

impl<P: Projection> Handler<Adopt<P>> for ProjectionActor<P> {
    type Result = ();

    fn handle(&mut self, adopt: Adopt<P>, ctx: &mut Self::Context) {
        self.successor = Some(adopt);
        self.swap_when_due(ctx);
    }
}
