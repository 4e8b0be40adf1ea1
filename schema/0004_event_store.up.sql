-- The event store and what is committed with events: stream heads, idempotency keys, saga instances. One function is the
-- only way in: the journal's role can execute it and has no other right.

-- Writes snapshots and projections' checkpoints; see 0001 for how roles are made.
do $$
begin
    if not exists (select from pg_roles where rolname = 'codeccloud_projector') then
        begin
            create role codeccloud_projector nologin;
        exception when duplicate_object or unique_violation then null;
        end;
    end if;
    if not pg_has_role(current_user, 'codeccloud_projector', 'member') then
        begin
            grant codeccloud_projector to current_user;
        exception when unique_violation then null;
        end;
    end if;
end
$$;
grant usage on schema public, app_private to codeccloud_projector;

-- Which database cluster commits: a restored database counts transaction ids anew, and the feed has to know.
create function app_private.cluster_id() returns bigint stable parallel safe
return (select system_identifier from pg_control_system());

create sequence event_store_position_seq;

-- By month of recording, so that the feed reads the newest partition only, and history that is brought in later does not
-- scatter. `occurred_at` is the business time.
create table event_store (
    id uuid not null,
    tenant_id uuid not null,
    aggregate_type text not null,
    aggregate_id uuid not null,
    event_type text not null,
    version integer not null check (version > 0),
    payload jsonb not null,
    occurred_at timestamptz not null,
    position bigint not null default nextval('event_store_position_seq'),
    transaction_id xid8 not null default pg_current_xact_id(),
    cluster_id bigint not null,
    recorded_at timestamptz not null,
    schema_version smallint not null,
    metadata jsonb not null,
    primary key (tenant_id, aggregate_type, aggregate_id, version, recorded_at)
) partition by range (recorded_at);
create index event_store_position on event_store (position);
alter sequence event_store_position_seq owned by event_store.position;

-- How far each stream goes, and which partitions hold it. `previous_version` is what the last append expected.
create table stream_heads (
    tenant_id uuid not null,
    aggregate_type text not null,
    aggregate_id uuid not null,
    version integer not null,
    previous_version integer not null,
    first_recorded_at timestamptz not null,
    last_recorded_at timestamptz not null,
    primary key (tenant_id, aggregate_type, aggregate_id)
) with (fillfactor = 70);

create table idempotency_keys (
    tenant_id uuid not null,
    key text not null,
    command_id uuid not null,
    request_hash bytea not null,
    status smallint not null,
    answer bytea not null,
    sealed_for uuid,  -- the customer under whose key `answer` is encrypted
    created_at timestamptz not null,
    primary key (tenant_id, key)
);
-- Rows come in the order of their time, so this costs an insert next to nothing.
create index idempotency_keys_created_at on idempotency_keys using brin (created_at);

create table saga_instances (
    tenant_id uuid not null,
    saga_type text not null,
    saga_id uuid not null,
    version integer not null,
    status text not null,
    state jsonb not null,
    updated_at timestamptz not null,
    primary key (tenant_id, saga_type, saga_id)
);
-- Bookings long past are listed from here. ISO 8601 in UTC sorts as text.
create index saga_instances_slot_start on saga_instances (tenant_id, (state ->> 'slotStart') collate "C", saga_id)
    where saga_type = 'booking';

create table snapshots (
    tenant_id uuid not null,
    aggregate_type text not null,
    aggregate_id uuid not null,
    version integer not null,
    recorded_at timestamptz not null,
    format smallint not null,
    state bytea not null,
    saved_at timestamptz not null default now(),
    primary key (tenant_id, aggregate_type, aggregate_id)
);

-- One row per projection under the nil tenant, and one for each tenant that is stopped in a projection.
create table event_projection_offsets (
    tenant_id uuid not null,
    projection text not null,
    cursor jsonb,
    events_applied bigint not null default 0,
    stopped_position bigint,
    stopped_reason text,
    updated_at timestamptz not null default now(),
    primary key (tenant_id, projection)
);

