-- 36 months of a deployment's life: three salons, twelve people, and as many appointments as the setting `mvp.appointments`
-- asks for (at most 52,000), with the audit log and the outbox that its triggers have left, and the gaps that a real log
-- has. Set-based and with triggers off, so that it takes seconds. Runs as superuser. Every id is made from a number, so
-- that two runs agree.
set session_replication_role = replica;
set timezone = 'UTC';
create function pg_temp.id(kind text, number bigint) returns uuid language sql immutable as
    $$ select md5(kind || number)::uuid $$;

insert into tenants (id, slug, name, locale, created_at)
select pg_temp.id('tenant', n), 'salon-' || n, 'Salon ' || n, (array['de-CH', 'fr-CH', 'it-CH'])[n],
    date_trunc('month', now()) - interval '30 months'
from generate_series(1, 3) n;
insert into tenant_members (tenant_id, user_id, role, accepted_at)
select pg_temp.id('tenant', t), pg_temp.id('user', t * 10 + r), (array['owner', 'manager', 'staff'])[r], now()
from generate_series(1, 3) t, generate_series(1, 3) r;
insert into tenant_members (tenant_id, user_id, role, accepted_at, revoked_at)
select pg_temp.id('tenant', t), pg_temp.id('user', t * 10 + 9), 'staff', now() - interval '1 year', now()
from generate_series(1, 3) t;
insert into staff_profiles (id, tenant_id, user_id, display_name)
select pg_temp.id('staff', n), pg_temp.id('tenant', 1 + n % 3), case when n < 3 then pg_temp.id('user', (1 + n) * 10 + 3) end,
    'Person ' || n
from generate_series(0, 11) n;
insert into resources (id, tenant_id, name, kind)
select pg_temp.id('resource', n), pg_temp.id('tenant', 1 + n % 3), 'Chair ' || n, 'chair' from generate_series(0, 11) n;
insert into appointment_services (tenant_id, id, name, duration_minutes, price_cents)
select pg_temp.id('tenant', t), pg_temp.id('service', t * 10 + n), 'Service ' || n, 60, 4000 + n * 1000
from generate_series(1, 3) t, generate_series(1, 5) n;
insert into products (tenant_id, id, sku, name, price_cents)
select pg_temp.id('tenant', 1 + n % 3), pg_temp.id('product', n), 'SKU-' || n, 'Product ' || n, 1000 + n
from generate_series(0, 29) n;
insert into product_stock_movements (tenant_id, id, product_id, quantity_delta, reason)
select pg_temp.id('tenant', 1 + n % 3), pg_temp.id('movement', n), pg_temp.id('product', n % 30), 1 + n % 5, 'delivery'
from generate_series(0, 299) n;
insert into product_stock (tenant_id, product_id, quantity_on_hand)
select tenant_id, product_id, sum(quantity_delta) from product_stock_movements group by tenant_id, product_id;

-- Each person serves at eight, ten, twelve and two o'clock, day after day.
create temp table plan as
select n, pg_temp.id('tenant', 1 + n % 12 % 3) as tenant_id, pg_temp.id('appointment', n) as id, 'B-' || n as code,
    pg_temp.id('customer', n % 2000) as customer_id, pg_temp.id('staff', n % 12) as staff_id,
    pg_temp.id('service', (1 + n % 12 % 3) * 10 + 1 + n % 5) as service_id,
    4000 + (1 + n % 5) * 1000 as price_cents, start.at as slot_start,
    start.at - make_interval(days => 1 + n % 20) as booked_at,
    case when n % 10 = 0 then 'Mag Kaffee, Tel. 079 123 45 67 (Frau Muster)' end as notes,
    (case
        when n % 12 = 11 and n % 7 = 0 then 'cancelled'
        when start.at > now() then (array['scheduled', 'confirmed', 'scheduled', 'draft'])[1 + n % 4]
        when n % 20 = 3 then 'no_show'
        else 'completed'
    end)::appointment_status as status
