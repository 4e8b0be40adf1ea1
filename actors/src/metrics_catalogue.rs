//! All metrics that the server has, with kind, unit, labels and help text, in the order in which operators ask for them.
//!
//! It lives in the core, because the core emits many of them. To add one: a constant here and its line in [`ALL`]; emit it
//! by name, such as `metrics::counter!(COMMANDS.name, "aggregate_type" => …, "outcome" => …)`, with the labels in
//! the order given here. Labels never hold personal data, nor ids of tenants or aggregates: their number has no bound.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

#[derive(Debug, Clone, Copy)]
pub struct Metric {
    pub name: &'static str,
    pub kind: Kind,
    pub unit: Unit,
    pub labels: &'static [&'static str],
    pub help: &'static str,
}

#[derive(Debug, Clone, Copy)]
pub enum Kind {
    Counter,
    Gauge,
    /// The upper bounds of its buckets, in the metric's unit.
    Histogram(&'static [f64]),
}

/// From a hit in memory to the longest wait that a request is allowed.
const LATENCIES: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Up to the largest batch of the defaults.
const SIZES: &[f64] = &[0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];

pub const ALL: &[Metric] = &[
    HTTP_REQUESTS,
    HTTP_DURATION,
    IDEMPOTENT_REPLAYS,
    SSE_SUBSCRIBERS,
    COMMANDS,
    COMMAND_DURATION,
    MAILBOX_DEPTH,
    ACTORS_ACTIVE,
    ACTOR_RESTARTS,
    ACTOR_PASSIVATIONS,
    SNAPSHOTS,
    JOURNAL_APPENDS,
    JOURNAL_BATCH_SIZE,
    JOURNAL_COMMIT,
    JOURNAL_QUEUE_DEPTH,
    FEED_POSITION,
    FEED_HORIZON_AGE,
    FEED_HORIZON_HOLDER_AGE,
    PROJECTION_UNAPPLIED_AGE,
    PROJECTION_EVENTS,
    PROJECTION_TENANTS_STOPPED,
    AUDIT_UNSEALED_AGE,
    AUDIT_NEWEST_SEAL,
    AUDIT_CONTRADICTED,
    AUDIT_VERIFIED_AT,
    AUDIT_FINDINGS,
    OUTBOX_ENTRIES,
    OUTBOX_OLDEST_AGE,
    OUTBOX_ATTEMPTS,
    OUTBOX_DEAD_LETTERS,
    OUTBOX_DEAD_LETTERS_WAITING,
    OUTBOX_LEFT_ALONE,
    POSTGRES_RESTARTS,
    REDIS_IN_USE,
    REDIS_LOSSES,
    REDIS_FOREIGN_ANSWERS,
    PROCESS_MEMORY,
];

pub const HTTP_REQUESTS: Metric = Metric {
    name: "codeccloud_http_requests_total",
    kind: Kind::Counter,
    unit: Unit::Count,
    labels: &["route", "method", "status"],
    help: "Requests answered, by route as in the route table or page, method and status.",
};

pub const HTTP_DURATION: Metric = Metric {
    name: "codeccloud_http_request_duration_seconds",
    kind: Kind::Histogram(LATENCIES),
    unit: Unit::Seconds,
    labels: &["route"],
    help: "Time from a request's head to its answer's head, by route; for a stream of events, until it begins.",
};

pub const IDEMPOTENT_REPLAYS: Metric = Metric {
    name: "codeccloud_idempotent_replays_total",
    kind: Kind::Counter,
    unit: Unit::Count,
    labels: &[],
    help: "Requests answered with the stored answer of an earlier one with the same idempotency key.",
};

pub const SSE_SUBSCRIBERS: Metric = Metric {
    name: "codeccloud_sse_subscribers",
    kind: Kind::Gauge,
    unit: Unit::Count,
    labels: &[],
    help: "Open streams of server-sent events.",
};

pub const COMMANDS: Metric = Metric {
    name: "codeccloud_commands_total",
    kind: Kind::Counter,
    unit: Unit::Count,
    labels: &["aggregate_type", "outcome"],
    help: "Commands, by type of the aggregate that decided and by outcome.",
};

pub const COMMAND_DURATION: Metric = Metric {
    name: "codeccloud_command_duration_seconds",
    kind: Kind::Histogram(LATENCIES),
    unit: Unit::Seconds,
    labels: &["aggregate_type"],
    help: "Time from a command's arrival at the router to its durable answer.",
};

pub const MAILBOX_DEPTH: Metric = Metric {
    name: "codeccloud_mailbox_depth",
    kind: Kind::Gauge,
    unit: Unit::Count,
    labels: &["aggregate_type"],
    help: "Commands that wait in the mailboxes of their actors.",
};

pub const ACTORS_ACTIVE: Metric = Metric {
    name: "codeccloud_actors_active",
    kind: Kind::Gauge,
    unit: Unit::Count,
    labels: &["aggregate_type"],
    help: "Actors in memory.",
};

pub const ACTOR_RESTARTS: Metric = Metric {
    name: "codeccloud_actor_restarts_total",
    kind: Kind::Counter,
    unit: Unit::Count,
    labels: &["aggregate_type"],
    help: "Actors started again from the store after a crash or a failed append.",
};

pub const ACTOR_PASSIVATIONS: Metric = Metric {
    name: "codeccloud_actor_passivations_total",
    kind: Kind::Counter,
    unit: Unit::Count,
    labels: &["aggregate_type"],
    help: "Actors that left memory because they were idle, or because there were too many.",
};

pub const SNAPSHOTS: Metric = Metric {
    name: "codeccloud_snapshots_total",
    kind: Kind::Counter,
    unit: Unit::Count,
    labels: &["outcome"],
    help: "Snapshots of aggregates: written, dropped because the store was busy, or unreadable and rebuilt from events.",
};

pub const JOURNAL_APPENDS: Metric = Metric {
    name: "codeccloud_journal_appends_total",
    kind: Kind::Counter,
    unit: Unit::Count,
    labels: &["outcome"],
    help: "Appends, by outcome: committed, conflict, duplicate, rejected, unavailable or unknown.",
};

pub const JOURNAL_BATCH_SIZE: Metric = Metric {
    name: "codeccloud_journal_batch_size",
    kind: Kind::Histogram(SIZES),
    unit: Unit::Count,
    labels: &["lane"],
    help: "Appends committed in one transaction.",
};

pub const JOURNAL_COMMIT: Metric = Metric {
    name: "codeccloud_journal_commit_seconds",
    kind: Kind::Histogram(LATENCIES),
    unit: Unit::Seconds,
    labels: &["lane"],
    help: "Time that one transaction of the journal takes, from its first statement to its commit.",
};

pub const JOURNAL_QUEUE_DEPTH: Metric = Metric {
    name: "codeccloud_journal_queue_depth",
    kind: Kind::Gauge,
    unit: Unit::Count,
    labels: &["lane"],
    help: "Appends that wait for their lane.",
};

pub const FEED_POSITION: Metric = Metric {
    name: "codeccloud_feed_position",
    kind: Kind::Gauge,
    unit: Unit::Count,
    labels: &[],
    help: "Position of the last event that the feed delivered.",
};

pub const FEED_HORIZON_AGE: Metric = Metric {
    name: "codeccloud_feed_horizon_age_seconds",
    kind: Kind::Gauge,
    unit: Unit::Seconds,
    labels: &[],
    help: "Age of the oldest transaction that holds the feed back; 0 when none does.",
};

pub const FEED_HORIZON_HOLDER_AGE: Metric = Metric {
    name: "codeccloud_feed_horizon_holder_age_seconds",
    kind: Kind::Gauge,
    unit: Unit::Seconds,
    labels: &["pid", "application"],
    help: "Age of the transaction that holds the feed back, by the process that holds it; 0 once it has let go.",
};

pub const PROJECTION_UNAPPLIED_AGE: Metric = Metric {
    name: "codeccloud_projection_oldest_unapplied_age_seconds",
    kind: Kind::Gauge,
    unit: Unit::Seconds,
    labels: &["projection"],
    help: "Age of the oldest event that the projection has not applied, also of one that is held back; 0 when it has applied all. While the feed can't be read, the time since it could.",
};

pub const PROJECTION_EVENTS: Metric = Metric {
    name: "codeccloud_projection_events_applied_total",
    kind: Kind::Counter,
    unit: Unit::Count,
    labels: &["projection"],
    help: "Events that the projection has applied.",
};

pub const PROJECTION_TENANTS_STOPPED: Metric = Metric {
    name: "codeccloud_projection_tenants_stopped",
    kind: Kind::Gauge,
    unit: Unit::Count,
    labels: &["projection"],
    help: "Tenants that the projection stopped at an event which it can't apply; an operator must retry or skip it.",
};

pub const AUDIT_UNSEALED_AGE: Metric = Metric {
    name: "codeccloud_audit_oldest_unsealed_age_seconds",
    kind: Kind::Gauge,
    unit: Unit::Seconds,
    labels: &[],
    help: "Age of the oldest entry of the audit log that is not sealed yet; 0 when all are.",
};

pub const AUDIT_NEWEST_SEAL: Metric = Metric {
    name: "codeccloud_audit_newest_seal",
    kind: Kind::Gauge,
    unit: Unit::Count,
    labels: &[],
    help: "Number of the newest seal over the audit log. It never falls, unless the log was cut off or restored.",
};

pub const AUDIT_CONTRADICTED: Metric = Metric {
    name: "codeccloud_audit_contradicted",
    kind: Kind::Gauge,
    unit: Unit::Count,
    labels: &[],
    help: "1 while the newest seal that this server has noted outside of the database is not in it, else 0.",
};

pub const AUDIT_VERIFIED_AT: Metric = Metric {
    name: "codeccloud_audit_verified_timestamp_seconds",
    kind: Kind::Gauge,
    unit: Unit::Seconds,
    labels: &[],
    help: "When the audit log was last verified as a whole, in seconds since 1970.",
};

pub const AUDIT_FINDINGS: Metric = Metric {
    name: "codeccloud_audit_findings",
    kind: Kind::Gauge,
    unit: Unit::Count,
    labels: &[],
    help: "What that verification found to be not as it was sealed.",
};

pub const OUTBOX_ENTRIES: Metric = Metric {
    name: "codeccloud_outbox_entries",
    kind: Kind::Gauge,
    unit: Unit::Count,
    labels: &[],
    help: "Entries of the outbox that wait for their deliveries, or have a dead letter.",
};

pub const OUTBOX_OLDEST_AGE: Metric = Metric {
    name: "codeccloud_outbox_oldest_age_seconds",
    kind: Kind::Gauge,
    unit: Unit::Seconds,
    labels: &[],
    help: "For how long the oldest entry or delivery of the outbox has waited, dead letters left aside; 0 when there is none. It grows on while the outbox can't be looked at.",
};

pub const OUTBOX_ATTEMPTS: Metric = Metric {
    name: "codeccloud_outbox_attempts_total",
    kind: Kind::Counter,
    unit: Unit::Count,
    labels: &["handler", "outcome"],
    help: "Attempts to deliver, by handler and by outcome: done, skipped because there was nobody or nothing to tell, failed, not_tried because we ourselves could not, dead.",
};

pub const OUTBOX_DEAD_LETTERS: Metric = Metric {
    name: "codeccloud_outbox_dead_letters_total",
    kind: Kind::Counter,
    unit: Unit::Count,
    labels: &["handler"],
    help: "Deliveries that were given up; alert on any: an operator must retry or discard it.",
};

pub const OUTBOX_DEAD_LETTERS_WAITING: Metric = Metric {
    name: "codeccloud_outbox_dead_letters",
    kind: Kind::Gauge,
    unit: Unit::Count,
    labels: &[],
    help: "Deliveries given up that nobody has retried or discarded yet.",
};

pub const OUTBOX_LEFT_ALONE: Metric = Metric {
    name: "codeccloud_outbox_entries_left_alone",
    kind: Kind::Gauge,
    unit: Unit::Count,
    labels: &[],
    help: "Unprocessed entries that are older than the outbox's worker, as it found them at its start; it leaves them as they are.",
};

pub const POSTGRES_RESTARTS: Metric = Metric {
    name: "codeccloud_embedded_postgres_restarts_total",
    kind: Kind::Counter,
    unit: Unit::Count,
    labels: &[],
    help: "Times that the embedded PostgreSQL went away and was started again.",
};

pub const REDIS_IN_USE: Metric = Metric {
    name: "codeccloud_redis_in_use",
    kind: Kind::Gauge,
    unit: Unit::Count,
    labels: &[],
    help: "1 while servers share last writes, rate limits and answers in Redis, 0 while this process keeps its own because Redis is away; absent where no Redis is configured.",
};

pub const REDIS_LOSSES: Metric = Metric {
    name: "codeccloud_redis_losses_total",
    kind: Kind::Counter,
    unit: Unit::Count,
    labels: &[],
    help: "Times that Redis failed, or did not answer in time, and this process took over.",
};

pub const REDIS_FOREIGN_ANSWERS: Metric = Metric {
    name: "codeccloud_redis_foreign_answers_total",
    kind: Kind::Counter,
    unit: Unit::Count,
    labels: &[],
    help: "Answers in Redis that no server with the current master key has written; they are ignored. Some are to be expected after that key has changed.",
};

pub const PROCESS_MEMORY: Metric = Metric {
    name: "codeccloud_process_resident_memory_bytes",
    kind: Kind::Gauge,
    unit: Unit::Bytes,
    labels: &[],
    help: "Memory of this process that is in RAM; the embedded PostgreSQL not counted.",
};

/// Tells the installed recorder what each metric means.
pub fn describe_all() {
    for metric in ALL {
        match metric.kind {
            Kind::Counter => describe_counter!(metric.name, metric.unit, metric.help),
            Kind::Gauge => describe_gauge!(metric.name, metric.unit, metric.help),
            Kind::Histogram(_) => describe_histogram!(metric.name, metric.unit, metric.help),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_listed() {
        let defined = include_str!("metrics_catalogue.rs").matches(": Metric = Metric {\n").count();
        assert_eq!(ALL.len(), defined, "a constant of this file is missing in ALL");
    }

    #[test]
    fn names_tell_kind_and_unit() {
        for Metric { name, kind, unit, .. } in ALL {
            assert!(name.starts_with("codeccloud_"), "{name}");
            assert_eq!(name.ends_with("_total"), matches!(kind, Kind::Counter), "{name}");
            assert_eq!(name.ends_with("_seconds"), *unit == Unit::Seconds, "{name}");
            assert_eq!(name.ends_with("_bytes"), *unit == Unit::Bytes, "{name}");
        }
    }
}
