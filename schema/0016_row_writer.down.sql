drop function app_private.write_rows_of_append;
drop function app_private.write_rows;
drop function app_private.record_appointments;
drop function app_private.record_inserts;
drop policy declared on tenants;
drop policy declared on audit_log;
drop policy declared on outbox_events;
revoke select (id, data_version), update (data_version) on tenants from codeccloud_store;
revoke insert on audit_log, outbox_events from codeccloud_store;
do $$
begin
    execute format('revoke usage on sequence %s, %s from codeccloud_store',
        pg_get_serial_sequence('public.audit_log', 'id'), pg_get_serial_sequence('public.outbox_events', 'id'));
end
$$;
