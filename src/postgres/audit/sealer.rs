//! Seals the log behind the writers, who never meet it: it takes no lock that they could wait for. Every server runs one;
//! in each round one of them seals, and all of them note the newest seal outside of the database.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use codeccloud_actors::metrics_catalogue as names;
use tokio_postgres::{Error, GenericClient, Transaction};

use super::{index, rows};
use crate::audit::{Anchor, Entry, Place, Range, Seal, SealKeys, THE_PAST};
use crate::postgres::PooledClient;
use crate::postgres::types::{PgMicros, Xid8};
use crate::postgres::{Database, DatabaseRole, described};

/// Entries under one seal: about a millisecond's work, since other connections of this thread wait for so long.
const ENTRIES_MAX: i64 = 256;

/// The longest pause between two attempts to make the index.
const INDEX_PAUSE_MAX: Duration = Duration::from_secs(3_600);

/// `codecseal` in ASCII, cut to eight letters: the advisory lock of the one that seals.
const LOCK_KEY: i64 = 0x636f_6465_6373_6561;

#[derive(Debug, Clone)]
pub struct SealerSettings {
    pub keys: SealKeys,
    /// From one round to the next.
    pub every: Duration,
    /// Where the newest seal is noted.
    pub anchor: PathBuf,
}

pub struct Sealer {
    database: Database,
    settings: SealerSettings,
    noted: Noted,
    /// Whether the file says so too.
    is_written: bool,
    /// What was last complained of, so that it is said once.
    complaint: Option<String>,
}

/// The newest seal outside of the database, as far as this server knows it.
enum Noted {
    /// Not read so far, or not readable: then it is left as it is, since it may be the proof that something is gone.
    Unread,
    Nothing,
    Seal(Anchor),
}

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sealed {
    Entries(usize),
    /// All that is final is sealed.
    Nothing,
    /// Another server is at it.
    ByAnother,
    /// The key has been replaced by another one since it made its last seal: this server runs on settings of the past.
    WithRetiredKey,
}

/// The state of the database's transactions.
struct Moment {
    cluster_id: i64,
    /// All transactions below are over.
    horizon: u64,
    now: i64,
}

impl Sealer {
    pub fn new(database: Database, settings: SealerSettings) -> Sealer {
        Sealer { database, settings, noted: Noted::Unread, is_written: false, complaint: None }
    }

    /// Runs until the runtime ends.
    pub async fn run(mut self) {
        loop {
            self.indexed().await;
            if let Err(error) = self.connected().await {
                tracing::warn!(target: "audit", reason = described(&error), "sealing failed; it is tried again");
            }
            tokio::time::sleep(self.settings.every).await;
        }
    }

    /// Returns once there is the index that sealing takes. It has to wait for transactions that are open now, as sealing
    /// itself would.
    async fn indexed(&self) {
        let (began, mut pause) = (Instant::now(), self.settings.every);
        loop {
            match self.index().await {
                Ok(true) => return,
                Ok(false) => tokio::time::sleep(self.settings.every).await,
                Err(error) => {
                    tracing::error!(
                        target: "audit", reason = described(&error), again_in_seconds = pause.as_secs(),
                        "nothing is sealed: the index that it takes can't be made{}", self.advice()
                    );
                    tokio::time::sleep(pause).await;
                    // Each attempt reads all of the log.
                    pause = (pause * 2).min(INDEX_PAUSE_MAX);
                }
            }
            // At least that old; which one is the oldest is known once there is the index.
            metrics::gauge!(names::AUDIT_UNSEALED_AGE.name).set(began.elapsed().as_secs_f64());
        }
    }

    async fn index(&self) -> Result<bool, Error> {
        index::ensure(self.database.connect(DatabaseRole::Owner).await?).await
    }

