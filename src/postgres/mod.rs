//! The PostgreSQL adapter: mirrors the core's ports file by file. The only place with SQL besides `schema/`.

pub mod adoption;
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
mod past_bookings;
mod pooled;
mod projections;
mod reference;
mod rows;
mod snapshots;
mod streams;
mod types;
mod vault;

pub use database::{Database, DatabaseRole};
pub use feed::{FeedSettings, FeedWaker, PostgresFeed};
pub use idempotency::PostgresIdempotency;
pub use journal::{JournalSettings, PostgresJournal};
pub use past_bookings::PostgresPastBookings;
pub use pooled::{ConnectionPool, Connector, PooledClient};
pub use projections::{PostgresProjectionOperators, PostgresProjectionStore, orders as projection_orders};
pub use reference::PostgresReference;
pub use snapshots::PostgresSnapshots;
pub use streams::PostgresStreams;
pub use vault::{PostgresVault, vault_tenants_not_under};

/// The driver's own types, for callers that hold a connection for the length of a command.
pub use tokio_postgres::{Client, Error as DatabaseError};

use database::away;
pub(crate) use database::described;
