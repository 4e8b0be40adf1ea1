//! The list of migrations, and what their ways down would lose.

use super::migration::Migration;

/// In the order of their numbers.
pub(super) const MIGRATIONS: &[Migration] = &[
    Migration::new(
        1,
        "mvp",
        include_str!("../../schema/0001_mvp.up.sql"),
        include_str!("../../schema/0001_mvp.down.sql"),
    )
    .adopted_by(include_str!("../../schema/0001_mvp.adopt.sql")),
    Migration::new(
        2,
        "reference",
        include_str!("../../schema/0002_reference.up.sql"),
        include_str!("../../schema/0002_reference.down.sql"),
    )
    .in_use_by(include_str!("../../schema/0002_reference.in_use.sql")),
    Migration::new(
        3,
        "vault",
        include_str!("../../schema/0003_vault.up.sql"),
        include_str!("../../schema/0003_vault.down.sql"),
    ),
    Migration::new(
        4,
        "event_store",
        include_str!("../../schema/0004_event_store.up.sql"),
        include_str!("../../schema/0004_event_store.down.sql"),
    ),
    Migration::new(
        5,
        "reference_changes",
        include_str!("../../schema/0005_reference_changes.up.sql"),
        include_str!("../../schema/0005_reference_changes.down.sql"),
    ),
    Migration::new(
        6,
        "projection_orders",
        include_str!("../../schema/0006_projection_orders.up.sql"),
        include_str!("../../schema/0006_projection_orders.down.sql"),
    ),
    Migration::new(
        7,
        "reschedule_reason",
        include_str!("../../schema/0007_reschedule_reason.up.sql"),
        include_str!("../../schema/0007_reschedule_reason.down.sql"),
    ),
    Migration::new(
        8,
        "invitations",
        include_str!("../../schema/0008_invitations.up.sql"),
        include_str!("../../schema/0008_invitations.down.sql"),
    ),
    Migration::new(
        9,
        "vault_lookup",
        include_str!("../../schema/0009_vault_lookup.up.sql"),
        include_str!("../../schema/0009_vault_lookup.down.sql"),
    ),
    Migration::new(
        10,
        "steady_plans",
        include_str!("../../schema/0010_steady_plans.up.sql"),
        include_str!("../../schema/0010_steady_plans.down.sql"),
    ),
    Migration::new(
        11,
        "heads_by_event",
        include_str!("../../schema/0011_heads_by_event.up.sql"),
        include_str!("../../schema/0011_heads_by_event.down.sql"),
    ),
    Migration::new(
        12,
        "projection_saves",
        include_str!("../../schema/0012_projection_saves.up.sql"),
        include_str!("../../schema/0012_projection_saves.down.sql"),
    ),
    Migration::new(
        13,
        "bounded_upkeep",
        include_str!("../../schema/0013_bounded_upkeep.up.sql"),
        include_str!("../../schema/0013_bounded_upkeep.down.sql"),
    ),
    Migration::new(
        14,
        "customers_bookings",
        include_str!("../../schema/0014_customers_bookings.up.sql"),
        include_str!("../../schema/0014_customers_bookings.down.sql"),
    ),
    Migration::new(
        15,
        "transactional",
        include_str!("../../schema/0015_transactional.up.sql"),
        include_str!("../../schema/0015_transactional.down.sql"),
    )
    .in_use_by(include_str!("../../schema/0015_transactional.in_use.sql")),
    Migration::new(
        16,
        "row_writer",
        include_str!("../../schema/0016_row_writer.up.sql"),
        include_str!("../../schema/0016_row_writer.down.sql"),
    )
    .in_use_by(include_str!("../../schema/0016_row_writer.in_use.sql")),
    Migration::new(
        17,
        "stages",
        include_str!("../../schema/0017_stages.up.sql"),
        include_str!("../../schema/0017_stages.down.sql"),
    ),
    Migration::new(
        20,
        "outbox",
        include_str!("../../schema/0020_outbox.up.sql"),
        include_str!("../../schema/0020_outbox.down.sql"),
    )
    .in_use_by(include_str!("../../schema/0020_outbox.in_use.sql")),
    Migration::new(
        21,
        "webhooks",
        include_str!("../../schema/0021_webhooks.up.sql"),
        include_str!("../../schema/0021_webhooks.down.sql"),
    ),
    Migration::new(
        24,
        "token_revocations",
        include_str!("../../schema/0024_token_revocations.up.sql"),
        include_str!("../../schema/0024_token_revocations.down.sql"),
    ),
    Migration::new(
        25,
        "products",
        include_str!("../../schema/0025_products.up.sql"),
        include_str!("../../schema/0025_products.down.sql"),
    ),
    Migration::new(
        26,
        "stock_rows",
        include_str!("../../schema/0026_stock_rows.up.sql"),
        include_str!("../../schema/0026_stock_rows.down.sql"),
    ),
    Migration::new(
        30,
        "audit_seals",
        include_str!("../../schema/0030_audit_seals.up.sql"),
        include_str!("../../schema/0030_audit_seals.down.sql"),
    ),
    Migration::new(
        31,
        "totals",
        include_str!("../../schema/0031_totals.up.sql"),
        include_str!("../../schema/0031_totals.down.sql"),
    ),
    Migration::new(
        32,
        "outbox_progress",
        include_str!("../../schema/0032_outbox_progress.up.sql"),
        include_str!("../../schema/0032_outbox_progress.down.sql"),
    ),
    Migration::new(
        33,
        "known_bookings",
        include_str!("../../schema/0033_known_bookings.up.sql"),
        include_str!("../../schema/0033_known_bookings.down.sql"),
    ),
    Migration::new(
        35,
        "deployments",
        include_str!("../../schema/0035_deployments.up.sql"),
        include_str!("../../schema/0035_deployments.down.sql"),
    )
    .in_use_by(include_str!("../../schema/0035_deployments.in_use.sql")),
    Migration::new(
        39,
        "callers",
        include_str!("../../schema/0039_callers.up.sql"),
        include_str!("../../schema/0039_callers.down.sql"),
    ),
    Migration::new(
        40,
        "recorded_rows",
        include_str!("../../schema/0040_recorded_rows.up.sql"),
        include_str!("../../schema/0040_recorded_rows.down.sql"),
    ),
];