from generate_series(0, current_setting('mvp.appointments')::int - 1) n,
    lateral (select date_trunc('month', now()) - interval '30 months'
        + make_interval(days => n / 12 * 1085 / greatest(current_setting('mvp.appointments')::int / 12, 1),
            hours => 8 + n / 12 % 4 * 2) as at) start;
-- Where days hold more than one per hour, the later ones went elsewhere.
delete from plan p using plan q
where q.n < p.n and q.staff_id = p.staff_id and q.slot_start = p.slot_start;

insert into appointments (
    tenant_id, id, code, customer_id, staff_id, service_id, status, slot, slot_start, slot_end, price_cents, notes,
    created_at, updated_at, cancelled_at
)
select tenant_id, id, code, customer_id, staff_id, service_id, status,
    tstzrange(slot_start, slot_start + interval '1 hour'), slot_start, slot_start + interval '1 hour', price_cents, notes,
    booked_at, least(slot_start, now()), case when status = 'cancelled' then slot_start - interval '4 hours' end
from plan;

insert into resource_allocations (tenant_id, id, appointment_id, appointment_slot_start, resource_id, usage_range)
select tenant_id, pg_temp.id('allocation', n), id, slot_start, pg_temp.id('resource', n % 12),
    tstzrange(slot_start, slot_start + interval '1 hour')
from plan where n % 240 < 12 and status <> 'cancelled';

-- The audit log: each row's way through its statuses, since auditing was switched on three months after the beginning.
create temp table history as
select p.n, step.number, step.before, step.after, p.booked_at + step.number * interval '1 minute' as at
from plan p, lateral (
    select number, lag(status) over (order by number) as before, status as after
    from unnest((case p.status
        when 'draft' then '{draft}'
        when 'scheduled' then '{scheduled}'
        when 'confirmed' then '{scheduled,confirmed}'
        when 'cancelled' then '{scheduled,cancelled}'
        else '{scheduled,confirmed,checked_in,' || p.status || '}'
    end)::appointment_status[]) with ordinality path (status, number)
) step
where p.booked_at >= date_trunc('month', now()) - interval '27 months';

create temp table changes as
select h.n, h.number, h.at, 'appointments_' || to_char(a.slot_start, 'YYYYMM') as entity, a.tenant_id, a.id,
    case when h.before is not null then
        to_jsonb(a) || jsonb_build_object('status', h.before, 'updated_at', h.at - interval '1 minute', 'cancelled_at', null)
    end as before,
    to_jsonb(a) || jsonb_build_object('status', h.after, 'updated_at', h.at,
        'cancelled_at', case when h.after = 'cancelled' then a.cancelled_at end) as after
from history h join plan p using (n) join appointments a using (tenant_id, slot_start, id);

-- Some entries do not know their tenant; every fifteenth change was made by hand, by nobody.
insert into audit_log (tenant_id, actor_id, event_type, entity, entity_id, before, after, performed_at, context)
select case when n % 500 <> 7 then tenant_id end,
    case when n % 15 <> 4 then pg_temp.id('user', (1 + n % 12 % 3) * 10 + 1) end,
    case when before is null then 'insert' else 'update' end, entity, id, before, after, at,
    case when n % 15 <> 4 then jsonb_build_object('source', 'portal', 'request_id', pg_temp.id('request', n)) end
from changes order by at, n, number;
insert into audit_log (tenant_id, event_type, entity, entity_id, after, performed_at)
select tenant_id, 'insert', 'product_stock_movements', id, to_jsonb(m), created_at from product_stock_movements m;
insert into audit_log (tenant_id, event_type, entity, entity_id, after, performed_at)
select tenant_id, 'insert', 'products', id, to_jsonb(p), created_at from products p;
insert into audit_log (tenant_id, event_type, entity, entity_id, after, performed_at)
select tenant_id, 'insert', 'resource_allocations', id, to_jsonb(r), created_at from resource_allocations r;