    fn advice(&self) -> &'static str {
        if self.database.has_sessions() { "" } else { "; set DATABASE_DIRECT_URL, past the pooler and its time limits" }
    }

    async fn connected(&mut self) -> Result<(), Error> {
        let mut client = self.database.connect(DatabaseRole::Sealer).await?;
        loop {
            let mut sealed = self.step(&mut client).await?;
            while matches!(sealed, Sealed::Entries(_)) {
                sealed = self.step(&mut client).await?;
            }
            self.observe(&mut client).await?;
            if sealed == Sealed::WithRetiredKey {
                self.complain(format!(
                    "nothing is sealed: audit.seal_key {} was replaced by another one, with which the newest seal was made",
                    self.settings.keys.current_id()
                ));
            }
            tokio::time::sleep(self.settings.every).await;
        }
    }

    /// Seals the next entries, if there are any that are final, in a transaction of its own.
    pub async fn step(&self, client: &mut PooledClient) -> Result<Sealed, Error> {
        let transaction = client.transaction().await?;
        if !locked(&transaction).await? {
            return Ok(Sealed::ByAnother);
        }
        let newest = rows::newest_seal(&transaction).await?;
        let keys = &self.settings.keys;
        if newest.as_ref().is_some_and(|seal| !keys.is_current(&seal.key_id))
            && rows::has_sealed(&transaction, keys.current_id()).await?
        {
            transaction.rollback().await?;
            return Ok(Sealed::WithRetiredKey);
        }
        let moment = moment(&transaction).await?;
        let final_below = Place { transaction: moment.horizon - 1, id: i64::MAX };
        let next = next(&transaction, newest.as_ref(), &moment, final_below, ENTRIES_MAX).await?;
        let Some((range, entries)) = next else { return Ok(Sealed::Nothing) };
        let previous = newest.map(|seal| (seal.number, seal.seal));
        let seal = keys.seal(previous, range.cluster_id, range.after, &entries, moment.now);
        rows::append(&transaction, &seal.expect("there are entries")).await?;
        transaction.commit().await?;
        Ok(Sealed::Entries(entries.len()))
    }

    /// For the metrics, and for the note outside of the database.
    async fn observe(&mut self, client: &mut PooledClient) -> Result<(), Error> {
        let reading = client.transaction().await?;
        let newest = rows::newest_seal(&reading).await?;
        let moment = moment(&reading).await?;
        let any = Place { transaction: u64::MAX, id: i64::MAX };
        let waiting = next(&reading, newest.as_ref(), &moment, any, 1).await?;
        let oldest = waiting.and_then(|(_, entries)| entries.first().and_then(|entry| entry.performed_at));
        #[allow(clippy::cast_precision_loss, reason = "a gauge")]
        let age = oldest.map_or(0.0, |at| (moment.now - at).max(0) as f64 / 1e6);
        metrics::gauge!(names::AUDIT_UNSEALED_AGE.name).set(age);
        observe_verification(&reading).await?;
        let newest_number = newest.as_ref().map_or(0, |seal| seal.number);
        #[allow(clippy::cast_precision_loss, reason = "a gauge")]
        metrics::gauge!(names::AUDIT_NEWEST_SEAL.name).set(newest_number as f64);
        self.look_at_note();
        match (newest, &self.noted) {
            (_, Noted::Unread) | (None, Noted::Nothing) => {}
            (Some(seal), Noted::Nothing | Noted::Seal(_)) => self.note(&reading, &seal).await?,
            (None, Noted::Seal(anchor)) => {
                let complaint = format!("seal {} was made, and there is none in the database", anchor.number);
                self.contradicted(complaint);
            }
        }
        Ok(())
    }

    fn look_at_note(&mut self) {
        if !matches!(self.noted, Noted::Unread) {
            return;
        }
        match Anchor::read(&self.settings.anchor) {
            Ok(Some(anchor)) => (self.noted, self.is_written) = (Noted::Seal(anchor), true),
            Ok(None) => self.noted = Noted::Nothing,
            Err(error) => {
                metrics::gauge!(names::AUDIT_CONTRADICTED.name).set(1.0);
                let file = self.settings.anchor.display();
                let complaint =
                    format!("the newest seal that was noted can't be read, and is left so: {file}: {error}");
                self.complain(complaint);
            }
        }
    }

    /// What was noted is replaced only by a seal of the same chain: otherwise it is the proof that something is gone.
    async fn note(&mut self, client: &impl GenericClient, newest: &Seal) -> Result<(), Error> {
        if let Noted::Seal(anchor) = &self.noted {
            let noted = rows::numbered_seal(client, anchor.number).await?;
            if noted.as_ref().map(Anchor::of).as_ref() != Some(anchor) {
                self.contradicted(format!("seal {} was made, and is not in the database any more", anchor.number));
                return Ok(());
            }
        }
        metrics::gauge!(names::AUDIT_CONTRADICTED.name).set(0.0);
        let anchor = Anchor::of(newest);
        let is_known = matches!(&self.noted, Noted::Seal(noted) if *noted == anchor);
        if is_known && self.is_written {
            return Ok(());
        }
        if !is_known {
            tracing::info!(target: "audit", number = anchor.number, seal = anchor.seal, entry = anchor.entry, "sealed");
        }
        let written = anchor.write(&self.settings.anchor);
        self.is_written = written.is_ok();
        match written {
            Ok(()) => self.complaint = None,
            Err(error) => {
                let complaint =
                    format!("the newest seal can't be noted in {}: {error}", self.settings.anchor.display());
                self.complain(complaint);
            }
        }
        self.noted = Noted::Seal(anchor);
        Ok(())
    }

    fn contradicted(&mut self, complaint: String) {
        metrics::gauge!(names::AUDIT_CONTRADICTED.name).set(1.0);
        self.complain(format!("{complaint}: the log was cut off, or an older state was restored"));
    }

    fn complain(&mut self, complaint: String) {
        if self.complaint.as_ref() != Some(&complaint) {
            tracing::error!(target: "audit", "{complaint}");
            self.complaint = Some(complaint);
        }
    }
}

