-- Takes the MVP's tables away, and their data with them: the runner refuses this on a database that has tenants.

-- These two read a table whose policies call them; with them go the policies.
drop function app_private.is_tenant_member(uuid), app_private.is_tenant_owner(uuid) cascade;
drop table resource_allocations, appointments, products, product_stock, product_stock_movements, audit_log,
    outbox_events, appointment_services, resources, staff_profiles, tenant_members, tenants;
drop type appointment_status;
drop function
    app_private.create_appointments_partition(date), app_private.protect_tenant_table(regclass, text),
    app_private.share_reference_table(regclass), app_private.keep_slot_bounds(),
    app_private.check_status_transition(), app_private.refuse_change(), app_private.sum_stock_movement(),
    app_private.bump_data_version(), app_private.record_audit(), app_private.record_outbox(),
    app_private.current_tenant_id(),
    auth.uid(), auth.role();
drop schema auth;

-- The roles stay: they belong to the cluster, and other databases in it may use them. Here they lose every right.
-- Extensions stay as well, since the administrator may have installed them for others; and app_private holds the
-- runner's own table.
drop owned by codeccloud_membership, codeccloud_audit, codeccloud_store, codeccloud_journal, codeccloud_reader,
    codeccloud_operator, codeccloud_vault;
-- `drop owned` would take from these also what a hosting platform granted them.
revoke usage on schema public, app_private from anon, authenticated, service_role;