-- A projection's saved model, cut into chunks. It spans tenants, hence no tenant_id.
create table projection_snapshots (
    projection text not null,
    chunk integer not null,
    format smallint not null,
    state bytea not null,
    saved_at timestamptz not null default now(),
    primary key (projection, chunk)
);

create table tenant_stages (
    tenant_id uuid primary key references tenants (id),
    stage text not null check (stage in ('mvp', 'capture', 'shadow', 'reads', 'scale', 'retired')),
    changed_at timestamptz not null default now()
);

-- Policies ---------------------------------------------------------------------------------------------------------
-- The store may write for the tenants that the transaction declared; readers see all tenants.
create function app_private.protect_event_table(target regclass) returns void language plpgsql as $$
begin
    execute format('alter table %s enable row level security', target);
    execute format('alter table %s force row level security', target);
    execute format('create policy reader on %s for select to codeccloud_reader, codeccloud_projector using (true)', target);
    execute format(
        'create policy declared on %s to codeccloud_store using (%s) with check (%2$s)',
        target, 'tenant_id = any ((select app_private.declared_tenants())::uuid[])'
    );
    execute format('grant select on %s to codeccloud_reader, codeccloud_projector', target);
end
$$;

select app_private.protect_event_table(t)
from unnest(array['event_store', 'stream_heads', 'idempotency_keys', 'saga_instances']::regclass[]) t;

grant insert on event_store to codeccloud_store;
grant select, insert, update on stream_heads, saga_instances to codeccloud_store;
grant select, insert on idempotency_keys to codeccloud_store;
grant usage on sequence event_store_position_seq to codeccloud_store;
grant select on sequence event_store_position_seq to codeccloud_reader, codeccloud_projector;

do $$
declare
    target text;
begin
    foreach target in array array['snapshots', 'event_projection_offsets', 'projection_snapshots'] loop
        execute format('alter table %I enable row level security, force row level security', target);
        execute format('create policy projector on %I to codeccloud_projector using (true) with check (true)', target);
        execute format('create policy reader on %I for select to codeccloud_reader using (true)', target);
        execute format('grant select, insert, update, delete on %I to codeccloud_projector', target);
        execute format('grant select on %I to codeccloud_reader', target);
    end loop;
end
$$;

alter table tenant_stages enable row level security, force row level security;
create policy reader on tenant_stages for select to codeccloud_reader using (true);
create policy operator on tenant_stages to codeccloud_operator using (true) with check (true);
grant select on tenant_stages to codeccloud_reader;
grant select, insert, update on tenant_stages to codeccloud_operator;

-- Events are facts: nobody changes one, whatever rights a role is given later.
create function app_private.refuse_event_change() returns trigger language plpgsql as $$
begin
    raise exception 'events are never changed or deleted' using errcode = 'restrict_violation';
end
$$;
create trigger immutable before update or delete on event_store
    for each row execute function app_private.refuse_event_change();
create trigger immutable_truncate before truncate on event_store
    for each statement execute function app_private.refuse_event_change();

-- Partitions -------------------------------------------------------------------------------------------------------
-- Made ahead, standalone, and then attached: that takes no lock which a command would wait for.
create function app_private.create_event_partition(month date) returns void language plpgsql as $$
declare
    first date := date_trunc('month', month);
    next date := first + interval '1 month';
    target text := 'event_store_' || to_char(first, 'YYYYMM');
begin
    if to_regclass('public.' || target) is not null then
        return;
    end if;
    execute format('create table public.%I (like public.event_store including defaults including constraints)', target);
    execute format(
        'alter table public.%I add constraint recorded_within check (recorded_at >= %L::timestamptz and recorded_at < %L::timestamptz)',
        target, first::timestamp at time zone 'UTC', next::timestamp at time zone 'UTC'
    );
    perform app_private.protect_event_table(('public.' || quote_ident(target))::regclass);
    execute format(
        'create trigger immutable_truncate before truncate on public.%I for each statement execute function app_private.refuse_event_change()',
        target
    );
    execute format('grant insert on public.%I to codeccloud_store', target);
    execute format(
        'alter table public.event_store attach partition public.%I for values from (%L) to (%L)',
        target, first::timestamp at time zone 'UTC', next::timestamp at time zone 'UTC'
    );
    execute format('alter table public.%I drop constraint recorded_within', target);