async fn locked(transaction: &Transaction<'_>) -> Result<bool, Error> {
    let sql = "SELECT pg_try_advisory_xact_lock($1)";
    let rows = transaction.query_typed(sql, &[(&LOCK_KEY, tokio_postgres::types::Type::INT8)]).await?;
    Ok(rows.first().is_some_and(|row| row.get(0)))
}

/// Asked before the entries are read, by a statement of its own: whatever is over by then, the next one sees.
async fn moment(client: &impl GenericClient) -> Result<Moment, Error> {
    let sql =
        "SELECT system_identifier, pg_snapshot_xmin(pg_current_snapshot()), clock_timestamp() FROM pg_control_system()";
    let rows = client.query_typed(sql, &[]).await?;
    let row = rows.first().expect("one row");
    let (Xid8(horizon), PgMicros(now)) = (row.get(1), row.get(2));
    Ok(Moment { cluster_id: row.get(0), horizon, now })
}

/// The entries to be sealed next: first those of the past, then what was restored from other clusters, which all is final,
/// then this cluster's own up to `bound`. The first seal of one kind closes those before it.
async fn next(
    client: &impl GenericClient,
    newest: Option<&Seal>,
    moment: &Moment,
    bound: Place,
    limit: i64,
) -> Result<Option<(Range, Vec<Entry>)>, Error> {
    let newest_cluster = newest.map(|seal| seal.range.cluster_id);
    let mut clusters = Vec::new();
    if newest_cluster.is_none_or(|cluster| cluster == THE_PAST) {
        clusters.push(THE_PAST);
    }
    if newest_cluster != Some(moment.cluster_id) {
        clusters.extend(clusters_of_entries(client).await?.into_iter().filter(|id| *id != moment.cluster_id));
    }
    clusters.push(moment.cluster_id);
    for cluster_id in clusters {
        let end = Place { transaction: u64::MAX, id: i64::MAX };
        let through = if cluster_id == moment.cluster_id { bound } else { end };
        let range = Range { cluster_id, after: rows::reached(client, cluster_id).await?, through };
        let entries = rows::entries(client, range, limit).await?;
        if !entries.is_empty() {
            return Ok(Some((range, entries)));
        }
    }
    Ok(None)
}

/// Hops from one to the next in the index.
async fn clusters_of_entries(client: &impl GenericClient) -> Result<Vec<i64>, Error> {
    let sql = "WITH RECURSIVE known (id) AS ( \
                   SELECT min(cluster_id) FROM audit_log WHERE cluster_id IS NOT NULL \
                   UNION ALL SELECT (SELECT min(cluster_id) FROM audit_log WHERE cluster_id > known.id) \
                   FROM known WHERE known.id IS NOT NULL) \
               SELECT id FROM known WHERE id IS NOT NULL";
    Ok(client.query_typed(sql, &[]).await?.iter().map(|row| row.get(0)).collect())
}

async fn observe_verification(client: &impl GenericClient) -> Result<(), Error> {
    let sql = "SELECT extract(epoch FROM verified_at)::float8, findings::float8 FROM audit_verifications \
               ORDER BY id DESC LIMIT 1";
    if let Some(row) = client.query_typed(sql, &[]).await?.first() {
        metrics::gauge!(names::AUDIT_VERIFIED_AT.name).set(row.get::<_, f64>(0));
        metrics::gauge!(names::AUDIT_FINDINGS.name).set(row.get::<_, f64>(1));
    }
    Ok(())
}
