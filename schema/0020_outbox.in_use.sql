-- The deployment's sequences may have other names than ours, and each table is locked by itself.

\instead insert into app_private.outbox_start;
do $$
begin
    execute format(
        'insert into app_private.outbox_start (entry_id) select case when is_called then last_value else 0 end from %s',
        pg_get_serial_sequence('public.outbox_events', 'id')
    );
end
$$;

\instead grant usage on sequence audit_log_id_seq;
do $$
begin
    execute format('grant usage on sequence %s to codeccloud_outbox', pg_get_serial_sequence('public.audit_log', 'id'));
end
$$;

\instead do … 'tenant_settings', 'appointment_services';
grant select on tenants, tenant_settings, appointment_services, staff_profiles to codeccloud_outbox;
create policy outbox on tenant_settings for select to codeccloud_outbox using (true);
create policy outbox on tenants for select to codeccloud_outbox using (true);
create policy outbox on appointment_services for select to codeccloud_outbox using (true);
create policy outbox on staff_profiles for select to codeccloud_outbox using (true);
