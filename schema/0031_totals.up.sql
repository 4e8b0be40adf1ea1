-- Totals of rows that were there before the totals were: counted month by month, each in a transaction of its own, so that
-- a salon's writers wait for one month's count at most.

grant create on schema app_private to codeccloud_audit;

drop function app_private.recount_totals(uuid);
drop function app_private.count_appointments(
    int[], uuid[], uuid[], public.appointment_status[], timestamptz[], timestamptz[], int[], text[]
);

-- Adds appointments to the totals (sign 1), or takes them out (-1): what falls on the days from `p_from` until before `p_to`.
create function app_private.count_appointments(
    p_sign int[], p_tenant uuid[], p_staff uuid[], p_status public.appointment_status[], p_start timestamptz[],
    p_end timestamptz[], p_price int[], p_currency text[], p_from date default '-infinity', p_to date default 'infinity'
) returns void language plpgsql security definer set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan as $$
begin
    insert into public.sales_metrics as m (
        tenant_id, day, currency, bookings, booked_cents, completed, revenue_cents, cancellations, cancelled_cents,
        no_shows, no_show_cents
    )
    select c.tenant_id, d.day, c.currency,
        sum(c.sign), sum(c.sign * c.price),
        sum(case when c.status = 'completed' then c.sign else 0 end),
        sum(case when c.status = 'completed' then c.sign * c.price else 0 end),
        sum(case when c.status = 'cancelled' then c.sign else 0 end),
        sum(case when c.status = 'cancelled' then c.sign * c.price else 0 end),
        sum(case when c.status = 'no_show' then c.sign else 0 end),
        sum(case when c.status = 'no_show' then c.sign * c.price else 0 end)
    from unnest(p_sign, p_tenant, p_status, p_start, p_price::bigint[], p_currency)
        as c (sign, tenant_id, status, slot_start, price, currency)
    left join public.tenant_settings s on s.tenant_id = c.tenant_id
    cross join lateral (select (c.slot_start at time zone coalesce(s.time_zone, 'Europe/Zurich'))::date as day) d
    where c.status <> 'draft' and d.day >= p_from and d.day < p_to
    group by 1, 2, 3
    order by 1, 2, 3
    on conflict (tenant_id, day, currency) do update set
        bookings = m.bookings + excluded.bookings, booked_cents = m.booked_cents + excluded.booked_cents,
        completed = m.completed + excluded.completed, revenue_cents = m.revenue_cents + excluded.revenue_cents,
        cancellations = m.cancellations + excluded.cancellations,
        cancelled_cents = m.cancelled_cents + excluded.cancelled_cents,
        no_shows = m.no_shows + excluded.no_shows, no_show_cents = m.no_show_cents + excluded.no_show_cents,
        updated_at = now();

    -- Of each local day that the slot touches, the minutes up to its end less those before it: they add up to the slot's.
    insert into public.availability_calendars as c (tenant_id, staff_id, day, booked_minutes)
    select h.tenant_id, h.staff_id, d.day::date, sum(h.sign * (
        trunc(extract(epoch from least(h.slot_end, (d.day + interval '1 day') at time zone h.zone) - h.slot_start) / 60)
        - trunc(extract(epoch from greatest(d.day at time zone h.zone, h.slot_start) - h.slot_start) / 60)
    ))::int as minutes
    from (
        select a.*, coalesce(s.time_zone, 'Europe/Zurich') as zone
        from unnest(p_sign, p_tenant, p_staff, p_status, p_start, p_end)
            as a (sign, tenant_id, staff_id, status, slot_start, slot_end)
        left join public.tenant_settings s on s.tenant_id = a.tenant_id
        where a.status in ('scheduled', 'confirmed', 'checked_in', 'completed')
    ) h
    cross join lateral generate_series(
        date_trunc('day', h.slot_start at time zone h.zone), (h.slot_end - interval '1 us') at time zone h.zone,
        interval '1 day'
    ) as d (day)
    where d.day >= p_from and d.day < p_to
    group by 1, 2, 3
    order by 1, 2, 3
    on conflict (tenant_id, staff_id, day) do update
        set booked_minutes = c.booked_minutes + excluded.booked_minutes, updated_at = now();
end
$$;

-- The tenant's row is locked first, as by whoever raises its version: a deployment's own trigger for that may come later than
-- this one by its name, and two writers of one day would wait for each other in a circle.
create or replace function app_private.count_appointment() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform from public.tenants t where t.id = coalesce(new.tenant_id, old.tenant_id) for no key update;
    if tg_op = 'INSERT' then
        perform app_private.count_appointments(
            array[1], array[new.tenant_id], array[new.staff_id], array[new.status], array[new.slot_start],
            array[new.slot_end], array[new.price_cents], array[new.currency::text]
        );
    elsif tg_op = 'DELETE' then
        perform app_private.count_appointments(
            array[-1], array[old.tenant_id], array[old.staff_id], array[old.status], array[old.slot_start],
            array[old.slot_end], array[old.price_cents], array[old.currency::text]
        );
    elsif (old.tenant_id, old.staff_id, app_private.counted_as(old.status), old.slot_start, old.slot_end, old.price_cents,
            old.currency)
        is distinct from (new.tenant_id, new.staff_id, app_private.counted_as(new.status), new.slot_start, new.slot_end,
            new.price_cents, new.currency)
    then
        perform app_private.count_appointments(
            array[-1, 1], array[old.tenant_id, new.tenant_id], array[old.staff_id, new.staff_id],
            array[old.status, new.status], array[old.slot_start, new.slot_start], array[old.slot_end, new.slot_end],
            array[old.price_cents, new.price_cents], array[old.currency::text, new.currency::text]
        );
    end if;
    return null;
