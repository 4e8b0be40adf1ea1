//! The PostgreSQL adapter: mirrors the core's ports file by file. The only place with SQL besides `schema/`.

pub mod adoption;
pub mod audit;
pub mod embedded;
pub mod schema;
pub mod tenants;
pub mod upkeep;

mod database;
mod feed;
mod idempotency;
mod journal;
mod listen;
mod migration;
mod migrations;
mod outbox;
mod past_bookings;
mod pooled;
mod projections;
mod rebuild;
mod reference;
mod row_writer;
mod rows;
mod snapshots;
mod streams;
mod tls;
mod transactional;
mod types;
mod vault;
mod webhooks;

pub use database::{Database, DatabaseRole};
pub use feed::{FeedSettings, FeedWaker, PostgresFeed};
pub use idempotency::PostgresIdempotency;
pub use journal::{JournalSettings, PostgresJournal};
pub use outbox::{OutboxWaker, PostgresOutbox, operators as outbox_operators};
pub use past_bookings::PostgresPastBookings;
pub use pooled::{ConnectionPool, Connector, PooledClient};
pub use projections::{PostgresProjectionOperators, PostgresProjectionStore, orders as projection_orders};
pub use rebuild::rebuild_rows;
pub use reference::PostgresReference;
pub use snapshots::PostgresSnapshots;
pub use streams::PostgresStreams;
pub use transactional::{
    CallerPool, CallerPools, PostgresMonths, TransactionalCommands, TransactionalPorts, TransactionalQueries,
    TransactionalQueryPorts,
};
pub use vault::{PostgresVault, vault_tenants_not_under};
pub use webhooks::{PostgresEndpoints, PostgresWebhooks, rewrap_webhook_secrets};

/// The driver's own types, for callers that hold a connection for the length of a command.
pub use tokio_postgres::{Client, Error as DatabaseError};

pub(crate) use database::described;
use database::{away, is_broken_rule};
use vault::is_erased;
