//! When a person works, and when not.

use codeccloud_actors::ids::StaffId;
use codeccloud_actors::time::Slot;
use tokio_postgres::types::{Json, Type};
use uuid::Uuid;

use super::change::{Change, found};
use super::checks;
use crate::ports::{HoursException, NewTimeOff, ReferenceError, TimeOffEntry, WorkingHours};
use crate::postgres::types::PgTime;
use crate::postgres::{ConnectionPool, described};

pub(super) async fn set_working_hours(
    change: &Change<'_>,
    staff_id: Uuid,
    hours: Option<Vec<WorkingHours>>,
) -> Result<(), ReferenceError> {
    change.lock_staff_member(staff_id).await?;
    let clear = "DELETE FROM staff_working_hours WHERE tenant_id = $1 AND staff_id = $2";
    change.execute(clear, &[(&change.tenant_id, Type::UUID), (&staff_id, Type::UUID)]).await?;
    let Some(hours) = hours else { return Ok(()) };
    checks::week("weekly", &hours)?;
    let weekdays: Vec<i16> = hours.iter().map(|hours| hours.weekday.into()).collect();
    let starts: Vec<i32> = hours.iter().map(|hours| hours.start_minute.into()).collect();
    let ends: Vec<i32> = hours.iter().map(|hours| hours.end_minute.into()).collect();
    let add = "INSERT INTO staff_working_hours (tenant_id, staff_id, weekday, start_minute, end_minute) \
               SELECT $1, $2, h.* FROM unnest($3::int2[], $4::int4[], $5::int4[]) h";
    change
        .execute(
            add,
            &[
                (&change.tenant_id, Type::UUID),
                (&staff_id, Type::UUID),
                (&weekdays, Type::INT2_ARRAY),
                (&starts, Type::INT4_ARRAY),
                (&ends, Type::INT4_ARRAY),
            ],
        )
        .await?;
    Ok(())
}

pub(super) async fn set_exception(
    change: &Change<'_>,
    staff_id: Uuid,
    exception: HoursException,
) -> Result<(), ReferenceError> {
    let day = exception.date.to_string();
    let key = [(&change.tenant_id as _, Type::UUID), (&staff_id as _, Type::UUID), (&day as _, Type::TEXT)];
    let Some(intervals) = exception.intervals else {
        let clear = "DELETE FROM staff_hours_exceptions WHERE tenant_id = $1 AND staff_id = $2 AND day = $3::date";
        change.execute(clear, &key).await?;
        return Ok(());
    };
    checks::day("intervals", intervals.clone())?;
    let put = "INSERT INTO staff_hours_exceptions (tenant_id, staff_id, day, intervals) VALUES ($1, $2, $3::date, $4) \
               ON CONFLICT (tenant_id, staff_id, day) DO UPDATE SET intervals = excluded.intervals, updated_at = now()";
    change.execute(put, &[&key[..], &[(&Json(intervals) as _, Type::JSONB)]].concat()).await?;
    Ok(())
}

pub(super) async fn add_time_off(change: &Change<'_>, id: Uuid, new: NewTimeOff) -> Result<(), ReferenceError> {
    let NewTimeOff { staff_id, slot: Slot { start, end } } = new;
    change.lock_staff_member(staff_id.0).await?;
    let sql = "INSERT INTO staff_time_off (tenant_id, id, staff_id, starts_at, ends_at) VALUES ($1, $2, $3, $4, $5)";
    change
        .execute(
            sql,
            &[
                (&change.tenant_id, Type::UUID),
                (&id, Type::UUID),
                (&staff_id.0, Type::UUID),
                (&PgTime(start), Type::TIMESTAMPTZ),
                (&PgTime(end), Type::TIMESTAMPTZ),
            ],
        )
        .await?;
    Ok(())
}

pub(super) async fn remove_time_off(change: &Change<'_>, staff_id: Uuid, id: Uuid) -> Result<(), ReferenceError> {
    let sql = "DELETE FROM staff_time_off WHERE tenant_id = $1 AND staff_id = $2 AND id = $3";
    let parameters = [(&change.tenant_id as _, Type::UUID), (&staff_id as _, Type::UUID), (&id as _, Type::UUID)];
    found(change.execute(sql, &parameters).await?, "time off")
}

/// Sorted by start. From the database, because memory keeps no ids of them.
pub(super) async fn list_time_off(
    readers: &ConnectionPool,
    tenant_id: Uuid,
    staff_id: StaffId,
) -> Result<Vec<TimeOffEntry>, ReferenceError> {
    let client = readers.get().await.map_err(|error| ReferenceError::Unavailable(error.to_string()))?;
    let sql = "SELECT id, starts_at, ends_at FROM staff_time_off WHERE tenant_id = $1 AND staff_id = $2 \
               ORDER BY starts_at, id";
    let rows = client.query_typed(sql, &[(&tenant_id, Type::UUID), (&staff_id.0, Type::UUID)]).await;
    let rows = rows.map_err(|error| ReferenceError::Unavailable(described(&error)))?;
    let entry = |row: &tokio_postgres::Row| {
        let (PgTime(start), PgTime(end)) = (row.get(1), row.get(2));
        TimeOffEntry { id: row.get(0), slot: Slot { start, end } }
    };
    Ok(rows.iter().map(entry).collect())
}