end
$$;

select app_private.create_event_partition((date_trunc('month', now() at time zone 'UTC') + make_interval(months => n))::date)
from generate_series(-1, 3) n;

-- The append -------------------------------------------------------------------------------------------------------
-- One call is one batch of appends, set-based. Each stream that gets events is named once, with the version that it must
-- stand at and the one that it will have; `p_check_…` are streams that must only stand where they are expected. Events
-- name their stream by its number in the list. What is refused raises:
--   CC001 a stream (detail: its numbers, checks counted on behind the streams) or a customer (hint) is elsewhere
--   CC002 an idempotency key is taken (detail: its numbers)
create function app_private.append(
    p_tenants uuid[],
    p_stream_tenant uuid[], p_stream_type text[], p_stream_id uuid[], p_stream_expected integer[], p_stream_version integer[],
    p_check_tenant uuid[], p_check_type text[], p_check_id uuid[], p_check_expected integer[],
    p_event_stream integer[], p_event_id uuid[], p_event_type text[], p_event_version integer[],
    p_event_schema smallint[], p_event_payload jsonb[], p_event_occurred timestamptz[], p_event_metadata integer[],
    p_metadata jsonb[],
    p_key_tenant uuid[], p_key text[], p_key_command uuid[], p_key_hash bytea[], p_key_status smallint[],
    p_key_answer bytea[], p_key_sealed_for uuid[],
    p_saga_tenant uuid[], p_saga_type text[], p_saga_id uuid[], p_saga_version integer[], p_saga_status text[],
    p_saga_state jsonb[],
    p_customer_tenant uuid[], p_customer_id uuid[], p_customer_revision integer[], p_customer_key bytea[],
    p_customer_master_key_id text[], p_customer_profile bytea[], p_customer_email_lookup bytea[],
    p_note_tenant uuid[], p_note_customer uuid[], p_note_booking uuid[], p_note_kind text[], p_note_ciphertext bytea[],
    out transaction_id xid8, out recorded_at timestamptz
) language plpgsql security definer set search_path = public, pg_temp as $$
#variable_conflict use_column
declare
    v_now timestamptz := clock_timestamp();
    v_cluster bigint := app_private.cluster_id();
    v_count bigint;
    v_headless boolean;
    v_numbers text;
