drop trigger recount_in_zone on tenant_settings;
drop function app_private.recount_in_zone();
drop function app_private.count_next_totals();
drop table app_private.totals_to_count;
drop function app_private.recount_totals;
drop function app_private.count_appointments;

grant create on schema app_private to codeccloud_audit;
create function app_private.count_appointments(
    p_sign int[], p_tenant uuid[], p_staff uuid[], p_status public.appointment_status[], p_start timestamptz[],
    p_end timestamptz[], p_price int[], p_currency text[]
) returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    insert into public.sales_metrics as m (
        tenant_id, day, currency, bookings, booked_cents, completed, revenue_cents, cancellations, cancelled_cents,
        no_shows, no_show_cents
    )
    select c.tenant_id, (c.slot_start at time zone coalesce(s.time_zone, 'Europe/Zurich'))::date, c.currency,
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
    where c.status <> 'draft'
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
    group by 1, 2, 3
    order by 1, 2, 3
    on conflict (tenant_id, staff_id, day) do update
        set booked_minutes = c.booked_minutes + excluded.booked_minutes, updated_at = now();
end
$$;

create or replace function app_private.count_appointment() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
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

create function app_private.recount_totals(p_tenant uuid) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform from public.tenants t where t.id = p_tenant for no key update;
    delete from public.sales_metrics m where m.tenant_id = p_tenant;
    update public.availability_calendars c set booked_minutes = 0 where c.tenant_id = p_tenant;
    perform app_private.count_appointments(
        array_agg(1), array_agg(a.tenant_id), array_agg(a.staff_id), array_agg(a.status), array_agg(a.slot_start),
        array_agg(a.slot_end), array_agg(a.price_cents), array_agg(a.currency::text)
    )
    from public.appointments a where a.tenant_id = p_tenant;
end
$$;

revoke execute on function app_private.count_appointments, app_private.recount_totals(uuid) from public;
grant execute on function app_private.count_appointments to codeccloud_store;
alter function app_private.count_appointments owner to codeccloud_audit;
alter function app_private.recount_totals(uuid) owner to codeccloud_audit;
revoke create on schema app_private from codeccloud_audit;
