//! Reads reference data, many tenants at once: one query a table, grouped by tenant here.

use std::collections::HashMap;
use std::sync::Arc;

use codeccloud_actors::ids::TenantId;
use codeccloud_actors::reference::TenantReference;
use tokio_postgres::types::Type;
use tokio_postgres::{Error, Row, Transaction};
use uuid::Uuid;

use super::rows;

const TENANTS: &str = "SELECT t.id, t.slug, t.name, s.time_zone, s.booking_horizon_days, s.loyalty_points_per_franc, \
         s.loyalty_expiry_months, s.loyalty_tiers, g.stage \
     FROM tenants t LEFT JOIN tenant_settings s ON s.tenant_id = t.id LEFT JOIN tenant_stages g ON g.tenant_id = t.id \
     WHERE t.deleted_at IS NULL AND ($1::uuid[] IS NULL OR t.id = ANY ($1))";

/// What adds the row of a table to its tenant.
type Add = fn(&mut TenantReference, &Row);

/// In this order, because what hangs on a service or a person is added to it. The tenant is the first column.
const TABLES: [(&str, Add); 8] = [
    (
        "SELECT tenant_id, user_id, role FROM tenant_members \
         WHERE revoked_at IS NULL AND ($1::uuid[] IS NULL OR tenant_id = ANY ($1))",
        rows::add_member,
    ),
    (
        "SELECT s.tenant_id, s.id, s.name, s.duration_minutes, s.price_cents, s.currency, \
             coalesce(d.buffer_before_minutes, 0), coalesce(d.buffer_after_minutes, 0), coalesce(d.is_active, true) \
         FROM appointment_services s LEFT JOIN service_details d ON d.tenant_id = s.tenant_id AND d.service_id = s.id \
         WHERE $1::uuid[] IS NULL OR s.tenant_id = ANY ($1)",
        rows::add_service,
    ),
    (
        "SELECT tenant_id, service_id, staff_id FROM service_staff \
         WHERE $1::uuid[] IS NULL OR tenant_id = ANY ($1)",
        rows::add_qualified,
    ),
    (
        "SELECT p.tenant_id, p.id, p.user_id, p.display_name, p.color, coalesce(d.is_active, true) \
         FROM staff_profiles p LEFT JOIN staff_details d ON d.tenant_id = p.tenant_id AND d.staff_id = p.id \
         WHERE $1::uuid[] IS NULL OR p.tenant_id = ANY ($1)",
        rows::add_staff_member,
    ),
    (
        "SELECT tenant_id, staff_id, weekday, start_minute, end_minute FROM staff_working_hours \
         WHERE $1::uuid[] IS NULL OR tenant_id = ANY ($1) ORDER BY start_minute",
        rows::add_working_hours,
    ),
    (
        "SELECT tenant_id, staff_id, day::text, intervals FROM staff_hours_exceptions \
         WHERE $1::uuid[] IS NULL OR tenant_id = ANY ($1)",
        rows::add_hours_exception,
    ),
    (
        "SELECT tenant_id, staff_id, starts_at, ends_at FROM staff_time_off \
         WHERE $1::uuid[] IS NULL OR tenant_id = ANY ($1) ORDER BY starts_at",
        rows::add_time_off,
    ),
    (
        "SELECT p.tenant_id, p.id, p.sku, p.name, p.description, p.price_cents, p.currency, p.is_active, \
             coalesce(d.minimum_stock, 0) \
         FROM products p LEFT JOIN product_details d ON d.tenant_id = p.tenant_id AND d.product_id = p.id \
         WHERE $1::uuid[] IS NULL OR p.tenant_id = ANY ($1)",
        rows::add_product,
    ),
];

/// What members don't see.
const REVOCATIONS: (&str, Add) = (
    "SELECT tenant_id, user_id, issued_before FROM token_revocations WHERE $1::uuid[] IS NULL OR tenant_id = ANY ($1)",
    rows::add_revocation,
);

/// Of all tenants, unless `only` some are wanted.
pub(super) async fn versions(snapshot: &Transaction<'_>, only: Option<&[Uuid]>) -> Result<HashMap<Uuid, i64>, Error> {
    let sql = "SELECT tenant_id, version FROM reference_versions WHERE $1::uuid[] IS NULL OR tenant_id = ANY ($1)";
    let rows = snapshot.query_typed(sql, &[(&only, Type::UUID_ARRAY)]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Of all tenants, unless `only` some are wanted. Deleted tenants are absent.
pub(super) async fn tenants(
    snapshot: &Transaction<'_>,
    only: Option<&[Uuid]>,
) -> Result<HashMap<TenantId, Arc<TenantReference>>, Error> {
    read(snapshot, only, TABLES.iter().chain([&REVOCATIONS])).await
}

/// The member's own tenant, without what members don't see.
pub(super) async fn as_member(
    transaction: &Transaction<'_>,
    tenant: Uuid,
) -> Result<Option<Arc<TenantReference>>, Error> {
    Ok(read(transaction, Some(&[tenant]), TABLES.iter()).await?.remove(&TenantId(tenant)))
}

async fn read(
    snapshot: &Transaction<'_>,
    only: Option<&[Uuid]>,
    tables: impl Iterator<Item = &'static (&'static str, Add)>,
) -> Result<HashMap<TenantId, Arc<TenantReference>>, Error> {
    let rows = snapshot.query_typed(TENANTS, &[(&only, Type::UUID_ARRAY)]).await?;
    let mut tenants: HashMap<Uuid, TenantReference> = rows.iter().map(|row| (row.get(0), rows::tenant(row))).collect();
    for (sql, add) in tables {
        for row in snapshot.query_typed(sql, &[(&only, Type::UUID_ARRAY)]).await? {
            // A deleted tenant keeps its rows.
            if let Some(tenant) = tenants.get_mut(&row.get(0)) {
                add(tenant, &row);
            }
        }
    }
    Ok(tenants.into_iter().map(|(id, tenant)| (TenantId(id), Arc::new(tenant))).collect())
}
