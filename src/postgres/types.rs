//! How our own types travel to Postgres and back.

use std::error::Error;

use bytes::{BufMut, BytesMut};
use codeccloud_actors::time::Timestamp;
use jiff::Span;
use jiff::civil::Date;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};

/// Postgres counts microseconds from 2000-01-01.
const EPOCH_MS: i64 = 946_684_800_000;

#[derive(Debug, Clone, Copy)]
pub(super) struct PgTime(pub Timestamp);

impl ToSql for PgTime {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_i64(PgMicros::from(self.0).0);
        Ok(IsNull::No)
    }

    accepts!(TIMESTAMPTZ);
    to_sql_checked!();
}

impl<'a> FromSql<'a> for PgTime {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(PgTime(PgMicros(i64::from_be_bytes(raw.try_into()?)).shown()))
    }

    accepts!(TIMESTAMPTZ);
}

#[derive(Debug, Clone, Copy)]
pub(super) struct PgDate(pub Date);

/// Postgres counts days from here.
const EPOCH_DATE: Date = Date::constant(2000, 1, 1);

impl ToSql for PgDate {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_i32((self.0 - EPOCH_DATE).get_days());
        Ok(IsNull::No)
    }

    accepts!(DATE);
    to_sql_checked!();
}

impl<'a> FromSql<'a> for PgDate {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        let days = i32::from_be_bytes(raw.try_into()?);
        Ok(PgDate(EPOCH_DATE.checked_add(Span::new().try_days(days)?)?))
    }

    accepts!(DATE);
}

/// A time as it is stored, to the microsecond, for whom every bit of it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PgMicros(pub i64);

impl PgMicros {
    pub fn shown(self) -> Timestamp {
        Timestamp::from_millis(self.0.div_euclid(1_000) + EPOCH_MS)
    }
}

impl From<Timestamp> for PgMicros {
    fn from(shown: Timestamp) -> Self {
        PgMicros((shown.as_millis() - EPOCH_MS) * 1_000)
    }
}

impl ToSql for PgMicros {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_i64(self.0);
        Ok(IsNull::No)
    }

    accepts!(TIMESTAMPTZ);
    to_sql_checked!();
}

impl<'a> FromSql<'a> for PgMicros {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(PgMicros(i64::from_be_bytes(raw.try_into()?)))
    }

    accepts!(TIMESTAMPTZ);
}

/// JSON text that is known to be well-formed, sent as `jsonb` without being parsed here.
#[derive(Debug, Clone, Copy)]
pub(super) struct JsonText<'a>(pub &'a [u8]);

/// The version of `jsonb`'s binary form, the only one there is.
const JSONB_VERSION: u8 = 1;

impl ToSql for JsonText<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_u8(JSONB_VERSION);
        out.put_slice(self.0);
        Ok(IsNull::No)
    }

    accepts!(JSONB);
    to_sql_checked!();
}

impl<'a> FromSql<'a> for JsonText<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        match raw.split_first() {
            Some((&JSONB_VERSION, text)) => Ok(JsonText(text)),
            _ => Err("an unknown version of jsonb".into()),
        }
    }

    accepts!(JSONB);
}

/// A transaction id that never wraps around.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Xid8(pub u64);

impl ToSql for Xid8 {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_u64(self.0);
        Ok(IsNull::No)
    }

    accepts!(XID8);
    to_sql_checked!();
}

impl<'a> FromSql<'a> for Xid8 {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Xid8(u64::from_be_bytes(raw.try_into()?)))
    }

    accepts!(XID8);
}
