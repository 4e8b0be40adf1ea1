-- As in 0015, 0017 and 0026.
create or replace function app_private.refuse_strangers(p_tenant uuid) returns void language plpgsql
set search_path = pg_catalog, pg_temp as $$
begin
    if current_setting('role') = 'authenticated' and not app_private.is_tenant_member(p_tenant) then
        raise exception 'not a member of the tenant' using errcode = 'insufficient_privilege';
    end if;
end
$$;

create or replace function app_private.note_working_minutes(p_tenant uuid[], p_staff uuid[], p_day date[], p_minutes int[])
returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    if exists (
        select from unnest(p_tenant) t
        where t is distinct from app_private.current_tenant_id() and t <> all (app_private.declared_tenants())
    ) then
        raise exception 'not the tenant that the transaction is for' using errcode = 'insufficient_privilege';
    end if;
    insert into public.availability_calendars as c (tenant_id, staff_id, day, working_minutes)
    select distinct on (w.tenant_id, w.staff_id, w.day) w.tenant_id, w.staff_id, w.day, w.minutes
    from unnest(p_tenant, p_staff, p_day, p_minutes) with ordinality as w (tenant_id, staff_id, day, minutes, number)
    order by w.tenant_id, w.staff_id, w.day, w.number desc
    on conflict (tenant_id, staff_id, day) do update
        set working_minutes = excluded.working_minutes, updated_at = now()
        where c.working_minutes <> excluded.working_minutes;
end
$$;

create or replace function app_private.lock_staff(
    p_staff uuid, p_from timestamptz, p_to timestamptz, p_booking uuid, p_anyway boolean
) returns boolean language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    if not p_anyway and exists (
        select from public.appointments a
        where a.tenant_id = app_private.current_tenant_id() and a.staff_id = p_staff and a.id <> p_booking
            and a.status in ('scheduled', 'confirmed', 'checked_in')
            and a.slot_start > p_from - interval '1 day' and a.slot_start < p_to and a.slot_end > p_from
    ) then
        return false;
    end if;
    perform pg_advisory_xact_lock(hashtextextended('staff/' || p_staff, 0::bigint));
    return true;
end
$$;

create or replace function app_private.busy_slots(p_staff uuid[], p_from timestamptz, p_to timestamptz)
returns table (
    staff_id uuid, id uuid, service_id uuid, slot_start timestamptz, slot_end timestamptz, buffer_before_minutes int,
    buffer_after_minutes int
) language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    return query
        select a.staff_id, a.id, a.service_id, a.slot_start, a.slot_end, a.buffer_before_minutes, a.buffer_after_minutes
        from unnest(p_staff) staff
        join public.appointments a on a.tenant_id = app_private.current_tenant_id() and a.staff_id = staff
        where a.status in ('scheduled', 'confirmed', 'checked_in')
            and a.slot_start > p_from - interval '2 days' and a.slot_start < p_to + interval '1 day'
            and a.slot_start - make_interval(mins => a.buffer_before_minutes) < p_to
            and a.slot_end + make_interval(mins => a.buffer_after_minutes) > p_from;
end
$$;

create or replace function app_private.lock_account(p_customer uuid) returns void
language sql set search_path = pg_catalog, pg_temp
begin atomic
    select pg_advisory_xact_lock(hashtextextended('account/' || p_customer, 0::bigint));
end;

create or replace function app_private.lock_stock(p_product uuid) returns void
language sql set search_path = pg_catalog, pg_temp
begin atomic
    select pg_advisory_xact_lock(hashtextextended('stock/' || p_product, 0::bigint));
end;

create or replace function app_private.refuse_month_overlap() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform pg_advisory_xact_lock(hashtextextended('staff/' || new.staff_id, 0::bigint));
    if exists (
        select from public.appointments a
        where a.tenant_id = new.tenant_id and a.staff_id = new.staff_id and a.id <> new.id
            and a.status in ('scheduled', 'confirmed', 'checked_in')
            and a.slot_start > new.slot_start - interval '2 days' and a.slot_start < new.slot_end
            and a.slot_end > new.slot_start
            and date_trunc('month', a.slot_start at time zone 'UTC')
                <> date_trunc('month', new.slot_start at time zone 'UTC')
    ) then
        raise exception 'the slot overlaps another across the end of a month' using errcode = 'exclusion_violation';
    end if;
    return new;
end
$$;

revoke execute on function app_private.refuse_strangers(uuid), app_private.is_tenant_member(uuid) from codeccloud_audit;
