-- The tables of MVP mode: what the MVP's rows lack so that a booking can be decided on them, points as an account with its
-- ledger, and totals kept in the tables with every change. A command is decided in the server; nothing here knows a rule of
-- the domain.

-- Who acts for a customer or for a front-end's server is no member of the salon; see 0001 for how roles are made.
do $$
declare
    role_name text;
begin
    foreach role_name in array array['codeccloud_service', 'codeccloud_customer'] loop
        if not exists (select from pg_roles where rolname = role_name) then
            begin
                execute format('create role %I nologin', role_name);
            exception when duplicate_object or unique_violation then null;
            end;
        end if;
        if not pg_has_role(current_user, role_name, 'member') then
            begin
                execute format('grant %I to current_user', role_name);
            exception when unique_violation then null;
            end;
        end if;
    end loop;
end
$$;
grant usage on schema public, app_private, auth to codeccloud_service, codeccloud_customer;
grant execute on function app_private.current_tenant_id() to codeccloud_service, codeccloud_customer, codeccloud_store;

-- What a booking knows beyond the MVP's columns. Rows that other software writes have the defaults.
alter table appointments
    add column version int not null default 1,
    add column moved_at timestamptz,
    add column buffer_before_minutes int not null default 0,
    add column buffer_after_minutes int not null default 0,
    add column fee_waived bool not null default false,
    add column reason_recorded bool not null default false;
create index appointments_id on appointments (tenant_id, id);
create index appointments_staff on appointments (tenant_id, staff_id, slot_start);
create index appointments_customer on appointments (tenant_id, customer_id, slot_start);

-- step: The contract's `outboxEventId`: the event that the transaction is about.
alter table outbox_events add column event_id uuid;
alter table outbox_events
    alter column event_id set default nullif(current_setting('codeccloud.event_id', true), '')::uuid;

-- step: Tables of ours.
create table loyalty_accounts (
    tenant_id uuid not null,
    customer_id uuid not null,
    version int not null check (version > 0),
    balance bigint not null check (balance >= 0),  -- the sum of the ledger
    state jsonb not null,  -- what is left of which points, as of `version`
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (tenant_id, customer_id)
) with (fillfactor = 70);

create table loyalty_ledger (
    tenant_id uuid not null,
    customer_id uuid not null,
    version int not null check (version > 0),
    id uuid not null,
    kind text not null,
    points bigint not null,  -- signed
    booking_id uuid,
    reference_id uuid,  -- of the redemption or adjustment
    expires_at timestamptz,
    created_at timestamptz not null default now(),
    primary key (tenant_id, customer_id, version)
);
create trigger refuse_change before update or delete or truncate on loyalty_ledger
    for each statement execute function app_private.refuse_change();

-- Totals, moved on with each change of an appointment. Days are the tenant's own.
create table availability_calendars (
    tenant_id uuid not null,
    staff_id uuid not null,
    day date not null,
    booked_minutes int not null default 0,
    -- By the hours on record when somebody was last booked on that day; 0 where there were none.
    working_minutes int not null default 0,
    free_minutes int generated always as (greatest(working_minutes - booked_minutes, 0)) stored,
    updated_at timestamptz not null default now(),
    primary key (tenant_id, staff_id, day)
) with (fillfactor = 70);

-- By the day on which the slot starts. `bookings` are all of them, whatever became of them; revenue is what was completed.
create table sales_metrics (
    tenant_id uuid not null,
    day date not null,
    currency char(3) not null,
    bookings int not null default 0,
    booked_cents bigint not null default 0,
    completed int not null default 0,
    revenue_cents bigint not null default 0,
    cancellations int not null default 0,
    cancelled_cents bigint not null default 0,
    no_shows int not null default 0,
    no_show_cents bigint not null default 0,
    updated_at timestamptz not null default now(),
    primary key (tenant_id, day, currency)
) with (fillfactor = 70);

