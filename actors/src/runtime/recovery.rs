//! Brings an aggregate back: its newest readable snapshot, then the tail of its stream.

use crate::aggregate::Aggregate;
use crate::event::EventBody;
use crate::ids::{StreamId, Version};
use crate::metrics_catalogue as names;
use crate::ports::{Head, LoadedStream, StoreError};
use crate::time::Timestamp;

use super::Shared;
use super::supervision::contained;

pub(super) struct Recovered<A> {
    pub state: A,
    pub head: Head,
    pub snapshot_version: Version,
    pub recorded_at: Timestamp,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum RecoveryError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("version {version} can't be read: {reason}")]
    Unreadable { version: Version, reason: String },
    #[error("version {expected} is missing: the stream goes on at {found}")]
    Gap { expected: Version, found: Version },
    #[error("folding an event panicked")]
    Panic,
}

pub(super) async fn recover<A: Aggregate>(stream: StreamId, shared: &Shared) -> Result<Recovered<A>, RecoveryError> {
    let loaded = shared.streams.load(stream).await?;
    let (mut state, mut version) = from_snapshot::<A>(&loaded).unwrap_or_default();
    let snapshot_version = version;
    while version < loaded.head.version {
        let events = shared.streams.read(&loaded, version).await?;
        if events.is_empty() {
            return Err(RecoveryError::Gap { expected: version.next(), found: loaded.head.version });
        }
        let folded = contained(|| {
            for recorded in &events {
                if recorded.version != version.next() {
                    return Err(RecoveryError::Gap { expected: version.next(), found: recorded.version });
                }
                let event = recorded.event.as_ref().map_err(|error| RecoveryError::Unreadable {
                    version: recorded.version,
                    reason: error.to_string(),
                })?;
                let event = A::Event::from_event(event).ok_or_else(|| RecoveryError::Unreadable {
                    version: recorded.version,
                    reason: "it belongs to another aggregate type".to_owned(),
                })?;
                state.evolve(event, recorded.occurred_at);
                version = recorded.version;
            }
            Ok(())
        });
        folded.ok_or(RecoveryError::Panic)??;
    }
    Ok(Recovered { state, head: loaded.head, snapshot_version, recorded_at: loaded.last_recorded_at })
}

/// A snapshot of another format, or one that can't be read, is dropped: events have it all.
fn from_snapshot<A: Aggregate>(loaded: &LoadedStream) -> Option<(A, Version)> {
    let snapshot = loaded.snapshot.as_ref()?;
    let state = if snapshot.format == A::STATE_FORMAT {
        rmp_serde::from_slice(&snapshot.state).map_err(|error| error.to_string())
    } else {
        Err(format!("its format is {}, not {}", snapshot.format, A::STATE_FORMAT))
    };
    match state {
        Ok(state) => Some((state, snapshot.version)),
        Err(reason) => {
            tracing::warn!(stream = %loaded.stream, version = %snapshot.version, %reason, "a snapshot was dropped");
            metrics::counter!(names::SNAPSHOTS.name, "outcome" => "unreadable").increment(1);
            None
        }
    }
}
