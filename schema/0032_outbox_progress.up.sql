-- How far the outbox's worker is, kept by itself: `processed_at` of the MVP's entries belongs to whoever used it before.
-- Whose it is, where the worker begins and whether mail is sent are facts of the database, so that all nodes agree.

-- The worker takes the numbers of entries for the order in which transactions began, more or less.
do $$
declare
    v_sequence regclass := pg_get_serial_sequence('public.outbox_events', 'id');
begin
    if (select seqcache from pg_sequence where seqrelid = v_sequence) > 1 then
        raise exception 'the numbers of outbox_events are handed out in advance: alter sequence % cache 1', v_sequence;
    end if;
end
$$;

alter table app_private.outbox_start
    alter column entry_id drop not null,  -- null until a worker has run
    add column marks_entries bool not null default false,  -- whether `processed_at` is ours to set
    add column sends_mail bool not null default false,  -- whether any node sends mail
    add column planned_to bigint not null default 0;  -- all entries up to this one are planned, or nobody's
create policy outbox_begins on app_private.outbox_start for update to codeccloud_outbox using (true) with check (true);
grant update on app_private.outbox_start to codeccloud_outbox;

-- Entries above `planned_to` that are planned. It stays small: `planned_to` follows the oldest running transaction.
create table app_private.outbox_planned (
    entry_id bigint primary key,
    planned_at timestamptz not null default now(),
    horizon xid8 not null  -- transactions that hold a lower entry are older
);

-- Entries of which a delivery has ended, or which have none: they are to be marked, once none is open. A row for each time,
-- so that the last of two which end at once is not missed.
create table app_private.outbox_finished (
    number bigint generated always as identity primary key,
    tenant_id uuid,
    entry_id bigint not null
);

do $$
declare
    target text;
begin
    foreach target in array array['outbox_planned', 'outbox_finished'] loop
        execute format('alter table app_private.%I enable row level security, force row level security', target);
        execute format('create policy outbox on app_private.%I to codeccloud_outbox using (true) with check (true)', target);
        execute format('grant select, insert, update, delete on app_private.%I to codeccloud_outbox', target);
    end loop;
    execute format(
        'grant select on sequence %s to codeccloud_outbox', pg_get_serial_sequence('public.outbox_events', 'id')
    );
end
$$;

-- The entries are ours where nobody had any before us, or where the database was never an MVP's.
do $$
declare
    v_start bigint;
    v_open bigint;
    v_planned_to bigint;
begin
    select entry_id into v_start from app_private.outbox_start;
    if v_start > 0 and not exists (select from outbox_bookings) and not exists (select from outbox_deliveries)
        and not exists (select from webhook_endpoints) then
        v_planned_to := 0;
        v_start := null;
    else
        -- A worker of an older build has been here. It marked what it had planned.
        select min(id) into v_open from outbox_events e
        where e.id > v_start and e.processed_at is null and not exists (
            select from outbox_deliveries d where d.tenant_id = e.tenant_id and d.entry_id = e.id
        );
        -- Some way back, for transactions that have yet to commit.
        select greatest(v_start, least(v_open - 1, max(id) - 10000)) into v_planned_to from outbox_events;
        insert into app_private.outbox_planned (entry_id, horizon)
        select e.id, pg_snapshot_xmax(pg_current_snapshot()) from outbox_events e
        where e.id > v_planned_to and (e.processed_at is not null or exists (
            select from outbox_deliveries d where d.tenant_id = e.tenant_id and d.entry_id = e.id
        ));
    end if;
    update app_private.outbox_start set
        marks_entries = entry_id = 0 or not exists (
            select from app_private.schema_migrations where adopted_at is not null
        ),
        -- Whoever is told already must not be taken for one who begins to be.
        sends_mail = exists (select from outbox_deliveries where handler = 'email'),
        entry_id = v_start, planned_to = v_planned_to;
end
$$;

alter table outbox_deliveries add column waiting_since timestamptz not null default now();
create index outbox_deliveries_turns on outbox_deliveries (handler, tenant_id, target_id, due_at, number)
    where state = 'waiting';

drop function app_private.finish_attempt;
drop function app_private.close_outbox_entry;

-- As in 0021, and what is made again waits since then.
create or replace function app_private.replay_webhook_delivery(p_tenant uuid, p_endpoint uuid, p_delivery uuid)
returns boolean language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    if p_tenant is distinct from app_private.current_tenant_id() or not app_private.is_tenant_member(p_tenant) then
        raise exception 'not a member of the tenant' using errcode = 'insufficient_privilege';
    end if;
    update public.outbox_deliveries d
    set state = 'waiting', finished_at = null,
        attempts = case when is_under_way then attempts else 0 end,
        due_at = case when is_under_way then due_at else now() end,
        waiting_since = case when was_waiting then waiting_since else now() end
    from (
        select id, state = 'waiting' as was_waiting,
            state = 'waiting' and lease_id is not null and due_at > now() as is_under_way
        from public.outbox_deliveries
        where tenant_id = p_tenant and target_id = p_endpoint and handler = 'webhook' and id = p_delivery for update
    ) chosen
    where d.tenant_id = p_tenant and d.id = chosen.id;
    return found;
end
$$;
