drop trigger note_tenant_change on tenants;
do $$
declare
    target text;
    operation text;
begin
    foreach target in array array['tenant_members', 'staff_profiles', 'appointment_services'] loop
        foreach operation in array array['insert', 'update', 'delete'] loop
            execute format('drop trigger %I on %I', 'note_reference_' || operation, target);
        end loop;
    end loop;
end
$$;
drop table tenant_settings, staff_working_hours, staff_hours_exceptions, staff_time_off, staff_details,
    service_details, service_staff, reference_versions;
drop function
    app_private.watch_reference_table(regclass), app_private.note_tenant_change(),
    app_private.note_reference_change(), app_private.bump_reference_versions(uuid[]);
alter table staff_profiles drop constraint staff_profiles_tenant_key;
alter table appointment_services drop constraint appointment_services_tenant_key;