begin
    perform set_config('codeccloud.tenant_ids', p_tenants::text, true);
    -- Shared, so that writers don't wait for each other; whoever takes it alone knows that no append of the tenant is
    -- under way.
    perform pg_advisory_xact_lock_shared(hashtextextended(t::text, 0)) from unnest(p_tenants) t;

    -- Each head moves only from the version that the append was decided on. In sorted order, so that two nodes can't
    -- wait for each other in a circle.
    if cardinality(p_stream_id) > 0 then
        with moved as (
            insert into stream_heads as h (
                tenant_id, aggregate_type, aggregate_id, version, previous_version, first_recorded_at, last_recorded_at
            )
            select s.tenant_id, s.aggregate_type, s.aggregate_id, s.version, s.expected, v_now, v_now
            from unnest(p_stream_tenant, p_stream_type, p_stream_id, p_stream_expected, p_stream_version)
                as s (tenant_id, aggregate_type, aggregate_id, expected, version)
            order by s.tenant_id, s.aggregate_type, s.aggregate_id
            on conflict (tenant_id, aggregate_type, aggregate_id) do update
                set version = excluded.version, previous_version = excluded.previous_version, last_recorded_at = v_now
                where h.version = excluded.previous_version
            returning h.previous_version <> 0 and h.first_recorded_at = v_now as headless
        )
        select count(*), coalesce(bool_or(headless), false) from moved into v_count, v_headless;
        if v_count <> cardinality(p_stream_id) or v_headless then
            select string_agg(s.number::text, ',')
            from unnest(p_stream_tenant, p_stream_type, p_stream_id, p_stream_expected) with ordinality
                as s (tenant_id, aggregate_type, aggregate_id, expected, number)
            left join stream_heads h using (tenant_id, aggregate_type, aggregate_id)
            where h.last_recorded_at is distinct from v_now or (h.first_recorded_at = v_now and s.expected <> 0)
            into v_numbers;
            raise exception 'a stream is at another version' using errcode = 'CC001', detail = coalesce(v_numbers, '');
        end if;
    end if;
    if cardinality(p_check_id) > 0 then
        select string_agg((c.number + cardinality(p_stream_id))::text, ',')
        from unnest(p_check_tenant, p_check_type, p_check_id, p_check_expected) with ordinality
            as c (tenant_id, aggregate_type, aggregate_id, expected, number)
        left join stream_heads h using (tenant_id, aggregate_type, aggregate_id)
        where coalesce(h.version, 0) <> c.expected
        into v_numbers;
        if v_numbers is not null then
            raise exception 'a stream is at another version' using errcode = 'CC001', detail = v_numbers;
        end if;
    end if;

    if cardinality(p_event_id) > 0 then
        -- As many events as the heads move, each within its stream's span; the primary key refuses one twice. So the
        -- versions are exactly the next ones.
        select sum(s.version - s.expected) from unnest(p_stream_expected, p_stream_version) as s (expected, version)
        into v_count;
        if v_count is distinct from cardinality(p_event_id)::bigint or exists (
            select from unnest(p_event_stream, p_event_version) as e (stream, version)
            where (e.version > p_stream_expected[e.stream] and e.version <= p_stream_version[e.stream]) is not true
        ) then
            raise exception 'the events are not the next versions of their streams' using errcode = 'check_violation';
        end if;
        insert into event_store (
            id, tenant_id, aggregate_type, aggregate_id, event_type, version, payload, occurred_at, cluster_id,
            recorded_at, schema_version, metadata
        )
        select
            e.id, s.tenant_id, s.aggregate_type, s.aggregate_id, e.event_type, e.version, e.payload, e.occurred_at,
            v_cluster, v_now, e.schema_version, m.metadata
        from (
            select * from unnest(
                p_event_stream, p_event_id, p_event_type, p_event_version, p_event_schema, p_event_payload,
                p_event_occurred, p_event_metadata
            ) with ordinality
                as e (stream, id, event_type, version, schema_version, payload, occurred_at, metadata, number)
        ) e
        join unnest(p_stream_tenant, p_stream_type, p_stream_id) with ordinality
            as s (tenant_id, aggregate_type, aggregate_id, number) on s.number = e.stream
        join unnest(p_metadata) with ordinality as m (metadata, number) on m.number = e.metadata
        order by e.number;
    elsif cardinality(p_stream_id) > 0 then
        raise exception 'a stream moves without events' using errcode = 'check_violation';
    end if;

    if cardinality(p_key) > 0 then
        insert into idempotency_keys (tenant_id, key, command_id, request_hash, status, answer, sealed_for, created_at)
        select k.tenant_id, k.key, k.command_id, k.request_hash, k.status, k.answer, k.sealed_for, v_now
        from unnest(
            p_key_tenant, p_key, p_key_command, p_key_hash, p_key_status, p_key_answer, p_key_sealed_for
        ) as k (tenant_id, key, command_id, request_hash, status, answer, sealed_for)
        on conflict do nothing;
        get diagnostics v_count = row_count;
        if v_count <> cardinality(p_key) then
            select string_agg(k.number::text, ',')
            from unnest(p_key_tenant, p_key) with ordinality as k (tenant_id, key, number)
            join idempotency_keys i using (tenant_id, key)
            where i.created_at <> v_now
            into v_numbers;
            raise exception 'an idempotency key is taken' using errcode = 'CC002', detail = coalesce(v_numbers, '');
        end if;
    end if;

    if cardinality(p_saga_id) > 0 then
        insert into saga_instances as i (tenant_id, saga_type, saga_id, version, status, state, updated_at)
        select s.*, v_now
        from unnest(p_saga_tenant, p_saga_type, p_saga_id, p_saga_version, p_saga_status, p_saga_state) as s
        on conflict (tenant_id, saga_type, saga_id) do update
            set version = excluded.version, status = excluded.status, state = excluded.state, updated_at = v_now
            where i.version < excluded.version;
    end if;

    if cardinality(p_customer_id) > 0 then
        insert into vault_customers as v (
            tenant_id, customer_id, wrapped_key, master_key_id, profile, email_lookup, revision, created_at, updated_at
        )
        select c.tenant_id, c.customer_id, c.wrapped_key, c.master_key_id, c.profile, c.email_lookup, c.revision + 1,
            v_now, v_now
        from unnest(
            p_customer_tenant, p_customer_id, p_customer_revision, p_customer_key, p_customer_master_key_id,
            p_customer_profile, p_customer_email_lookup
        ) as c (tenant_id, customer_id, revision, wrapped_key, master_key_id, profile, email_lookup)
        order by c.tenant_id, c.customer_id
        on conflict (tenant_id, customer_id) do update
            set wrapped_key = excluded.wrapped_key, master_key_id = excluded.master_key_id, profile = excluded.profile,
                email_lookup = excluded.email_lookup, revision = excluded.revision, updated_at = v_now
            where v.revision = excluded.revision - 1;
        get diagnostics v_count = row_count;
        if v_count <> cardinality(p_customer_id) then
            select string_agg(c.number::text, ',')
            from unnest(p_customer_tenant, p_customer_id) with ordinality as c (tenant_id, customer_id, number)
            join vault_customers v using (tenant_id, customer_id)
            where v.updated_at <> v_now
            into v_numbers;
            raise exception 'a customer is at another revision' using errcode = 'CC001', hint = coalesce(v_numbers, '');
        end if;
    end if;
    if cardinality(p_note_booking) > 0 then
        insert into vault_notes (tenant_id, booking_id, kind, customer_id, ciphertext, created_at)
        select n.tenant_id, n.booking_id, n.kind, n.customer_id, n.ciphertext, v_now
        from unnest(p_note_tenant, p_note_customer, p_note_booking, p_note_kind, p_note_ciphertext)
            as n (tenant_id, customer_id, booking_id, kind, ciphertext)
        on conflict (tenant_id, booking_id, kind) do update set ciphertext = excluded.ciphertext;
    end if;

    transaction_id := pg_current_xact_id();
    recorded_at := v_now;