-- Consumers have done what is older than an hour; what is older than two months has been cleared away.
insert into outbox_events (tenant_id, aggregate, aggregate_id, event_type, payload, created_at, processed_at)
select tenant_id, entity, id, case when before is null then 'insert' else 'update' end,
    jsonb_build_object('table', entity, 'operation', case when before is null then 'insert' else 'update' end, 'row', after),
    at, case when at < now() - interval '1 hour' then at + interval '2 seconds' end
from changes where at > now() - interval '2 months' order by at, n, number;

-- A cancelled appointment that was deleted later: only the log knows it.
insert into audit_log (tenant_id, actor_id, event_type, entity, entity_id, before, performed_at)
select tenant_id, pg_temp.id('user', 11), 'delete', entity, id, after, at + interval '10 days'
from changes where after ->> 'status' = 'cancelled' and n % 5 = 0;
delete from appointments a using changes c
where (a.tenant_id, a.id) = (c.tenant_id, c.id) and c.after ->> 'status' = 'cancelled' and c.n % 5 = 0;

-- A slot that was moved to another month: a delete in one partition, an insert in another, with nothing between.
create temp table moved as
select a.*, to_jsonb(a) as was, date_trunc('month', a.slot_start) + interval '1 month 20 hours' as moved_to
from appointments a
where a.status = 'scheduled' and a.slot_start > now() and a.slot_start < now() + interval '4 months'
order by a.slot_start, a.id limit 12;
insert into audit_log (tenant_id, actor_id, event_type, entity, entity_id, before, performed_at)
select tenant_id, pg_temp.id('user', 11), 'delete', 'appointments_' || to_char(slot_start, 'YYYYMM'), id, was, now()
from moved m order by m.slot_start, m.id;
delete from resource_allocations r using moved m where (r.tenant_id, r.appointment_id) = (m.tenant_id, m.id);
delete from appointments a using moved m where (a.tenant_id, a.slot_start, a.id) = (m.tenant_id, m.slot_start, m.id);
insert into appointments (tenant_id, id, code, customer_id, staff_id, service_id, status, slot, slot_start, slot_end,
    price_cents, notes, created_at, updated_at)
select tenant_id, id, code, customer_id, staff_id, service_id, 'scheduled', tstzrange(at, at + interval '10 minutes'), at,
    at + interval '10 minutes', price_cents, notes, created_at, now()
from (select m.*, moved_to + make_interval(mins => 10 * row_number() over (order by slot_start, id)::int) as at from moved m) m;
insert into audit_log (tenant_id, actor_id, event_type, entity, entity_id, after, performed_at)
select a.tenant_id, pg_temp.id('user', 11), 'insert', 'appointments_' || to_char(a.slot_start, 'YYYYMM'), a.id, to_jsonb(a),
    now()
from appointments a join moved m using (tenant_id, id) order by m.slot_start, a.id;

-- What the schema cannot see: one id in two months, and slots that overlap across a month's end.
insert into appointments (tenant_id, id, code, staff_id, status, slot, slot_start, slot_end)
select pg_temp.id('tenant', 1), pg_temp.id('duplicate', n), 'D-' || n || m, pg_temp.id('staff', 0), 'cancelled',
    tstzrange(at, at + interval '1 hour'), at, at + interval '1 hour'
from generate_series(1, 3) n, generate_series(0, 1) m,
    lateral (select date_trunc('month', now()) - make_interval(months => n * 3 + m) + interval '3 hours' as at) start;
insert into appointments (tenant_id, id, code, staff_id, status, slot, slot_start, slot_end)
select pg_temp.id('tenant', 1), pg_temp.id('overlap', n * 2 + m), 'O-' || n || m, pg_temp.id('staff', 0), 'confirmed',
    tstzrange(at, at + interval '1 hour'), at, at + interval '1 hour'
from generate_series(1, 2) n, generate_series(0, 1) m,
    lateral (select date_trunc('month', now()) + make_interval(months => n, mins => 30 * m - 30) as at) start;

update tenants t set data_version = 1 + (select count(*) from audit_log a where a.tenant_id = t.id);
reset session_replication_role;
analyze;
