//! The journal and the append function: what is committed together, who fails alone, and what the database refuses.

use std::time::{Duration, Instant};

use codeccloud::postgres::{DatabaseRole, PooledClient, PostgresIdempotency, schema};
use codeccloud_actors::ids::EventId;
use codeccloud_actors::ports::{AppendError, IdempotencyStore};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use crate::support::Database;
use crate::support::appends::{append, events, journal, keyed, stream, submit_all};

async fn versions(client: &PooledClient, id: u128) -> Vec<i32> {
    let sql = "SELECT version FROM event_store WHERE aggregate_id = $1 ORDER BY version";
    let rows = client.query(sql, &[&uuid::Uuid::from_u128(id)]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

async fn reader(database: &Database) -> PooledClient {
    database.database().connect(DatabaseRole::Reader).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_appends_of_one_stream_are_committed_in_order_and_without_gap() {
    let database = Database::for_appends().await;
    let journal = journal(&database);
    let appends = (0..300).map(|n| append(vec![events(stream(1, 10), n, 1)])).collect();
    let results = submit_all(&journal, appends).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(versions(&reader(&database).await, 10).await, (1..=300).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_poisoned_append_among_256_fails_alone() {
    let database = Database::for_appends().await;
    let journal = journal(&database);
    let mut appends: Vec<_> = (0..256).map(|n| append(vec![events(stream(1, 1_000 + n), 0, 1)])).collect();
    // PostgreSQL's text can't hold a zero byte, nor its jsonb the escape for one.
    appends[100].metadata = r#"{"source":"\u0000"}"#.into();
    let results = submit_all(&journal, appends).await;
    let failed: Vec<usize> = (0..256).filter(|&n| results[n].is_err()).collect();
    assert_eq!(failed, [100]);
    assert!(matches!(results[100], Err(AppendError::Rejected(_))), "{:?}", results[100]);
    let reader = reader(&database).await;
    assert_eq!(versions(&reader, 1_100).await, [0_i32; 0]);
    assert_eq!(versions(&reader, 1_101).await, [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_conflicting_append_among_256_fails_with_those_that_build_on_it() {
    let database = Database::for_appends().await;
    let journal = journal(&database);
    submit_all(&journal, vec![append(vec![events(stream(1, 7), 0, 2)])]).await;
    let mut appends: Vec<_> = (0..256).map(|n| append(vec![events(stream(1, 1_000 + n), 0, 1)])).collect();
    // Stands at 2, not at 1; with it goes what the same append does to another stream, and what follows on that one.
    appends[100] = append(vec![events(stream(1, 7), 1, 1), events(stream(1, 8), 0, 1)]);
    appends[200] = append(vec![events(stream(1, 8), 1, 1)]);
    let results = submit_all(&journal, appends).await;
    let failed: Vec<usize> = (0..256).filter(|&n| results[n].is_err()).collect();
    assert_eq!(failed, [100, 200]);
    assert!(failed.iter().all(|&n| results[n] == Err(AppendError::Conflict)));
    let reader = reader(&database).await;
    assert_eq!(versions(&reader, 7).await, [1, 2]);
    assert_eq!(versions(&reader, 8).await, [0_i32; 0]);
}

/// The journal goes on with what queues behind a batch; what was decided behind an append that failed must fail too, even
/// when another writer's event has taken the version that it was decided on.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_decided_behind_a_failed_append_does_not_pass_behind_anothers_event() {
    let database = Database::for_appends().await;
    let journal = journal(&database);
    submit_all(&journal, vec![append(vec![events(stream(1, 7), 0, 1)])]).await;
    let mut strange = events(stream(1, 7), 1, 1);
    strange.events[0].event_id = EventId(uuid::Uuid::from_u128(0x57A));
    submit_all(&journal, vec![append(vec![strange])]).await.remove(0).unwrap();
    // The first finds version 1 taken; the others were decided on what it would have made of it.
    for behind in [events(stream(1, 7), 1, 1), events(stream(1, 7), 2, 1), events(stream(1, 7), 2, 0)] {
        let moves = behind.events.len();
        let result = submit_all(&journal, vec![append(vec![behind])]).await.remove(0);
        assert_eq!(result, Err(AppendError::Conflict), "{moves} events");
    }
    // Also when they meet in one batch with an append that is in order.
    let mut next = events(stream(1, 7), 2, 1);
    next.expected.last_event_id = Some(EventId(uuid::Uuid::from_u128(0x57A)));
    let results = submit_all(&journal, vec![append(vec![next]), append(vec![events(stream(1, 7), 2, 1)])]).await;
    assert!(results[0].is_ok() && results[1] == Err(AppendError::Conflict), "{results:?}");
    assert_eq!(versions(&reader(&database).await, 7).await, [1, 2, 3]);
}

/// Streams that an older server has written go on where they were.
#[tokio::test(flavor = "multi_thread")]
async fn heads_from_before_they_named_their_event_are_completed() {
    let database = Database::for_appends().await;
    let appends = || vec![append(vec![events(stream(1, 1), 0, 2), events(stream(1, 2), 0, 1)])];
    submit_all(&journal(&database), appends()).await.remove(0).unwrap();
    let mut owner = database.owner().await;
    schema::rollback(&mut owner, 10).await.unwrap();
    schema::apply(&mut owner).await.unwrap();
    let behind = vec![append(vec![events(stream(1, 1), 2, 1), events(stream(1, 2), 1, 1)])];
    submit_all(&journal(&database), behind).await.remove(0).unwrap();
    let policies = "SELECT count(*) FROM pg_policies WHERE policyname = 'migration'";
    assert_eq!(owner.query_one(policies, &[]).await.unwrap().get::<_, i64>(0), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_taken_replays_and_writes_nothing() {
    let database = Database::for_appends().await;
    let journal = journal(&database);
    let first = keyed(append(vec![events(stream(1, 1), 0, 1)]), "key-of-sixteen-and-more");
    let second = keyed(append(vec![events(stream(1, 2), 0, 1)]), "key-of-sixteen-and-more");
    let other = append(vec![events(stream(1, 3), 0, 1)]);
    let command_id = first.command_id;
    let results = submit_all(&journal, vec![first, second, other]).await;
    assert!(results[0].is_ok() && results[2].is_ok(), "{results:?}");
    let Err(AppendError::Duplicate(stored)) = &results[1] else { panic!("{:?}", results[1]) };
    assert_eq!((stored.command_id, stored.status), (command_id, 201));
    let committed = results[0].as_ref().unwrap().transaction_id;
    assert!((committed..committed + 10).contains(&stored.transaction_id), "{stored:?} of {committed}");
    assert_eq!(versions(&reader(&database).await, 2).await, [0_i32; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_cut_costs_no_append_its_truth() {
    let database = Database::for_appends().await;
    let journal = journal(&database);
    submit_all(&journal, vec![append(vec![events(stream(1, 1), 0, 1)])]).await;
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'codeccloud' AND pid <> pg_backend_pid()";
    database.superuser().await.execute(cut, &[]).await.unwrap();
    let outcome = submit_all(&journal, vec![append(vec![events(stream(1, 1), 1, 1)])]).await.remove(0);
    let there = versions(&reader(&database).await, 1).await;
    match outcome {
        Ok(_) => assert_eq!(there, [1, 2]),
        Err(AppendError::Unknown(_)) => {}
        Err(error) => assert_eq!(there, [1], "{error}"),
    }
    let expected = u32::try_from(there.len()).unwrap();
    let next = submit_all(&journal, vec![append(vec![events(stream(1, 1), expected, 1)])]).await;
    assert!(next[0].is_ok(), "{next:?}");
}

/// The worst moment for a cut: the commit is on disk, and its answer is not out yet.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_after_its_commit_is_found_by_the_key() {
    let database = Database::for_appends().await;
    let journal = journal(&database);
    submit_all(&journal, vec![append(vec![events(stream(1, 1), 0, 1)])]).await;
    let superuser = database.superuser().await;
    await_standby(&superuser, "nobody").await;
    let cutting = async || loop {
        let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
        superuser.execute(cut, &[]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    let mut expected = 1;
    let lost = loop {
        let key = format!("key-of-sixteen-and-more-{expected}");
        let next = keyed(append(vec![events(stream(1, 1), expected, 1)]), &key);
        expected += 1;
        let result = tokio::select! {
            mut results = submit_all(&journal, vec![next]) => results.remove(0),
            () = cutting() => unreachable!("it cuts for as long as it may"),
        };
        match result {
            // PostgreSQL takes its time to notice the new setting.
            Ok(_) => assert!(expected < 1_000, "no commit waits"),
            Err(AppendError::Unknown(_)) => break key,
            Err(error) => panic!("{error}"),
        }
    };
    await_standby(&superuser, "").await;
    let idempotency = PostgresIdempotency::new(database.pool(DatabaseRole::Reader));
    let found = idempotency.find(stream(1, 1).tenant_id, &lost).await.unwrap();
    assert_eq!(found.map(|stored| stored.status), Some(201));
    let next = submit_all(&journal, vec![append(vec![events(stream(1, 1), expected, 1)])]).await;
    assert!(next[0].is_ok(), "{next:?}");
}

/// Commits wait for this standby, which never comes, after they are durable here.
async fn await_standby(superuser: &Client, name: &str) {
    let setting = format!("ALTER SYSTEM SET synchronous_standby_names = '{name}'");
    for statement in [&*setting, "SELECT pg_reload_conf()"] {
        superuser.batch_execute(statement).await.unwrap();
    }
}

/// Such as an operator's with a psql prompt, who has gone for lunch.
#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_is_held_for_long_stops_its_tenant_only() {
    let database = Database::for_appends().await;
    let journal = journal(&database);
    // Enough of them that each lane has several.
    let appends = |version| (1..=12).map(|tenant| append(vec![events(stream(tenant, 1), version, 1)])).collect();
    assert!(submit_all(&journal, appends(0)).await.iter().all(Result::is_ok));
    let psql = database.superuser().await;
    let locking = "BEGIN; SELECT FROM stream_heads WHERE tenant_id = '00000000-0000-0000-0000-000000000005' FOR UPDATE";
    psql.batch_execute(locking).await.unwrap();
    let mut waits = Vec::new();
    for version in [1, 2] {
        let began = Instant::now();
        let submitting = submit_all(&journal, appends(version));
        let mut results = tokio::time::timeout(Duration::from_secs(60), submitting).await.unwrap();
        waits.push(began.elapsed());
        let of_locked = results.remove(4);
        assert!(matches!(of_locked, Err(AppendError::Unavailable(_))), "{of_locked:?}");
        assert!(results.iter().all(Result::is_ok), "{results:?}");
    }
    assert!(waits[1] < waits[0], "what is known to be locked is not waited for as long again: {waits:?}");
    psql.batch_execute("ROLLBACK").await.unwrap();
    let next = submit_all(&journal, vec![append(vec![events(stream(5, 1), 1, 1)])]).await;
    assert!(next[0].is_ok(), "{next:?}");
}

/// With a psql prompt and the journal's role.
#[tokio::test(flavor = "multi_thread")]
async fn the_database_itself_refuses_what_is_no_append() {
    let database = Database::for_appends().await;
    submit_all(&journal(&database), vec![append(vec![events(stream(1, 1), 0, 1)])]).await;
    let client = database.database().connect(DatabaseRole::Journal).await.unwrap();
    let refused = async |sql: &str| {
        let error = client.batch_execute(sql).await.expect_err(sql);
        error.code().cloned().unwrap_or_else(|| panic!("{sql}: {error}"))
    };
    let (tenant, first) = (stream(1, 1).tenant_id.0, events(stream(1, 1), 0, 1).events[0].event_id);
    let call = |declared: uuid::Uuid,
                (before, expected): (EventId, i32),
                version: i32,
                event_version: i32,
                named: bool| {
        let event = uuid::Uuid::from_u128(0xE);
        let head = if named { event } else { uuid::Uuid::from_u128(0xF) };
        format!(
            "SELECT app_private.append('{{{declared}}}', '{{{tenant}}}', '{{booking}}', '{{{id}}}', '{{{expected}}}', \
             '{{{before}}}', '{{{version}}}', '{{{head}}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{1}}', \
             '{{{event}}}', '{{booking_confirmed}}', '{{{event_version}}}', '{{1}}', array['{{}}'::jsonb], \
             array[now()], '{{1}}', array['{{}}'::jsonb], {rest})",
            id = stream(1, 1).aggregate_id,
            rest = ["'{}'"; 25].join(", "),
        )
    };
    let stranger = uuid::Uuid::from_u128(99);
    assert_eq!(refused(&call(tenant, (first, 5), 6, 6, true)).await.code(), "CC001", "not the next version");
    let other = EventId(stranger);
    assert_eq!(refused(&call(tenant, (other, 1), 2, 2, true)).await.code(), "CC001", "not behind that event");
    let here = (first, 1);
    assert_eq!(refused(&call(tenant, here, 2, 3, true)).await, SqlState::CHECK_VIOLATION, "a gap within the append");
    assert_eq!(refused(&call(tenant, here, 3, 2, true)).await, SqlState::CHECK_VIOLATION, "a head without its event");
    assert_eq!(refused(&call(tenant, here, 2, 2, false)).await, SqlState::CHECK_VIOLATION, "a head of another event");
    assert_eq!(
        refused(&call(stranger, here, 2, 2, true)).await,
        SqlState::INSUFFICIENT_PRIVILEGE,
        "an undeclared tenant"
    );
    client.batch_execute(&call(tenant, here, 2, 2, true)).await.expect("the same call, as it should be");
    for statement in [
        "INSERT INTO event_store SELECT * FROM event_store",
        "UPDATE event_store SET event_type = 'x'",
        "DELETE FROM event_store",
        "TRUNCATE event_store",
    ] {
        assert_eq!(refused(statement).await, SqlState::INSUFFICIENT_PRIVILEGE, "{statement}");
        // Not for want of a right only: nobody changes an event, not even a superuser in passing.
        if !statement.starts_with("INSERT") {
            let error = database.superuser().await.batch_execute(statement).await.expect_err(statement);
            assert_eq!(error.code(), Some(&SqlState::RESTRICT_VIOLATION), "{statement}");
        }
    }
}
