//! A tenant's rows, told so that those of two tenants can be compared: by names rather than ids, and without times of day
//! at which commands came.

use std::path::Path;

use codeccloud::postgres::embedded::url_of;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::support::connect;

#[derive(Debug, PartialEq, Eq)]
pub struct Rows {
    /// Appointments with the chairs that they take, stock and its movements, accounts and their ledger, and the totals.
    kept: Vec<String>,
    /// What the changes told others: audit entries and the outbox, in their order.
    told: Vec<String>,
}

/// In terms that two salons share. Customers are the client's to name, and each booking is another customer's.
const KEPT: &str = "
    SELECT format('appointment %s %s %s %s %s %s %s v%s moved=%s %s/%s waived=%s reason=%s cancelled=%s code=%s',
        a.customer_id, s.display_name, v.name, a.status, a.slot, a.price_cents, a.currency, a.version,
        a.moved_at IS NOT NULL, a.buffer_before_minutes, a.buffer_after_minutes, a.fee_waived, a.reason_recorded,
        a.cancelled_at IS NOT NULL, a.code = upper(right(a.id::text, 12)))
    FROM appointments a JOIN staff_profiles s ON s.id = a.staff_id JOIN appointment_services v ON v.id = a.service_id
    WHERE a.tenant_id = $1
    UNION ALL
    SELECT format('chair %s %s', a.customer_id, r.usage_range)
    FROM resource_allocations r JOIN appointments a ON (a.tenant_id, a.id, a.slot_start)
        = (r.tenant_id, r.appointment_id, r.appointment_slot_start) WHERE r.tenant_id = $1
    UNION ALL
    SELECT format('account %s v%s %s %s', customer_id, version, balance, jsonb_array_length(state -> 'lots'))
    FROM loyalty_accounts WHERE tenant_id = $1
    UNION ALL
    SELECT format('ledger %s v%s %s %s %s %s %s', customer_id, version, kind, points, booking_id IS NOT NULL,
        reference_id IS NOT NULL, expires_at IS NOT NULL)
    FROM loyalty_ledger WHERE tenant_id = $1
    UNION ALL
    SELECT format('movement %s v%s %s %s %s by=%s %s', p.sku, m.version, m.quantity_delta, m.reserved_delta, m.reason,
        m.created_by IS NOT NULL, (SELECT string_agg(key, ',' ORDER BY key) FROM jsonb_object_keys(m.context) key))
    FROM product_stock_movements m JOIN products p ON p.id = m.product_id WHERE m.tenant_id = $1
    UNION ALL
    SELECT format('stock %s %s %s', p.sku, s.quantity_on_hand, s.quantity_reserved)
    FROM product_stock s JOIN products p ON p.id = s.product_id WHERE s.tenant_id = $1
    UNION ALL
    SELECT format('item %s v%s %s (%s) %s', p.sku, i.version, i.state ->> 'on_hand', (SELECT string_agg(held ->> 'quantity', ',')
        FROM jsonb_array_elements(i.state -> 'reservations') held), jsonb_array_length(i.state -> 'done'))
    FROM stock_items i JOIN products p ON p.id = i.product_id WHERE i.tenant_id = $1
    UNION ALL
    SELECT format('calendar %s %s %s of %s', s.display_name, c.day, c.booked_minutes, c.working_minutes)
    FROM availability_calendars c JOIN staff_profiles s ON s.id = c.staff_id
    WHERE c.tenant_id = $1 AND (c.booked_minutes <> 0 OR c.working_minutes <> 0)
    UNION ALL
    SELECT format('sales %s %s %s', day, currency, (to_jsonb(m) - 'tenant_id' - 'updated_at' - 'day' - 'currency')::text)
    FROM sales_metrics m WHERE tenant_id = $1 AND bookings <> 0
    ORDER BY 1";

const TOLD: &str = "
    SELECT format('audit %s %s %s -> %s %s %s', entity, event_type, coalesce(before ->> 'status', before ->> 'points', before ->> 'usage_range'),
        coalesce(after ->> 'status', after ->> 'points', after ->> 'reason', after ->> 'usage_range'), actor_id IS NOT NULL, (SELECT string_agg(key, ',' ORDER BY key)
        FROM jsonb_object_keys(context) key))
    FROM audit_log WHERE tenant_id = $1 AND entity ~ '^(appointments|resource_alloc|loyalty|product_stock)' ORDER BY id";

const OUTBOX: &str = "
    SELECT format('outbox %s %s %s %s %s of an event=%s', aggregate, event_type, payload ->> 'table', payload ->> 'operation',
        coalesce(payload -> 'row' ->> 'status', payload -> 'row' ->> 'points', payload -> 'row' ->> 'reason',
            payload -> 'row' ->> 'usage_range'), event_id IS NOT NULL)
    FROM outbox_events WHERE tenant_id = $1 AND aggregate ~ '^(appointments|resource_alloc|loyalty|product_stock)' ORDER BY id";

impl Rows {
    pub async fn of(data_dir: &Path, tenant: Uuid) -> Rows {
        let client = superuser(data_dir).await;
        let mut told = texts(&client, TOLD, tenant).await;
        told.extend(texts(&client, OUTBOX, tenant).await);
        Rows { kept: texts(&client, KEPT, tenant).await, told }
    }

    pub fn kept(&self) -> &[String] {
        &self.kept
    }

    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// With a stage and bookings.
    pub async fn tenants(data_dir: &Path, stage: &str) -> Vec<Uuid> {
        let sql =
            "SELECT tenant_id FROM tenant_stages WHERE stage = $1 AND tenant_id IN (SELECT tenant_id FROM event_store)";
        let rows = superuser(data_dir).await.query(sql, &[&stage]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// As it was before rows went with events.
    pub async fn lose(data_dir: &Path, tenant: Uuid) {
        let tables = [
            "appointments",
            "loyalty_accounts",
            "loyalty_ledger",
            "product_stock_movements",
            "product_stock",
            "stock_items",
            "availability_calendars",
            "sales_metrics",
        ];
        let deletes = tables.map(|table| format!("DELETE FROM {table} WHERE tenant_id = '{tenant}';")).concat();
        let sql = format!(
            "SET session_replication_role = replica; {deletes} \
             UPDATE tenant_stages SET rows_complete = false WHERE tenant_id = '{tenant}'"
        );
        superuser(data_dir).await.batch_execute(&sql).await.unwrap();
    }

    /// A chair for an appointment. No command of ours takes one, but whoever moves the appointment takes it along.
    pub async fn take_chair(client: &Client, appointment: Uuid) {
        let sql = "INSERT INTO resource_allocations (tenant_id, appointment_id, appointment_slot_start, resource_id, \
                   usage_range) SELECT tenant_id, id, slot_start, id, slot FROM appointments WHERE id = $1";
        assert_eq!(client.execute(sql, &[&appointment]).await.unwrap(), 1);
    }
}

pub async fn superuser(data_dir: &Path) -> Client {
    connect(&url_of(data_dir).unwrap().replacen("codeccloud@", "codeccloud_bootstrap@", 1)).await
}

async fn texts(client: &Client, sql: &str, tenant: Uuid) -> Vec<String> {
    client.query(sql, &[&tenant]).await.unwrap().iter().map(|row| row.get(0)).collect()
}
