-- The deployment's sequences may have other names than ours.
\instead grant usage on sequence audit_log_id_seq;
do $$
begin
    execute format('grant usage on sequence %s, %s to codeccloud_store',
        pg_get_serial_sequence('public.audit_log', 'id'), pg_get_serial_sequence('public.outbox_events', 'id'));
end
$$;