end
$$;

-- Idempotency keys are kept for a time that the server is configured with.
create function app_private.forget_idempotency_keys(p_tenants uuid[], p_before timestamptz) returns bigint
language plpgsql security definer set search_path = public, pg_temp as $$
declare
    v_count bigint;
begin
    perform set_config('codeccloud.tenant_ids', p_tenants::text, true);
    delete from idempotency_keys where created_at < p_before;
    get diagnostics v_count = row_count;
    return v_count;
end
$$;
grant delete on idempotency_keys to codeccloud_store;

-- Whether a key was answered, once no append of the tenant is under way any more.
create function app_private.settle_appends(p_tenant uuid) returns void language sql
return (select pg_advisory_xact_lock(hashtextextended(p_tenant::text, 0)));

grant create on schema app_private to codeccloud_store;
alter function app_private.append owner to codeccloud_store;
alter function app_private.forget_idempotency_keys owner to codeccloud_store;
revoke create on schema app_private from codeccloud_store;
grant usage on schema public, app_private to codeccloud_store, codeccloud_journal;
grant execute on function app_private.cluster_id() to codeccloud_store, codeccloud_reader, codeccloud_projector;
revoke execute on function app_private.append, app_private.forget_idempotency_keys from public;
grant execute on function app_private.append to codeccloud_journal;
grant execute on function app_private.forget_idempotency_keys to codeccloud_projector;