-- Policies ---------------------------------------------------------------------------------------------------------
-- For tables that commands write: a front-end's server has the rows of its tenant, a customer the own ones of it.
create function app_private.share_command_table(target regclass, own_rows text) returns void language plpgsql as $$
begin
    execute format(
        'create policy service on %s to codeccloud_service using (tenant_id = (select app_private.current_tenant_id()))',
        target
    );
    execute format(
        'create policy own_rows on %s to codeccloud_customer using (tenant_id = (select app_private.current_tenant_id())'
        ' and %s = (select auth.uid()))',
        target, own_rows
    );
    execute format(
        'create policy declared on %s to codeccloud_store using (%s) with check (%2$s)',
        target, 'tenant_id = any ((select app_private.declared_tenants())::uuid[])'
    );
end
$$;

select app_private.protect_tenant_table(target)
from unnest(array['loyalty_accounts', 'loyalty_ledger']::regclass[]) target;
select app_private.protect_tenant_table(target, 'select')
from unnest(array['availability_calendars', 'sales_metrics']::regclass[]) target;
select app_private.share_command_table(target, 'customer_id')
from unnest(array['loyalty_accounts', 'loyalty_ledger']::regclass[]) target;

grant select, insert, update on loyalty_accounts to codeccloud_service, codeccloud_customer, codeccloud_store;
grant select, insert on loyalty_ledger to codeccloud_service, codeccloud_customer, codeccloud_store;
grant select, insert, update on loyalty_accounts to authenticated;
grant select, insert on loyalty_ledger to authenticated;
grant select on availability_calendars, sales_metrics to authenticated;

do $$
declare
    target text;
begin
    foreach target in array array['loyalty_accounts', 'loyalty_ledger', 'availability_calendars', 'sales_metrics'] loop
        execute format('create policy reader on %I for select to codeccloud_reader using (true)', target);
        execute format('grant select on %I to codeccloud_reader', target);
    end loop;
end
$$;

-- step:
select app_private.share_command_table('appointments', 'customer_id');
create policy reader on appointments for select to codeccloud_reader using (true);
create policy audit on appointments for select to codeccloud_audit using (true);
grant select, insert, update on appointments to codeccloud_service, codeccloud_customer, codeccloud_store;
grant select on appointments to codeccloud_reader, codeccloud_audit;

-- step: A moved booking takes the resources that it holds along, whoever moves it.
create policy declared on resource_allocations to codeccloud_store
    using (tenant_id = any ((select app_private.declared_tenants())::uuid[]))
    with check (tenant_id = any ((select app_private.declared_tenants())::uuid[]));
create policy service on resource_allocations to codeccloud_service
    using (tenant_id = (select app_private.current_tenant_id()));
create policy own_rows on resource_allocations to codeccloud_customer
    using (tenant_id = (select app_private.current_tenant_id()) and exists (
        select from appointments a
        where (a.tenant_id, a.id) = (resource_allocations.tenant_id, resource_allocations.appointment_id)
    ));
grant select, update on resource_allocations to codeccloud_service, codeccloud_customer, codeccloud_store;

-- step:
create policy audit on availability_calendars to codeccloud_audit using (true) with check (true);
create policy audit on sales_metrics to codeccloud_audit using (true) with check (true);
create policy audit on tenant_settings for select to codeccloud_audit using (true);
grant select, insert, update, delete on availability_calendars, sales_metrics to codeccloud_audit;
grant select on tenant_settings to codeccloud_audit;

-- Totals -----------------------------------------------------------------------------------------------------------
-- Adds appointments to the totals (sign 1), or takes them out (-1).
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

-- Statuses that are counted alike.
create function app_private.counted_as(p_status public.appointment_status) returns public.appointment_status
immutable parallel safe
return case when p_status in ('confirmed', 'checked_in') then 'scheduled'::public.appointment_status else p_status end;

create function app_private.count_appointment() returns trigger
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

-- What a day has to offer, as whoever booked it found the hours on record.
create function app_private.note_working_minutes(p_tenant uuid[], p_staff uuid[], p_day date[], p_minutes int[])
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

-- Counts a tenant's totals anew, from what its rows say: for rows that were there before the totals were, and after a change
-- of the tenant's zone. Every writer of the tenant waits meanwhile, as for each other's bookings.
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

