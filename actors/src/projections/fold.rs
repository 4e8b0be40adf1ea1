//! A projection with its checkpoint: what is saved, rebuilt and swapped as one.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::envelope::RecordedEvent;
use crate::ids::{Position, TenantId};
use crate::ports::{FeedCursor, ProjectionOrders, SavedProjection};

use super::{Applicable, NotApplicable, Projection};

#[derive(Debug, Clone, Default)]
pub struct Fold<P> {
    pub model: P,
    pub cursor: FeedCursor,
    pub events_applied: u64,
    /// Tenants at an event that can't be applied. Their later events are passed over until an operator has the projection
    /// folded anew; the reads of all others go on.
    pub stopped: BTreeMap<TenantId, Stopped>,
    /// The order that it was begun by.
    pub generation: u64,
    /// Events that operators have had passed over. A saved fold is past them.
    skipped: Arc<BTreeSet<Position>>,
    /// By tenant, `events_applied` as of the newest event. Since the start only: nobody remembers it longer.
    newest: imbl::HashMap<TenantId, u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopped {
    pub position: Position,
    pub reason: String,
}

impl<P: Projection> Fold<P> {
    /// At the very first event. What an event that failed has changed by then can't be taken back, so this is the only
    /// way to try one again, or to go on without it.
    pub fn anew(orders: ProjectionOrders) -> Fold<P> {
        Fold { generation: orders.generation, skipped: Arc::new(orders.skipped), ..Fold::default() }
    }

    /// Another number after each event of the tenant's, so that who shows a model sees without a look at it that nothing
    /// has changed.
    pub fn change_of(&self, tenant_id: TenantId) -> u64 {
        self.newest.get(&tenant_id).copied().unwrap_or_default()
    }

    /// Applies what this fold hasn't seen yet and moves its checkpoint. Returns the tenants that stopped here.
    pub fn apply(&mut self, events: &[RecordedEvent], cursor: FeedCursor) -> Vec<(TenantId, Stopped)> {
        let mut stopped = Vec::new();
        for recorded in events {
            if recorded.stream.aggregate_type != P::FOLDS || self.cursor.covers(recorded.place) {
                continue;
            }
            let tenant_id = recorded.stream.tenant_id;
            if self.stopped.contains_key(&tenant_id) || self.skipped.contains(&recorded.place.position) {
                continue;
            }
            self.events_applied += 1;
            self.newest.insert(tenant_id, self.events_applied);
            if let Err(NotApplicable(reason)) =
                Applicable::of(recorded).and_then(|event| contained(&mut self.model, &event))
            {
                let at = Stopped { position: recorded.place.position, reason };
                self.stopped.insert(tenant_id, at.clone());
                stopped.push((tenant_id, at));
            }
        }
        self.cursor = cursor;
        stopped
    }

    pub fn encode(&self) -> SavedProjection {
        let state =
            rmp_serde::to_vec(&(&self.model, &self.stopped)).expect("models hold nothing that MessagePack can't");
        SavedProjection {
            generation: self.generation,
            cursor: self.cursor,
            events_applied: self.events_applied,
            stopped: self.stopped.iter().map(|(tenant_id, at)| (*tenant_id, at.clone())).collect(),
            format: P::FORMAT,
            state: state.into(),
        }
    }

    /// A snapshot of another format is an error: the projection is then rebuilt from events.
    pub fn decode(saved: &SavedProjection) -> Result<Fold<P>, String> {
        if saved.format != P::FORMAT {
            return Err(format!("its format is {}, not {}", saved.format, P::FORMAT));
        }
        let (model, stopped) = rmp_serde::from_slice(&saved.state).map_err(|error| error.to_string())?;
        Ok(Fold {
            model,
            cursor: saved.cursor,
            events_applied: saved.events_applied,
            stopped,
            generation: saved.generation,
            skipped: Arc::default(),
            newest: imbl::HashMap::default(),
        })
    }
}

/// A panic stops what an error would stop: the event's tenant, whose part of the model nobody reads any more.
fn contained<P: Projection>(model: &mut P, event: &Applicable<'_>) -> Result<(), NotApplicable> {
    catch_unwind(AssertUnwindSafe(|| model.apply(event))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().copied().or(panic.downcast_ref::<String>().map(String::as_str));
        Err(NotApplicable(format!("the projection panicked: {}", text.unwrap_or("without a word"))))
    })
}
