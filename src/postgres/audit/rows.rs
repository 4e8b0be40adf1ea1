//! Entries and seals as they are stored.

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, GenericClient, Row};

use crate::audit::{Entry, Place, Range, Seal, THE_PAST};
use crate::postgres::types::{JsonText, PgMicros, Xid8};

const ENTRY: &str = "id, cluster_id, transaction_id, tenant_id, actor_id, event_type, entity, entity_id, before, after, \
     performed_at, context";

const SEAL: &str = "number, cluster_id, after_transaction, after_id, through_transaction, through_id, digests, key_id, \
     sealed_at, previous, seal";

/// The first entries of a range, in its order.
pub async fn entries(client: &impl GenericClient, range: Range, limit: i64) -> Result<Vec<Entry>, Error> {
    let Range { cluster_id, after, through } = range;
    let (after_transaction, through_transaction) = (Xid8(after.transaction), Xid8(through.transaction));
    let rows = if cluster_id == THE_PAST {
        let sql = format!(
            "SELECT {ENTRY} FROM audit_log WHERE cluster_id IS NULL AND id > $1 AND id <= $2 ORDER BY id LIMIT $3"
        );
        client.query_typed(&sql, &[(&after.id, Type::INT8), (&through.id, Type::INT8), (&limit, Type::INT8)]).await?
    } else {
        let sql = format!(
            "SELECT {ENTRY} FROM audit_log WHERE cluster_id = $1 AND (transaction_id, id) > ($2, $3) \
             AND (transaction_id, id) <= ($4, $5) ORDER BY transaction_id, id LIMIT $6"
        );
        let parameters: [(&(dyn ToSql + Sync), Type); 6] = [
            (&cluster_id, Type::INT8),
            (&after_transaction, Type::XID8),
            (&after.id, Type::INT8),
            (&through_transaction, Type::XID8),
            (&through.id, Type::INT8),
            (&limit, Type::INT8),
        ];
        client.query_typed(&sql, &parameters).await?
    };
    Ok(rows.iter().map(entry).collect())
}

fn entry(row: &Row) -> Entry {
    let json = |column| row.get::<_, Option<JsonText<'_>>>(column).map(|JsonText(text)| text.to_vec());
    Entry {
        id: row.get(0),
        cluster_id: row.get(1),
        transaction_id: row.get::<_, Option<Xid8>>(2).map(|Xid8(id)| id),
        tenant_id: row.get(3),
        actor_id: row.get(4),
        event_type: row.get(5),
        entity: row.get(6),
        entity_id: row.get(7),
        before: json(8),
        after: json(9),
        performed_at: row.get::<_, Option<PgMicros>>(10).map(|PgMicros(micros)| micros),
        context: json(11),
    }
}

pub async fn newest_seal(client: &impl GenericClient) -> Result<Option<Seal>, Error> {
    let sql = format!("SELECT {SEAL} FROM audit_seals ORDER BY number DESC LIMIT 1");
    Ok(client.query_typed(&sql, &[]).await?.first().map(seal))
}

pub async fn numbered_seal(client: &impl GenericClient, number: i64) -> Result<Option<Seal>, Error> {
    Ok(seals(client, number - 1, 1).await?.pop().filter(|seal| seal.number == number))
}

/// The next ones behind a number.
pub async fn seals(client: &impl GenericClient, behind: i64, limit: i64) -> Result<Vec<Seal>, Error> {
    let sql = format!("SELECT {SEAL} FROM audit_seals WHERE number > $1 ORDER BY number LIMIT $2");
    let rows = client.query_typed(&sql, &[(&behind, Type::INT8), (&limit, Type::INT8)]).await?;
    Ok(rows.iter().map(seal).collect())
}

/// Whether any seal was made with the key.
pub async fn has_sealed(client: &impl GenericClient, key_id: &str) -> Result<bool, Error> {
    let sql = "SELECT FROM audit_seals WHERE key_id = $1 LIMIT 1";
    Ok(!client.query_typed(sql, &[(&key_id, Type::TEXT)]).await?.is_empty())
}

/// How far a cluster's entries are sealed.
pub async fn reached(client: &impl GenericClient, cluster_id: i64) -> Result<Place, Error> {
    let sql =
        "SELECT through_transaction, through_id FROM audit_seals WHERE cluster_id = $1 ORDER BY number DESC LIMIT 1";
    let rows = client.query_typed(sql, &[(&cluster_id, Type::INT8)]).await?;
    Ok(rows.first().map_or(Place::START, |row| place(row, 0)))
}

pub async fn append(client: &impl GenericClient, seal: &Seal) -> Result<(), Error> {
    let sql = format!("INSERT INTO audit_seals ({SEAL}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)");
    let Range { cluster_id, after, through } = seal.range;
    let parameters: [(&(dyn ToSql + Sync), Type); 11] = [
        (&seal.number, Type::INT8),
        (&cluster_id, Type::INT8),
        (&Xid8(after.transaction), Type::XID8),
        (&after.id, Type::INT8),
        (&Xid8(through.transaction), Type::XID8),
        (&through.id, Type::INT8),
        (&seal.digests, Type::BYTEA),
        (&seal.key_id, Type::TEXT),
        (&PgMicros(seal.sealed_at), Type::TIMESTAMPTZ),
        (&seal.previous, Type::BYTEA),
        (&seal.seal, Type::BYTEA),
    ];
    client.execute_typed(&sql, &parameters).await?;
    Ok(())
}

fn seal(row: &Row) -> Seal {
    let PgMicros(sealed_at) = row.get(8);
    Seal {
        number: row.get(0),
        range: Range { cluster_id: row.get(1), after: place(row, 2), through: place(row, 4) },
        digests: row.get(6),
        key_id: row.get(7),
        sealed_at,
        previous: row.get(9),
        seal: row.get(10),
    }
}

fn place(row: &Row, column: usize) -> Place {
    let Xid8(transaction) = row.get(column);
    Place { transaction, id: row.get(column + 1) }
}
