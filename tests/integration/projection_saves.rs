//! How projections are saved: in steps that hold nobody up, and as a whole or not at all.

use codeccloud::postgres::{DatabaseRole, PostgresProjectionStore};
use codeccloud_actors::ports::{FeedCursor, ProjectionStore, SavedProjection};
use tokio_postgres::Client;

use crate::support::Database;

const NAME: &str = "availability";
const MIB: usize = 1024 * 1024;

fn saved(generation: u64, bytes: usize, fill: u8) -> SavedProjection {
    SavedProjection {
        generation,
        cursor: FeedCursor { low: u64::from(fill), ..FeedCursor::default() },
        events_applied: 7,
        stopped: Vec::new(),
        format: 1,
        state: vec![fill; bytes].into(),
    }
}

async fn count(superuser: &Client, what: &str) -> i64 {
    superuser.query_one(&format!("SELECT count({what}) FROM projection_snapshots"), &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn each_piece_of_a_save_is_a_transaction_of_its_own() {
    let database = Database::create().await;
    let superuser = database.superuser().await;
    let store = PostgresProjectionStore::new(database.pool(DatabaseRole::Projector));
    store.save(NAME, saved(0, 5 * MIB + 1, 1)).await.unwrap();
    assert_eq!((count(&superuser, "*").await, count(&superuser, "DISTINCT xmin::text").await), (6, 6));
    let largest = "SELECT max(octet_length(state)) FROM projection_snapshots";
    assert_eq!(superuser.query_one(largest, &[]).await.unwrap().get::<_, i32>(0), i32::try_from(MIB).unwrap());

    store.save(NAME, saved(0, 2 * MIB, 2)).await.unwrap();
    assert_eq!(count(&superuser, "*").await, 2, "the one before is gone");
    let loaded = store.load(NAME).await.unwrap().unwrap();
    assert_eq!((loaded.cursor.low, loaded.state.len(), loaded.state[MIB]), (2, 2 * MIB, 2));
}

#[tokio::test]
async fn a_save_that_breaks_off_changes_nothing_and_is_cleared_away() {
    let database = Database::create().await;
    let superuser = database.superuser().await;
    let store = PostgresProjectionStore::new(database.pool(DatabaseRole::Projector));
    store.save(NAME, saved(1, 10, 1)).await.unwrap();
    for age in ["10 minutes", "2 hours"] {
        let broken_off = format!(
            "INSERT INTO projection_snapshots (projection, save_id, chunk, format, state, saved_at) \
             SELECT '{NAME}', save_id, chunk, 1, 'x', now() - interval '{age}' \
             FROM gen_random_uuid() save_id, generate_series(0, 2) chunk"
        );
        superuser.batch_execute(&broken_off).await.unwrap();
    }
    assert_eq!(store.load(NAME).await.unwrap().unwrap().state[..], [1; 10]);
    store.save(NAME, saved(1, 10, 2)).await.unwrap();
    assert_eq!(store.load(NAME).await.unwrap().unwrap().state[..], [2; 10]);
    assert_eq!(count(&superuser, "*").await, 4, "a young one may still be another node's");

    store.save(NAME, saved(0, 10, 3)).await.unwrap();
    assert_eq!(store.load(NAME).await.unwrap().unwrap().state[..], [2; 10], "one of an older generation doesn't count");
    assert_eq!(count(&superuser, "*").await, 4, "and leaves nothing behind");
}
