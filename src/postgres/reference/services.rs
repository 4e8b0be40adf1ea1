use codeccloud_actors::ids::StaffId;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::change::{Change, found};
use super::checks::{self, invalid};
use crate::ports::{NewService, ReferenceError, ServiceChange};

const DAY_MINUTES: i32 = 24 * 60;

pub(super) async fn create(change: &Change<'_>, id: Uuid, new: NewService) -> Result<(), ReferenceError> {
    checks::name("name", &new.name)?;
    let sql = "INSERT INTO appointment_services (tenant_id, id, name, duration_minutes, price_cents, currency) \
               VALUES ($1, $2, $3, $4, $5, $6)";
    let values = (
        checks::within("durationMinutes", new.duration_minutes, 1..=DAY_MINUTES)?,
        checks::price_cents(new.price)?,
        new.price.currency.as_str(),
    );
    change
        .execute(
            sql,
            &[
                (&change.tenant_id, Type::UUID),
                (&id, Type::UUID),
                (&new.name, Type::TEXT),
                (&values.0, Type::INT4),
                (&values.1, Type::INT4),
                (&values.2, Type::BPCHAR),
            ],
        )
        .await?;
    put_details(change, id, Some(new.buffer_before_minutes), Some(new.buffer_after_minutes), None).await?;
    if let Some(staff) = new.staff_ids {
        put_qualified(change, id, Some(staff)).await?;
    }
    Ok(())
}

pub(super) async fn update(change: &Change<'_>, id: Uuid, to: ServiceChange) -> Result<(), ReferenceError> {
    if let Some(name) = &to.name {
        checks::name("name", name)?;
    }
    let duration = to.duration_minutes.map(|value| checks::within("durationMinutes", value, 1..=DAY_MINUTES));
    let (duration, price) = (duration.transpose()?, to.price.map(checks::price_cents).transpose()?);
    let currency = to.price.map(|price| price.currency.as_str());
    let sql = "UPDATE appointment_services SET name = coalesce($3, name), \
                   duration_minutes = coalesce($4, duration_minutes), price_cents = coalesce($5, price_cents), \
                   currency = coalesce($6, currency), updated_at = now() \
               WHERE tenant_id = $1 AND id = $2";
    let changed = change
        .execute(
            sql,
            &[
                (&change.tenant_id, Type::UUID),
                (&id, Type::UUID),
                (&to.name, Type::TEXT),
                (&duration, Type::INT4),
                (&price, Type::INT4),
                (&currency, Type::BPCHAR),
            ],
        )
        .await?;
    found(changed, "service")?;
    put_details(change, id, to.buffer_before_minutes, to.buffer_after_minutes, to.active).await?;
    match to.staff_ids {
        Some(staff) => put_qualified(change, id, staff).await,
        None => Ok(()),
    }
}

/// `None` leaves what is there, or makes it the default.
async fn put_details(
    change: &Change<'_>,
    id: Uuid,
    before: Option<u32>,
    after: Option<u32>,
    active: Option<bool>,
) -> Result<(), ReferenceError> {
    let minutes =
        |field, value: Option<u32>| value.map(|value| checks::within(field, value, 0..=DAY_MINUTES)).transpose();
    let (before, after) = (minutes("bufferBeforeMinutes", before)?, minutes("bufferAfterMinutes", after)?);
    let sql = "INSERT INTO service_details AS d \
                   (tenant_id, service_id, buffer_before_minutes, buffer_after_minutes, is_active) \
               VALUES ($1, $2, coalesce($3, 0), coalesce($4, 0), coalesce($5, true)) \
               ON CONFLICT (tenant_id, service_id) DO UPDATE SET \
                   buffer_before_minutes = coalesce($3, d.buffer_before_minutes), \
                   buffer_after_minutes = coalesce($4, d.buffer_after_minutes), \
                   is_active = coalesce($5, d.is_active), updated_at = now()";
    change
        .execute(
            sql,
            &[
                (&change.tenant_id, Type::UUID),
                (&id, Type::UUID),
                (&before, Type::INT4),
                (&after, Type::INT4),
                (&active, Type::BOOL),
            ],
        )
        .await?;
    Ok(())
}

/// `None` is everyone, which is no row at all; so an empty list has no meaning of its own.
async fn put_qualified(change: &Change<'_>, id: Uuid, staff: Option<Vec<StaffId>>) -> Result<(), ReferenceError> {
    let clear = "DELETE FROM service_staff WHERE tenant_id = $1 AND service_id = $2";
    change.execute(clear, &[(&change.tenant_id, Type::UUID), (&id, Type::UUID)]).await?;
    let Some(staff) = staff else { return Ok(()) };
    if staff.is_empty() {
        return Err(invalid("staffIds", "must name someone; null is everyone"));
    }
    let staff: Vec<Uuid> = staff.into_iter().map(|id| id.0).collect();
    let add = "INSERT INTO service_staff (tenant_id, service_id, staff_id) SELECT DISTINCT $1, $2, unnest($3::uuid[])";
    let parameters = [(&change.tenant_id as _, Type::UUID), (&id as _, Type::UUID), (&staff as _, Type::UUID_ARRAY)];
    match change.execute(add, &parameters).await {
        Err(ReferenceError::NotFound(_)) => Err(invalid("staffIds", "must name staff of this workspace")),
        added => added.map(|_| ()),
    }
}
