drop trigger refuse_month_overlap on appointments;
drop trigger count_appointment on appointments;
drop policy declared on appointments;
drop policy service on appointments;
drop policy own_rows on appointments;
drop policy audit on appointments;
drop policy reader on appointments;
revoke all on appointments from codeccloud_service, codeccloud_customer, codeccloud_store, codeccloud_audit, codeccloud_reader;
drop policy declared on resource_allocations;
drop policy service on resource_allocations;
drop policy own_rows on resource_allocations;
revoke all on resource_allocations from codeccloud_service, codeccloud_customer, codeccloud_store;
drop policy audit on tenant_settings;
revoke select on tenant_settings from codeccloud_audit;
drop table sales_metrics, availability_calendars, loyalty_ledger, loyalty_accounts;

do $$
declare
    found record;
begin
    for found in
        select t.tgname, t.tgrelid::regclass as target, t.tgenabled, pg_get_triggerdef(t.oid) as definition
        from pg_trigger t
        where t.tgrelid = any (array[
                'appointments', 'resource_allocations', 'products', 'product_stock_movements'
            ]::regclass[])
            and not t.tgisinternal and pg_get_triggerdef(t.oid) like '%codeccloud_store%'
    loop
        execute regexp_replace(
            regexp_replace(found.definition, '^CREATE TRIGGER', 'CREATE OR REPLACE TRIGGER'),
            ' WHEN .* EXECUTE FUNCTION ', ' EXECUTE FUNCTION '
        );
        if found.tgenabled = 'D' then
            execute format('alter table %s disable trigger %I', found.target, found.tgname);
        end if;
    end loop;
end
$$;

drop function app_private.refuse_month_overlap();
drop function app_private.record_changes_of(regclass);
drop function app_private.recount_totals(uuid);
drop function app_private.note_working_minutes;
drop function app_private.count_appointment();
drop function app_private.counted_as;
drop function app_private.count_appointments;
drop function app_private.share_command_table;

alter table outbox_events drop column event_id;
drop index appointments_customer, appointments_staff, appointments_id;
alter table appointments
    drop column version, drop column moved_at, drop column buffer_before_minutes, drop column buffer_after_minutes,
    drop column fee_waived, drop column reason_recorded;

revoke execute on function app_private.current_tenant_id() from codeccloud_service, codeccloud_customer, codeccloud_audit;
revoke execute on function app_private.declared_tenants() from codeccloud_audit;
revoke usage on schema public, app_private, auth from codeccloud_service, codeccloud_customer;
