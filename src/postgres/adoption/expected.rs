//! The MVP's tables as their description has them. A deployment's database is compared with it, and so is what our own 0001
//! makes, in a test.

pub(super) struct ExpectedTable {
    pub name: &'static str,
    /// `name type`, then `?` where NULL is allowed, then `= default` or `generated`.
    columns: &'static str,
    pub primary_key: &'static str,
    pub unique: Option<&'static str>,
    /// What the policies let members do.
    pub members: Access,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Change,
}

pub(super) struct ExpectedColumn {
    pub name: &'static str,
    pub data_type: &'static str,
    pub is_nullable: bool,
    pub default: Option<&'static str>,
    pub is_generated: bool,
}

/// The tables whose row triggers write the audit log, the outbox and the tenant's `data_version`.
pub(super) const TRIGGERED: [&str; 4] = ["appointments", "resource_allocations", "products", "product_stock_movements"];

pub(super) const STATUSES: &str = "draft, scheduled, confirmed, checked_in, completed, cancelled, no_show";

/// Without these, the policies of later tables could not be made.
pub(super) const FUNCTIONS: [(&str, &str); 4] = [
    ("auth.uid()", "uuid"),
    ("auth.role()", "text"),
    ("app_private.current_tenant_id()", "uuid"),
    ("app_private.is_tenant_member(uuid)", "boolean"),
];

pub(super) const TABLES: [ExpectedTable; 12] = [
    ExpectedTable {
        name: "tenants",
        columns: "id uuid = gen_random_uuid(), slug text, name text, locale text = 'de-CH', data_version bigint = 1, \
            created_at timestamptz = now(), updated_at timestamptz = now(), deleted_at timestamptz?",
        primary_key: "id",
        unique: Some("slug"),
        members: Access::Read,
    },
    ExpectedTable {
        name: "tenant_members",
        columns: "tenant_id uuid, user_id uuid, role text, invited_at timestamptz?, accepted_at timestamptz?, \
            revoked_at timestamptz?, created_at timestamptz = now(), updated_at timestamptz = now()",
        primary_key: "tenant_id, user_id",
        unique: None,
        members: Access::Change,
    },
    ExpectedTable {
        name: "staff_profiles",
        columns: "id uuid = gen_random_uuid(), tenant_id uuid, user_id uuid?, display_name text, color text?, \
            created_at timestamptz = now(), updated_at timestamptz = now()",
        primary_key: "id",
        unique: None,
        members: Access::Change,
    },
    ExpectedTable {
        name: "resources",
        columns: "id uuid = gen_random_uuid(), tenant_id uuid, name text, kind text, capacity integer = 1, created_at \
            timestamptz = now(), updated_at timestamptz = now()",
        primary_key: "id",
        unique: None,
        members: Access::Change,
    },
    ExpectedTable {
        name: "appointment_services",
        columns: "tenant_id uuid, id uuid = gen_random_uuid(), name text, duration_minutes integer, price_cents \
            integer, currency character(3) = 'CHF', created_at timestamptz = now(), updated_at timestamptz = \
            now()",
        primary_key: "id",
        unique: None,
        members: Access::Change,
    },
    ExpectedTable {
        name: "appointments",
        columns: "tenant_id uuid, id uuid = gen_random_uuid(), code text, customer_id uuid?, staff_id uuid, service_id \
            uuid?, status appointment_status = 'draft', slot tstzrange, slot_start timestamptz, slot_end \
            timestamptz, price_cents integer = 0, currency character(3) = 'CHF', notes text?, created_at \
            timestamptz = now(), updated_at timestamptz = now(), cancelled_at timestamptz?",
        primary_key: "tenant_id, slot_start, id",
        unique: Some("tenant_id, slot_start, code"),
        members: Access::Change,
    },
    ExpectedTable {
        name: "resource_allocations",
        columns: "tenant_id uuid, id uuid = gen_random_uuid(), appointment_id uuid, appointment_slot_start \
            timestamptz, resource_id uuid, usage_range tstzrange, usage_start timestamptz? generated, usage_end \
            timestamptz? generated, created_at timestamptz = now(), updated_at timestamptz = now()",
        primary_key: "tenant_id, id",
        unique: None,
        members: Access::Change,
    },
    ExpectedTable {
        name: "products",
        columns: "tenant_id uuid, id uuid = gen_random_uuid(), sku text, name text, description text?, price_cents \
            integer, currency character(3) = 'CHF', is_active boolean = true, created_at timestamptz = now(), \
            updated_at timestamptz = now()",
        primary_key: "tenant_id, id",
        unique: Some("tenant_id, sku"),
        members: Access::Change,
    },
    ExpectedTable {
        name: "product_stock",
        columns: "tenant_id uuid, product_id uuid, quantity_on_hand integer = 0, quantity_reserved integer = 0, \
            updated_at timestamptz = now()",
        primary_key: "tenant_id, product_id",
        unique: None,
        members: Access::Read,
    },
    ExpectedTable {
        name: "product_stock_movements",
        columns: "tenant_id uuid, id uuid = gen_random_uuid(), product_id uuid, quantity_delta integer, reserved_delta \
            integer = 0, reason text, context jsonb?, created_at timestamptz = now(), created_by uuid?",
        primary_key: "tenant_id, id",
        unique: None,
        members: Access::Change,
    },
    ExpectedTable {
        name: "audit_log",
        columns: "id bigint = nextval, tenant_id uuid?, actor_id uuid?, event_type text, entity text, entity_id text?, \
            before jsonb?, after jsonb?, performed_at timestamptz = now(), context jsonb?",
        primary_key: "id",
        unique: None,
        members: Access::Read,
    },
    ExpectedTable {
        name: "outbox_events",
        columns: "id bigint = nextval, tenant_id uuid?, aggregate text, aggregate_id uuid?, event_type text, payload \
            jsonb, created_at timestamptz = now(), processed_at timestamptz?",
        primary_key: "id",
        unique: None,
        members: Access::Read,
    },
];

pub(super) fn is_of_mvp(table: &str) -> bool {
    TABLES.iter().any(|expected| expected.name == table)
}

impl ExpectedTable {
    pub fn columns(&self) -> impl Iterator<Item = ExpectedColumn> {
        self.columns.split(", ").map(ExpectedColumn::parse)
    }
}

impl ExpectedColumn {
    fn parse(text: &'static str) -> ExpectedColumn {
        let (text, default) = match text.split_once(" = ") {
            Some((text, default)) => (text, Some(default)),
            None => (text, None),
        };
        let (text, is_generated) = match text.strip_suffix(" generated") {
            Some(text) => (text, true),
            None => (text, false),
        };
        let (name, data_type) = text.split_once(' ').expect("a column has a name and a type");
        let (data_type, is_nullable) = match data_type.strip_suffix('?') {
            Some(data_type) => (data_type, true),
            None => (data_type, false),
        };
        let data_type = if data_type == "timestamptz" { "timestamp with time zone" } else { data_type };
        ExpectedColumn { name, data_type, is_nullable, default, is_generated }
    }
}
