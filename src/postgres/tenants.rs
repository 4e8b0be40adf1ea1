//! Tenants and members, as the platform's operator makes them.

use codeccloud_actors::envelope::Role;
use codeccloud_actors::ids::{StaffId, TenantId, UserId};
use codeccloud_actors::money::Currency;
use codeccloud_actors::stage::Stage;
use tokio_postgres::Transaction;
use uuid::Uuid;

use super::PooledClient;

/// A salon to be created, with what it offers and who works there.
#[derive(Debug, Clone)]
pub struct NewTenant {
    pub id: TenantId,
    pub slug: String,
    pub name: String,
    pub locale: String,
    pub time_zone: String,
    pub stage: Stage,
    pub services: Vec<NewTenantService>,
    pub staff: Vec<NewTenantStaff>,
}

#[derive(Debug, Clone)]
pub struct NewTenantService {
    pub id: Uuid,
    pub name: String,
    pub duration_minutes: i32,
    pub price_cents: i32,
    pub currency: Currency,
    pub buffer_after_minutes: i32,
}

#[derive(Debug, Clone)]
pub struct NewTenantStaff {
    pub id: StaffId,
    pub display_name: String,
    pub color: String,
    /// Weekday (1 is Monday), first and last minute of the day.
    pub hours: Vec<(i16, i32, i32)>,
}

#[derive(Debug, Clone)]
pub struct TenantRow {
    pub id: TenantId,
    pub slug: String,
    pub name: String,
    pub stage: Stage,
}

/// Creates the tenant with all that belongs to it, or nothing. `false` when the slug is taken.
pub async fn create(operator: &mut PooledClient, tenant: &NewTenant) -> Result<bool, tokio_postgres::Error> {
    let transaction = operator.transaction().await?;
    let sql = "INSERT INTO tenants (id, slug, name, locale) VALUES ($1, $2, $3, $4) ON CONFLICT (slug) DO NOTHING";
    let created = transaction.execute(sql, &[&tenant.id.0, &tenant.slug, &tenant.name, &tenant.locale]).await?;
    if created == 0 {
        return Ok(false);
    }
    let sql = "INSERT INTO tenant_settings (tenant_id, time_zone) VALUES ($1, $2)";
    transaction.execute(sql, &[&tenant.id.0, &tenant.time_zone]).await?;
    let sql = "INSERT INTO tenant_stages (tenant_id, stage) VALUES ($1, $2)";
    transaction.execute(sql, &[&tenant.id.0, &tenant.stage.as_str()]).await?;
    for service in &tenant.services {
        add_service(&transaction, tenant.id, service).await?;
    }
    for member in &tenant.staff {
        add_staff(&transaction, tenant.id, member).await?;
    }
    transaction.commit().await?;
    Ok(true)
}

async fn add_service(
    transaction: &Transaction<'_>,
    tenant_id: TenantId,
    service: &NewTenantService,
) -> Result<(), tokio_postgres::Error> {
    let sql = "INSERT INTO appointment_services (tenant_id, id, name, duration_minutes, price_cents, currency) \
               VALUES ($1, $2, $3, $4, $5, $6)";
    transaction
        .execute(
            sql,
            &[
                &tenant_id.0,
                &service.id,
                &service.name,
                &service.duration_minutes,
                &service.price_cents,
                &service.currency.as_str(),
            ],
        )
        .await?;
    let sql = "INSERT INTO service_details (tenant_id, service_id, buffer_after_minutes) VALUES ($1, $2, $3)";
    transaction.execute(sql, &[&tenant_id.0, &service.id, &service.buffer_after_minutes]).await?;
    Ok(())
}

async fn add_staff(
    transaction: &Transaction<'_>,
    tenant_id: TenantId,
    member: &NewTenantStaff,
) -> Result<(), tokio_postgres::Error> {
    let sql = "INSERT INTO staff_profiles (id, tenant_id, display_name, color) VALUES ($1, $2, $3, $4)";
    transaction.execute(sql, &[&member.id.0, &tenant_id.0, &member.display_name, &member.color]).await?;
    let sql = "INSERT INTO staff_working_hours (tenant_id, staff_id, weekday, start_minute, end_minute) \
               VALUES ($1, $2, $3, $4, $5)";
    for (weekday, start, end) in &member.hours {
        transaction.execute(sql, &[&tenant_id.0, &member.id.0, weekday, start, end]).await?;
    }
    Ok(())
}

pub async fn list(operator: &PooledClient) -> Result<Vec<TenantRow>, tokio_postgres::Error> {
    let sql = "SELECT t.id, t.slug, t.name, s.stage FROM tenants t LEFT JOIN tenant_stages s ON s.tenant_id = t.id \
               WHERE t.deleted_at IS NULL ORDER BY t.slug";
    let rows = operator.query(sql, &[]).await?;
    let row = |row: &tokio_postgres::Row| TenantRow {
        id: TenantId(row.get(0)),
        slug: row.get(1),
        name: row.get(2),
        stage: row.get::<_, Option<&str>>(3).and_then(Stage::parse).unwrap_or_default(),
    };
    Ok(rows.iter().map(row).collect())
}

/// By slug or id.
pub async fn find(operator: &PooledClient, slug_or_id: &str) -> Result<Option<TenantRow>, tokio_postgres::Error> {
    let all = list(operator).await?;
    Ok(all.into_iter().find(|tenant| tenant.slug == slug_or_id || tenant.id.to_string() == slug_or_id))
}

/// Makes the user a member with this role; only owners, managers and staff are members.
pub async fn admit(
    operator: &PooledClient,
    tenant_id: TenantId,
    user_id: UserId,
    role: Role,
) -> Result<(), tokio_postgres::Error> {
    if !matches!(role, Role::Owner | Role::Manager | Role::Staff) {
        return Ok(());
    }
    let sql = "INSERT INTO tenant_members (tenant_id, user_id, role, invited_at, accepted_at) \
               VALUES ($1, $2, $3, now(), now()) ON CONFLICT (tenant_id, user_id) \
               DO UPDATE SET role = excluded.role, revoked_at = NULL, updated_at = now()";
    operator.execute(sql, &[&tenant_id.0, &user_id.0, &role.as_str()]).await?;
    Ok(())
}

/// Makes void all tokens that the user has been given for the tenant until now. Servers know it within a moment.
pub async fn revoke_tokens(
    operator: &PooledClient,
    tenant_id: TenantId,
    user_id: UserId,
) -> Result<(), tokio_postgres::Error> {
    let sql = "INSERT INTO token_revocations (tenant_id, user_id) VALUES ($1, $2) \
               ON CONFLICT (tenant_id, user_id) DO UPDATE SET issued_before = excluded.issued_before";
    operator.execute(sql, &[&tenant_id.0, &user_id.0]).await?;
    Ok(())
}