end
$$;

-- Counts the days from `p_from` until before `p_to` anew, from what the rows say, while every writer of the tenant waits as
-- for each other's bookings. No slot was longer than `p_longest`; others may have been made since.
create function app_private.recount_totals(
    p_tenant uuid, p_from date default '-infinity', p_to date default 'infinity', p_longest interval default null
) returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    zone text;
    begins timestamptz;
    ends timestamptz;
    longest interval := p_longest;
begin
    perform from public.tenants t where t.id = p_tenant for no key update;
    -- Whatever is asked before the lock may have changed while it was waited for.
    zone := coalesce((select s.time_zone from public.tenant_settings s where s.tenant_id = p_tenant), 'Europe/Zurich');
    begins := p_from::timestamp at time zone zone;
    ends := p_to::timestamp at time zone zone;
    if longest is not null then
        select greatest(longest, max(a.slot_end - a.slot_start)) into longest from public.appointments a
        where a.tenant_id = p_tenant and a.slot_start >= begins - interval '2 months' and a.slot_start < begins;
    end if;
    delete from public.sales_metrics m where m.tenant_id = p_tenant and m.day >= p_from and m.day < p_to;
    update public.availability_calendars c set booked_minutes = 0
    where c.tenant_id = p_tenant and c.day >= p_from and c.day < p_to and c.booked_minutes <> 0;
    perform app_private.count_appointments(
        array_agg(1), array_agg(a.tenant_id), array_agg(a.staff_id), array_agg(a.status), array_agg(a.slot_start),
        array_agg(a.slot_end), array_agg(a.price_cents), array_agg(a.currency::text), p_from, p_to
    )
    from public.appointments a
    where a.tenant_id = p_tenant and a.slot_start < ends and a.slot_start >= coalesce(begins - longest, '-infinity')
    having count(*) > 0;
end
$$;

-- Tenants whose totals are still to be counted, and how far that is. Month by month: the days before `next_day` are done.
create table app_private.totals_to_count (
    tenant_id uuid primary key,
    next_day date,
    end_day date,
    longest interval
);
alter table app_private.totals_to_count enable row level security, force row level security;
create policy audit on app_private.totals_to_count to codeccloud_audit using (true) with check (true);
grant select, insert, update, delete on app_private.totals_to_count to codeccloud_audit;

-- Counts a month of a tenant; false once nothing is left. Several may ask at once.
create function app_private.count_next_totals() returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    counted app_private.totals_to_count;
    month_end date;
begin
    select * into counted from app_private.totals_to_count t order by t.tenant_id limit 1 for update;
    if not found then
        return false;
    end if;
    if counted.next_day is null then
        -- Local days may begin a day before those of UTC, and end a day behind.
        select date_trunc('month', min(a.slot_start) - interval '1 day')::date, (max(a.slot_end) + interval '2 days')::date,
            max(a.slot_end - a.slot_start)
        into counted.next_day, counted.end_day, counted.longest
        from public.appointments a where a.tenant_id = counted.tenant_id;
    end if;
    if counted.next_day < counted.end_day then
        month_end := counted.next_day + interval '1 month';
        perform app_private.recount_totals(counted.tenant_id, counted.next_day, month_end, counted.longest);
        update app_private.totals_to_count t
        set next_day = month_end, end_day = counted.end_day, longest = counted.longest
        where t.tenant_id = counted.tenant_id;
    else
        delete from app_private.totals_to_count t where t.tenant_id = counted.tenant_id;
    end if;
    return true;
end
$$;

-- A change of the zone moves what has been counted to other days. A tenant without settings is counted in Zurich's.
create function app_private.recount_in_zone() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    if coalesce(old.time_zone, 'Europe/Zurich') <> coalesce(new.time_zone, 'Europe/Zurich') then
        perform app_private.recount_totals(coalesce(new.tenant_id, old.tenant_id));
    end if;
    return null;
end
$$;
create trigger recount_in_zone after insert or delete or update of time_zone on tenant_settings
    for each row execute function app_private.recount_in_zone();

-- Row security hides the tenants from an owner that it holds for.
create function app_private.count_all_totals() returns void
language sql security definer set search_path = pg_catalog, pg_temp as $$
    insert into app_private.totals_to_count (tenant_id) select t.id from public.tenants t on conflict do nothing
$$;

revoke execute on function
    app_private.count_appointments, app_private.recount_totals, app_private.count_next_totals,
    app_private.recount_in_zone, app_private.count_all_totals
    from public;
grant execute on function app_private.count_appointments to codeccloud_store;
alter function app_private.count_appointments owner to codeccloud_audit;
alter function app_private.recount_totals owner to codeccloud_audit;
alter function app_private.count_next_totals owner to codeccloud_audit;
alter function app_private.recount_in_zone owner to codeccloud_audit;
alter function app_private.count_all_totals owner to codeccloud_audit;
revoke create on schema app_private from codeccloud_audit;

select app_private.count_all_totals();
drop function app_private.count_all_totals();
