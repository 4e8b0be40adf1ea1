-- Indexes that 0001 makes on a fresh database, where the deployment has none like them.
create index if not exists audit_log_by_tenant on audit_log (tenant_id, id);
create index if not exists outbox_events_unprocessed on outbox_events (id) where processed_at is null;
create index if not exists resource_allocations_by_appointment on resource_allocations
    (tenant_id, appointment_id, appointment_slot_start);
