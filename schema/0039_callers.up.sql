-- Functions that see more than their callers ask all members for their membership, whatever they read; and what takes turns
-- does so within its tenant, since ids may be the client's to choose.

-- A member acts for the own tenant only. The server's own roles are given to whom it has checked itself, and who may act as
-- the store needs no function for it. Everybody else is a member or a stranger, whatever their role is called.
create or replace function app_private.refuse_strangers(p_tenant uuid) returns void language plpgsql
set search_path = pg_catalog, pg_temp as $$
declare
    v_role constant name := coalesce(nullif(current_setting('role'), 'none'), session_user);
begin
    if v_role not in ('codeccloud_service', 'codeccloud_customer', 'codeccloud_journal')
        and not pg_has_role(v_role, 'codeccloud_store', 'member') and not app_private.is_tenant_member(p_tenant)
    then
        raise exception 'not a member of the tenant' using errcode = 'insufficient_privilege';
    end if;
end
$$;

-- What a day has to offer, as whoever booked it found the hours on record.
create or replace function app_private.note_working_minutes(p_tenant uuid[], p_staff uuid[], p_day date[], p_minutes int[])
returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    if exists (
        select from unnest(p_tenant) t
        where t is distinct from app_private.current_tenant_id() and t <> all (app_private.declared_tenants())
    ) then
        raise exception 'not the tenant that the transaction is for' using errcode = 'insufficient_privilege';
    end if;
    perform app_private.refuse_strangers(t) from (select distinct unnest(p_tenant)) as w (t);
    insert into public.availability_calendars as c (tenant_id, staff_id, day, working_minutes)
    select distinct on (w.tenant_id, w.staff_id, w.day) w.tenant_id, w.staff_id, w.day, w.minutes
    from unnest(p_tenant, p_staff, p_day, p_minutes) with ordinality as w (tenant_id, staff_id, day, minutes, number)
    order by w.tenant_id, w.staff_id, w.day, w.number desc
    on conflict (tenant_id, staff_id, day) do update
        set working_minutes = excluded.working_minutes, updated_at = now()
        where c.working_minutes <> excluded.working_minutes;
end
$$;

-- Makes bookings of one person take turns, until the transaction ends. Whoever asks for a slot that is taken already need
-- not wait to hear of it: then it returns false and locks nothing, unless `p_anyway`.
create or replace function app_private.lock_staff(
    p_staff uuid, p_from timestamptz, p_to timestamptz, p_booking uuid, p_anyway boolean
) returns boolean language plpgsql security definer set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
begin
    perform app_private.refuse_strangers(app_private.current_tenant_id());
    if not p_anyway and exists (
        select from public.appointments a
        where a.tenant_id = app_private.current_tenant_id() and a.staff_id = p_staff and a.id <> p_booking
            and a.status in ('scheduled', 'confirmed', 'checked_in')
            and a.slot_start > p_from - interval '1 day' and a.slot_start < p_to and a.slot_end > p_from
    ) then
        return false;
    end if;
    perform pg_advisory_xact_lock(hashtextextended('staff/' || app_private.current_tenant_id() || '/' || p_staff, 0::bigint));
    return true;
end
$$;

-- When people are busy, to whoever may book them: slots without whose they are. Slots that other software made longer than
-- a day are found by the exclusion constraint only. The plan is kept: to make one costs as much as there are months, and by
-- index in each month there is no better one.
create or replace function app_private.busy_slots(p_staff uuid[], p_from timestamptz, p_to timestamptz)
returns table (
    staff_id uuid, id uuid, service_id uuid, slot_start timestamptz, slot_end timestamptz, buffer_before_minutes int,
    buffer_after_minutes int
) language plpgsql security definer set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
#variable_conflict use_column
declare
    v_tenant uuid := app_private.current_tenant_id();
begin
    perform app_private.refuse_strangers(v_tenant);
    return query
        select a.staff_id, a.id, a.service_id, a.slot_start, a.slot_end, a.buffer_before_minutes, a.buffer_after_minutes
        from public.appointments a
        where a.tenant_id = v_tenant and a.staff_id = any (p_staff)
            and a.status in ('scheduled', 'confirmed', 'checked_in')
            and a.slot_start > p_from - interval '2 days' and a.slot_start < p_to + interval '1 day'
            and a.slot_start - make_interval(mins => a.buffer_before_minutes) < p_to
            and a.slot_end + make_interval(mins => a.buffer_after_minutes) > p_from;
end
$$;

-- Points of one customer are decided on in turn, also before there is an account.
create or replace function app_private.lock_account(p_customer uuid) returns void
language sql set search_path = pg_catalog, pg_temp
begin atomic
    select pg_advisory_xact_lock(
        hashtextextended('account/' || app_private.current_tenant_id() || '/' || p_customer, 0::bigint)
    );
end;

-- An item is decided on in turn, also before there is a row of it.
create or replace function app_private.lock_stock(p_product uuid) returns void
language sql set search_path = pg_catalog, pg_temp
begin atomic
    select pg_advisory_xact_lock(
        hashtextextended('stock/' || app_private.current_tenant_id() || '/' || p_product, 0::bigint)
    );
end;

-- The exclusion of overlaps is each month's own. Whatever reaches over a month's end, or may be reached, takes its turn with
-- the person's other bookings and looks at the neighbouring month too.
create or replace function app_private.refuse_month_overlap() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
begin
    perform pg_advisory_xact_lock(hashtextextended('staff/' || new.tenant_id || '/' || new.staff_id, 0::bigint));
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

grant execute on function app_private.refuse_strangers(uuid), app_private.is_tenant_member(uuid) to codeccloud_audit;
