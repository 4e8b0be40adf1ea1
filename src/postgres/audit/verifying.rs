//! Compares the whole log with its seals, in one snapshot, seal by seal.

use std::pin::pin;

use futures_util::TryStreamExt;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, Transaction};

use super::rows;
use crate::audit::{Anchor, Finding, Range, Seal, SealKeys, Summary, THE_PAST, Verification};
use crate::postgres::PooledClient;

/// Entries in memory at a time.
const ENTRIES_MAX: usize = 1_000;
const SEALS_MAX: i64 = 16;

/// Writers don't notice, since a transaction that only reads has no id. `client` has the role of the sealer.
pub async fn verify(
    client: &mut PooledClient,
    keys: &SealKeys,
    anchor: Option<&Anchor>,
    mut found: impl FnMut(Finding),
    mut progress: impl FnMut(u64),
) -> Result<Summary, Error> {
    let transaction = client.long_snapshot().await?;
    unguarded(&transaction).await?.into_iter().for_each(&mut found);
    let mut verification = Verification::new(keys, anchor);
    let mut newest: Option<Seal> = None;
    loop {
        let seals = rows::seals(&transaction, newest.as_ref().map_or(0, |seal| seal.number), SEALS_MAX).await?;
        if seals.is_empty() {
            break;
        }
        for seal in seals {
            let compared = compare(&transaction, &mut verification, &seal, &mut found).await?;
            verification.compared(compared);
            progress(compared);
            newest = Some(seal);
        }
    }
    beyond(&transaction, newest.as_ref(), &mut verification, &mut found).await?;
    Ok(verification.finish(found))
}

/// How many entries were compared with the seal.
async fn compare(
    transaction: &Transaction<'_>,
    verification: &mut Verification<'_>,
    seal: &Seal,
    found: &mut impl FnMut(Finding),
) -> Result<u64, Error> {
    let Some(mut listed) = verification.seal(seal, &mut *found) else { return Ok(0) };
    let mut range = seal.range;
    let mut compared = 0;
    loop {
        let entries = rows::entries(transaction, range, i64::try_from(ENTRIES_MAX).expect("small")).await?;
        compared += entries.len() as u64;
        entries.iter().for_each(|entry| listed.entry(entry, &mut *found));
        match entries.last() {
            Some(last) if entries.len() == ENTRIES_MAX => range = Range { after: last.place(), ..range },
            Some(_) | None => break,
        }
    }
    listed.finish(found);
    Ok(compared)
}

/// Entries that no seal reaches. They are new, unless the sealer has already left their kind behind.
async fn beyond(
    transaction: &Transaction<'_>,
    newest: Option<&Seal>,
    verification: &mut Verification<'_>,
    found: &mut impl FnMut(Finding),
) -> Result<(), Error> {
    let sql = "WITH reached AS ( \
                   SELECT DISTINCT ON (cluster_id) cluster_id, through_transaction, through_id FROM audit_seals \
                   ORDER BY cluster_id, number DESC) \
               SELECT a.id, a.tenant_id, a.cluster_id IS NOT NULL AND a.transaction_id IS NULL, coalesce(a.cluster_id, $1), \
                   (SELECT system_identifier FROM pg_control_system()) \
               FROM audit_log a LEFT JOIN reached r ON r.cluster_id = coalesce(a.cluster_id, $1) \
               WHERE r.cluster_id IS NULL OR (a.cluster_id IS NULL AND a.id > r.through_id) \
                   OR (a.cluster_id IS NOT NULL AND (a.transaction_id IS NULL \
                       OR (a.transaction_id, a.id) > (r.through_transaction, r.through_id)))";
    let parameters: [(&(dyn ToSql + Sync), Type); 1] = [(&THE_PAST, Type::INT8)];
    let mut entries = pin!(transaction.query_typed_raw(sql, parameters).await?);
    let newest_cluster = newest.map(|seal| seal.range.cluster_id);
    while let Some(row) = entries.try_next().await? {
        let (nowhere, cluster, current): (bool, i64, i64) = (row.get(2), row.get(3), row.get(4));
        let is_to_come = match newest_cluster {
            None => true,
            Some(newest) if cluster == THE_PAST => newest == THE_PAST,
            Some(newest) => newest != current || cluster == current,
        };
        verification.beyond(row.get(0), row.get(1), is_to_come && !nowhere, &mut *found);
    }
    Ok(())
}

/// The function as the migration has made it: who puts another one in its place leaves the trigger as it is.
const GUARD: &str = "\nbegin\n    raise exception '% is append-only: % refused', tg_table_name, lower(tg_op) \
     using errcode = 'insufficient_privilege';\nend\n";

/// Whether each trigger is there, before all that changes entries (58: update, delete and truncate, once a statement), on no
/// condition, and in every session.
async fn unguarded(transaction: &Transaction<'_>) -> Result<Vec<Finding>, Error> {
    let sql = "SELECT guarded FROM unnest(ARRAY['audit_log', 'audit_seals']) guarded WHERE NOT EXISTS ( \
                   SELECT FROM pg_trigger t JOIN pg_proc f ON f.oid = t.tgfoid JOIN pg_language l ON l.oid = f.prolang \
                   WHERE t.tgrelid = to_regclass(guarded) AND t.tgname = 'refuse_audit_change' AND t.tgenabled = 'A' \
                   AND t.tgtype = 58 AND t.tgqual IS NULL AND t.tgattr::text = '' \
                   AND f.oid = to_regprocedure('app_private.refuse_audit_change()') AND l.lanname = 'plpgsql' \
                   AND f.prosrc = $1)";
    let rows = transaction.query_typed(sql, &[(&GUARD, Type::TEXT)]).await?;
    Ok(rows.iter().map(|row| Finding::Unguarded { table: row.get(0) }).collect())
}

/// That it was looked, for the servers' metrics.
pub async fn record(client: &PooledClient, summary: Summary, findings: u64) -> Result<(), Error> {
    let sql = "INSERT INTO audit_verifications (last_seal, entries, findings) VALUES ($1, $2, $3)";
    let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let parameters: [(&(dyn ToSql + Sync), Type); 3] =
        [(&summary.last_seal, Type::INT8), (&count(summary.entries), Type::INT8), (&count(findings), Type::INT8)];
    client.execute_typed(sql, &parameters).await?;
    Ok(())
}