-- Changes of rows --------------------------------------------------------------------------------------------------
-- Rows that the journal's store writes are recorded with them, for many at once; everybody else's by the MVP's triggers,
-- which are found by what their functions write: only in our own schema do we know their names. What is switched off stays so.
create function app_private.leave_store_alone(target regclass) returns void language plpgsql as $$
declare
    found record;
begin
    for found in
        select t.tgname, t.tgenabled, pg_get_triggerdef(t.oid) as definition
        from pg_trigger t
        join pg_proc p on p.oid = t.tgfoid
        where t.tgrelid = target and not t.tgisinternal and t.tgtype & 1 = 1 and t.tgtype & 2 = 0  -- for each row, after
            and t.tgqual is null and p.prosrc ~ '\m(audit_log|outbox_events|data_version)\M'
    loop
        execute replace(
            regexp_replace(found.definition, '^CREATE TRIGGER', 'CREATE OR REPLACE TRIGGER'),
            ' EXECUTE FUNCTION ', ' WHEN (current_user <> ''codeccloud_store'') EXECUTE FUNCTION '
        );
        if found.tgenabled = 'D' then
            execute format('alter table %s disable trigger %I', target, found.tgname);
        end if;
    end loop;
end
$$;

-- step:
select app_private.leave_store_alone('resource_allocations');
-- step:
select app_private.leave_store_alone('products');
-- step:
select app_private.leave_store_alone('product_stock_movements');
-- step:
select app_private.leave_store_alone('appointments');
-- step:
drop function app_private.leave_store_alone(regclass);

-- Of a table of ours. The tenant's row is locked first, as in 0001.
create function app_private.record_changes_of(target regclass) returns void language plpgsql as $$
declare
    action text;
begin
    foreach action in array array['bump_data_version', 'record_audit', 'record_outbox'] loop
        execute format(
            'create trigger %I after insert or update or delete on %s for each row'
            ' when (current_user <> ''codeccloud_store'') execute function app_private.%1$I()',
            action, target
        );
    end loop;
end
$$;

select app_private.record_changes_of('loyalty_ledger');

-- step:
create trigger count_appointment after insert or update or delete on appointments
    for each row when (current_user <> 'codeccloud_store') execute function app_private.count_appointment();

-- step: The exclusion of overlaps is each month's own. Whatever reaches over a month's end, or may be reached, takes its turn with
-- the person's other bookings and looks at the neighbouring month too.
create function app_private.refuse_month_overlap() returns trigger
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

-- step: Before the row is there, so that the person is locked before the tenant's row is, as by the server's own bookings; and
-- after `keep_slot_bounds`, by name.
create trigger refuse_month_overlap before insert or update of slot, slot_start, slot_end, staff_id, status on appointments
    for each row when (
        new.status in ('scheduled', 'confirmed', 'checked_in') and (
            extract(day from new.slot_start at time zone 'UTC') <= 2
            or date_trunc('month', new.slot_start at time zone 'UTC')
                <> date_trunc('month', new.slot_end at time zone 'UTC')
        )
    ) execute function app_private.refuse_month_overlap();

-- step:
revoke execute on function
    app_private.count_appointments, app_private.counted_as, app_private.count_appointment(),
    app_private.note_working_minutes, app_private.recount_totals(uuid), app_private.record_changes_of(regclass),
    app_private.refuse_month_overlap(), app_private.share_command_table
    from public;
grant execute on function app_private.note_working_minutes
    to authenticated, codeccloud_service, codeccloud_customer, codeccloud_store;
grant execute on function app_private.count_appointments to codeccloud_store;
grant execute on function app_private.current_tenant_id(), app_private.declared_tenants() to codeccloud_audit;

grant create on schema app_private to codeccloud_audit;
alter function app_private.count_appointments owner to codeccloud_audit;
alter function app_private.counted_as owner to codeccloud_audit;
alter function app_private.count_appointment() owner to codeccloud_audit;
alter function app_private.note_working_minutes owner to codeccloud_audit;
alter function app_private.recount_totals(uuid) owner to codeccloud_audit;
alter function app_private.refuse_month_overlap() owner to codeccloud_audit;
revoke create on schema app_private from codeccloud_audit;
