//! What the settings say to each part of the house.

use std::time::Duration;

use codeccloud_actors::runtime::{ProjectionSettings, RuntimeSettings};

use super::StartError;
use crate::audit::{RetiredKey, SealKey, SealKeys};
use crate::http::Limits;
use crate::postgres::audit::SealerSettings;
use crate::postgres::{FeedSettings, JournalSettings};
use crate::settings::Settings;

pub fn sealer_settings(settings: &Settings) -> Result<SealerSettings, StartError> {
    let audit = &settings.audit;
    let missing = || StartError::Settings("audit.seal_key is missing".to_owned());
    let current = audit.seal_key.as_ref().ok_or_else(missing)?;
    let current = SealKey::new(audit.seal_key_id.clone(), current.expose());
    let previous = audit.previous_seal_keys.iter().map(|retired| RetiredKey {
        key: SealKey::new(retired.id.clone(), retired.key.expose()),
        last_seal: retired.last_seal,
    });
    let keys = SealKeys::new(current, previous.collect());
    let anchor = if audit.newest_seal_file.as_os_str().is_empty() {
        settings.data.dir.join("audit-seal.json")
    } else {
        audit.newest_seal_file.clone()
    };
    Ok(SealerSettings {
        keys: keys.map_err(|error| StartError::Settings(error.to_string()))?,
        every: Duration::from_secs(audit.seal_every_seconds),
        anchor,
    })
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, std::num::NonZero::get)
}

fn or_cores(configured: usize) -> usize {
    if configured == 0 { cores() } else { configured }
}

pub(super) fn limits(settings: &Settings) -> Limits {
    Limits {
        request: Duration::from_millis(settings.server.request_timeout_ms),
        shutdown: Duration::from_millis(settings.server.shutdown_timeout_ms),
        workers: or_cores(settings.server.workers),
        body_bytes: settings.server.body_limit_bytes,
    }
}

pub(super) fn runtime_settings(settings: &Settings) -> RuntimeSettings {
    let actors = &settings.actors;
    RuntimeSettings {
        arbiters: or_cores(actors.arbiters),
        mailbox_capacity: actors.mailbox_capacity,
        passivate_after: Duration::from_secs(actors.passivate_after_seconds),
        active_max: actors.active_max,
        snapshot_every: u32::try_from(actors.snapshot_every).unwrap_or(u32::MAX),
        conflict_retries: actors.conflict_retries,
        restart_backoff_min: Duration::from_millis(actors.restart_backoff_ms_min),
        restart_backoff_max: Duration::from_millis(actors.restart_backoff_ms_max),
    }
}

pub(super) fn journal_settings(settings: &Settings) -> JournalSettings {
    JournalSettings {
        lanes: settings.journal.lanes,
        queue_max: settings.journal.queue_max,
        batch_max: settings.journal.batch_max,
        reconnect_pause: Duration::from_millis(100),
    }
}

pub fn feed_settings(settings: &Settings) -> FeedSettings {
    FeedSettings {
        poll: Duration::from_millis(settings.feed.poll_ms),
        coalesce: Duration::from_millis(settings.feed.coalesce_ms),
        page_events: settings.feed.page_events,
        horizon_warn: Duration::from_secs(settings.feed.horizon_warn_seconds),
    }
}

pub(super) fn projection_settings(settings: &Settings) -> ProjectionSettings {
    ProjectionSettings {
        save_every: Duration::from_secs(settings.projections.save_every_seconds),
        save_every_events: settings.projections.save_every_events,
    }
}