/// What ways down take away for good: one is refused while such a table of it has a row. Whatever else they drop hangs on
/// these or is made from them.
pub(super) const LOSSES: &[(u32, &[&str])] = &[
    (1, &["tenants"]),
    (
        2,
        &[
            "tenant_settings",
            "staff_working_hours",
            "staff_hours_exceptions",
            "staff_time_off",
            "staff_details",
            "service_details",
            "service_staff",
        ],
    ),
    (3, &["vault_customers"]),
    (4, &["event_store", "saga_instances", "idempotency_keys", "tenant_stages"]),
    (15, &["loyalty_ledger"]),
    (21, &["webhook_endpoints"]),
    (24, &["token_revocations"]),
    (25, &["product_details"]),
    (26, &["stock_items"]),
    (30, &["audit_seals"]),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Made from events and reference data, or of no use without what hangs on them.
    const NO_LOSS: &[&str] = &[
        "projection_reports",
        "projection_snapshots",
        "event_projection_offsets",
        "snapshots",
        "stream_heads",
        "vault_notes",
        "reference_versions",
        "sales_metrics",
        "availability_calendars",
        "loyalty_accounts",
        "audit_verifications",
        "outbox_deliveries",
        "outbox_bookings",
        "app_private.outbox_start",
        "app_private.totals_to_count",
        "app_private.outbox_planned",
        "app_private.outbox_finished",
    ];

    #[test]
    fn no_way_down_drops_a_table_that_nobody_asked_about() {
        for migration in MIGRATIONS.iter().filter(|migration| migration.number > 1) {
            let losses = LOSSES.iter().find(|(number, _)| *number == migration.number).map_or(&[][..], |(_, t)| *t);
            let dropped = migration.down.split("drop table ").skip(1).flat_map(|rest| {
                let list = rest.split(';').next().expect("a split has a first part");
                list.split(',').map(str::trim)
            });
            for table in dropped {
                assert!(losses.contains(&table) || NO_LOSS.contains(&table), "{}: {table}", migration.name);
            }
        }
    }
}
