drop function app_private.write_rows_of_append;
drop function app_private.write_rows;
drop function app_private.record_appointments;
drop policy declared on tenants;
drop policy declared on audit_log;
drop policy declared on outbox_events;
revoke select (id, data_version), update (data_version) on tenants from codeccloud_store;
revoke insert on audit_log, outbox_events from codeccloud_store;
revoke usage on sequence audit_log_id_seq, outbox_events_id_seq from codeccloud_store;
