-- The stage of a tenant decides who writes, and is fenced: every write takes a shared lock on its tenant and then reads the
-- stage, so none runs under a stage that has ended. A tenant without a row here is at `mvp`.

create policy declared on tenant_stages for select to codeccloud_store
    using (tenant_id = any ((select app_private.declared_tenants())::uuid[]));
grant select on tenant_stages to codeccloud_store;
select app_private.protect_tenant_table('tenant_stages', 'select');
grant select on tenant_stages to authenticated;

-- Rows of tenants that had events before rows went with them are made anew from events when a server starts.
alter table tenant_stages add column rows_complete bool not null default true;
update tenant_stages set rows_complete = false where stage = 'scale';
select app_private.watch_reference_table('tenant_stages');

-- Of the functions below, which see more than their callers: a member acts for the own tenant only. The other callers' roles
-- are given by the server to whom it has checked itself.
create function app_private.refuse_strangers(p_tenant uuid) returns void language plpgsql
set search_path = pg_catalog, pg_temp as $$
begin
    if current_setting('role') = 'authenticated' and not app_private.is_tenant_member(p_tenant) then
        raise exception 'not a member of the tenant' using errcode = 'insufficient_privilege';
    end if;
end
$$;

-- Says on whose behalf the transaction acts and enters the tenant: returns the stage under which it does, which lasts as
-- long as the transaction does.
create function app_private.enter(p_tenant uuid, p_claims text, p_context text) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('request.jwt.claims', p_claims, true), set_config('request.context', p_context, true),
        set_config('codeccloud.tenant_ids', array[p_tenant]::text, true);
    perform app_private.refuse_strangers(p_tenant);
    perform pg_advisory_xact_lock_shared(hashtextextended(p_tenant::text, 0::bigint));
    return coalesce((select s.stage from public.tenant_stages s where s.tenant_id = p_tenant), 'mvp');
end
$$;

-- Makes bookings of one person take turns, until the transaction ends. Whoever asks for a slot that is taken already need
-- not wait to hear of it: then it returns false and locks nothing, unless `p_anyway`.
create function app_private.lock_staff(
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

-- When people are busy, to whoever may book them: slots without whose they are. Slots that other software made longer than
-- a day are found by the exclusion constraint only.
create function app_private.busy_slots(p_staff uuid[], p_from timestamptz, p_to timestamptz)
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

-- Where an appointment is, and whose: asked before its transaction begins. By index in each month, so the plan is kept.
create function app_private.find_appointment(p_tenant uuid, p_id uuid)
returns table (slot_start timestamptz, customer_id uuid) language plpgsql stable
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
#variable_conflict use_column
begin
    return query
        select a.slot_start, a.customer_id from public.appointments a where a.tenant_id = p_tenant and a.id = p_id limit 1;
end
$$;

-- Points of one customer are decided on in turn, also before there is an account.
create function app_private.lock_account(p_customer uuid) returns void language sql set search_path = pg_catalog, pg_temp
begin atomic
    select pg_advisory_xact_lock(hashtextextended('account/' || p_customer, 0::bigint));
end;

-- Writes down what a command was answered with, and the personal data that came with it. Raises as the append does: CC001
-- with a hint when the customer is at another revision, CC002 when the key is taken.
create function app_private.settle(
    p_key text, p_command uuid, p_hash bytea, p_status smallint, p_answer bytea, p_sealed_for uuid,
    p_customer uuid, p_customer_revision int, p_customer_key bytea, p_customer_master_key_id text,
    p_customer_profile bytea, p_customer_email_lookup bytea,
    p_note_customer uuid, p_note_booking uuid, p_note_kind text, p_note_ciphertext bytea
) returns xid8 language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    v_tenant constant uuid := app_private.current_tenant_id();
    v_now constant timestamptz := clock_timestamp();
begin
    perform app_private.refuse_strangers(v_tenant);
    if p_key is not null then
        insert into public.idempotency_keys (
            tenant_id, key, command_id, request_hash, status, answer, sealed_for, created_at
        )
        values (v_tenant, p_key, p_command, p_hash, p_status, p_answer, p_sealed_for, v_now)
        on conflict do nothing;
        if not found then
            raise exception 'an idempotency key is taken' using errcode = 'CC002';
        end if;
    end if;
    if p_customer is not null then
        insert into public.vault_customers as v (
            tenant_id, customer_id, wrapped_key, master_key_id, profile, email_lookup, revision, created_at, updated_at
        )
        values (
            v_tenant, p_customer, p_customer_key, p_customer_master_key_id, p_customer_profile, p_customer_email_lookup,
            p_customer_revision + 1, v_now, v_now
        )
        on conflict (tenant_id, customer_id) do update
            set wrapped_key = excluded.wrapped_key, master_key_id = excluded.master_key_id, profile = excluded.profile,
                email_lookup = excluded.email_lookup, revision = excluded.revision, updated_at = v_now
            where v.revision = excluded.revision - 1;
        if not found then
            raise exception 'a customer is at another revision' using errcode = 'CC001', hint = '1';
        end if;
    end if;
    if p_note_booking is not null then
        insert into public.vault_notes (tenant_id, booking_id, kind, customer_id, ciphertext, created_at)
        values (v_tenant, p_note_booking, p_note_kind, p_note_customer, p_note_ciphertext, v_now)
        on conflict (tenant_id, booking_id, kind) do update set ciphertext = excluded.ciphertext;
    end if;
    return pg_current_xact_id();
end
$$;

revoke execute on function
    app_private.refuse_strangers(uuid), app_private.enter, app_private.lock_staff, app_private.busy_slots,
    app_private.find_appointment, app_private.lock_account(uuid), app_private.settle
    from public;
grant execute on function app_private.refuse_strangers(uuid) to codeccloud_store;
grant execute on function app_private.find_appointment to codeccloud_reader;
grant execute on function
    app_private.enter, app_private.lock_staff, app_private.busy_slots, app_private.lock_account(uuid), app_private.settle
    to authenticated, codeccloud_service, codeccloud_customer;

-- The append of 0011, which enters its tenants by the stage as well.
-- One call is one batch of appends, set-based. Each stream that gets events is named once, with the version and the last
-- event that it must stand at (0 and null for a new one) and those that it will have; `p_check_…` are streams that must
-- only stand where they are expected. Events name their stream by its number in the list. What is refused raises:
--   CC001 a stream (detail: its numbers, checks counted on behind the streams) or a customer (hint) is elsewhere
--   CC002 an idempotency key is taken (detail: its numbers)
--   CC003 a tenant is at a stage at which its events don't come from appends (detail: the tenants)
create or replace function app_private.append(
    p_tenants uuid[],
    p_stream_tenant uuid[], p_stream_type text[], p_stream_id uuid[], p_stream_expected integer[],
    p_stream_expected_event uuid[], p_stream_version integer[], p_stream_event uuid[],
    p_check_tenant uuid[], p_check_type text[], p_check_id uuid[], p_check_expected integer[],
    p_check_expected_event uuid[],
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
) language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    v_now timestamptz := clock_timestamp();
    v_cluster bigint := (select system_identifier from pg_control_system());
    v_count bigint;
    v_headless boolean;
    v_next boolean;
    v_numbers text;
begin
    perform set_config('codeccloud.tenant_ids', p_tenants::text, true);
    -- Shared, so that writers don't wait for each other; whoever takes it alone knows that no append of the tenant is
    -- under way.
    perform pg_advisory_xact_lock_shared(hashtextextended(t::text, 0::bigint)) from unnest(p_tenants) t;
    select string_agg(t::text, ',') from unnest(p_tenants) t
    left join public.tenant_stages s on s.tenant_id = t
    where coalesce(s.stage, 'mvp') not in ('scale', 'retired')
    into v_numbers;
    if v_numbers is not null then
        raise exception 'the stage is another' using errcode = 'CC003', detail = v_numbers;
    end if;

    -- Each head moves only from the version that the append was decided on. In sorted order, so that two nodes can't
    -- wait for each other in a circle.
    if cardinality(p_stream_id) > 0 then
        with moved as (
            insert into public.stream_heads as h (
                tenant_id, aggregate_type, aggregate_id, version, previous_version, last_event_id, previous_event_id,
                first_recorded_at, last_recorded_at
            )
            select s.tenant_id, s.aggregate_type, s.aggregate_id, s.version, s.expected, s.event_id, s.expected_event,
                v_now, v_now
            from unnest(
                p_stream_tenant, p_stream_type, p_stream_id, p_stream_expected, p_stream_expected_event,
                p_stream_version, p_stream_event
            ) as s (tenant_id, aggregate_type, aggregate_id, expected, expected_event, version, event_id)
            order by s.tenant_id, s.aggregate_type, s.aggregate_id
            on conflict (tenant_id, aggregate_type, aggregate_id) do update
                set version = excluded.version, previous_version = excluded.previous_version,
                    last_event_id = excluded.last_event_id, previous_event_id = excluded.previous_event_id,
                    last_recorded_at = v_now
                where h.version = excluded.previous_version and h.last_event_id = excluded.previous_event_id
            returning h.previous_version <> 0 and h.first_recorded_at = v_now as headless
        )
        select count(*), coalesce(bool_or(headless), false) from moved into v_count, v_headless;
        if v_count <> cardinality(p_stream_id) or v_headless then
            select string_agg(s.number::text, ',')
            from unnest(p_stream_tenant, p_stream_type, p_stream_id, p_stream_expected) with ordinality
                as s (tenant_id, aggregate_type, aggregate_id, expected, number)
            left join public.stream_heads h using (tenant_id, aggregate_type, aggregate_id)
            where h.last_recorded_at is distinct from v_now or (h.first_recorded_at = v_now and s.expected <> 0)
            into v_numbers;
            raise exception 'a stream is at another version' using errcode = 'CC001', detail = coalesce(v_numbers, '');
        end if;
    end if;
    if cardinality(p_check_id) > 0 then
        select string_agg((c.number + cardinality(p_stream_id))::text, ',')
        from unnest(p_check_tenant, p_check_type, p_check_id, p_check_expected, p_check_expected_event) with ordinality
            as c (tenant_id, aggregate_type, aggregate_id, expected, expected_event, number)
        left join public.stream_heads h using (tenant_id, aggregate_type, aggregate_id)
        where coalesce(h.version, 0) <> c.expected or h.last_event_id is distinct from c.expected_event
        into v_numbers;
        if v_numbers is not null then
            raise exception 'a stream is at another version' using errcode = 'CC001', detail = v_numbers;
        end if;
    end if;

    if cardinality(p_event_id) > 0 then
        -- As many events as the heads move, each within its stream's span; the primary key refuses one twice. So the
        -- versions are exactly the next ones, and the last is the one that the head names.
        select sum(s.version - s.expected) = cardinality(p_event_id) and (
            select bool_and(coalesce(
                e.version > p_stream_expected[e.stream] and e.version <= p_stream_version[e.stream]
                and (e.version < p_stream_version[e.stream] or e.id = p_stream_event[e.stream]), false))
            from unnest(p_event_stream, p_event_version, p_event_id) as e (stream, version, id)
        )
        from unnest(p_stream_expected, p_stream_version) as s (expected, version)
        into v_next;
        if v_next is not true then
            raise exception 'the events are not the next versions of their streams' using errcode = 'check_violation';
        end if;
        -- In the order of the arrays, as a function's rows come: positions ascend with versions.
        insert into public.event_store (
            id, tenant_id, aggregate_type, aggregate_id, event_type, version, payload, occurred_at, cluster_id,
            recorded_at, schema_version, metadata
        )
        select
            e.id, p_stream_tenant[e.stream], p_stream_type[e.stream], p_stream_id[e.stream], e.event_type, e.version,
            e.payload, e.occurred_at, v_cluster, v_now, e.schema_version, p_metadata[e.metadata]
        from unnest(
            p_event_stream, p_event_id, p_event_type, p_event_version, p_event_schema, p_event_payload,
            p_event_occurred, p_event_metadata
        ) as e (stream, id, event_type, version, schema_version, payload, occurred_at, metadata);
    elsif cardinality(p_stream_id) > 0 then
        raise exception 'a stream moves without events' using errcode = 'check_violation';
    end if;

    if cardinality(p_key) > 0 then
        insert into public.idempotency_keys (
            tenant_id, key, command_id, request_hash, status, answer, sealed_for, created_at
        )
        select k.tenant_id, k.key, k.command_id, k.request_hash, k.status, k.answer, k.sealed_for, v_now
        from unnest(
            p_key_tenant, p_key, p_key_command, p_key_hash, p_key_status, p_key_answer, p_key_sealed_for
        ) as k (tenant_id, key, command_id, request_hash, status, answer, sealed_for)
        on conflict do nothing;
        get diagnostics v_count = row_count;
        if v_count <> cardinality(p_key) then
            select string_agg(k.number::text, ',')
            from unnest(p_key_tenant, p_key) with ordinality as k (tenant_id, key, number)
            join public.idempotency_keys i using (tenant_id, key)
            where i.created_at <> v_now
            into v_numbers;
            raise exception 'an idempotency key is taken' using errcode = 'CC002', detail = coalesce(v_numbers, '');
        end if;
    end if;

    if cardinality(p_saga_id) > 0 then
        insert into public.saga_instances as i (tenant_id, saga_type, saga_id, version, status, state, updated_at)
        select s.*, v_now
        from unnest(p_saga_tenant, p_saga_type, p_saga_id, p_saga_version, p_saga_status, p_saga_state) as s
        on conflict (tenant_id, saga_type, saga_id) do update
            set version = excluded.version, status = excluded.status, state = excluded.state, updated_at = v_now
            where i.version < excluded.version;
    end if;

    if cardinality(p_customer_id) > 0 then
        insert into public.vault_customers as v (
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
            join public.vault_customers v using (tenant_id, customer_id)
            where v.updated_at <> v_now
            into v_numbers;
            raise exception 'a customer is at another revision' using errcode = 'CC001', hint = coalesce(v_numbers, '');
        end if;
    end if;
    if cardinality(p_note_booking) > 0 then
        insert into public.vault_notes (tenant_id, booking_id, kind, customer_id, ciphertext, created_at)
        select n.tenant_id, n.booking_id, n.kind, n.customer_id, n.ciphertext, v_now
        from unnest(p_note_tenant, p_note_customer, p_note_booking, p_note_kind, p_note_ciphertext)
            as n (tenant_id, customer_id, booking_id, kind, ciphertext)
        on conflict (tenant_id, booking_id, kind) do update set ciphertext = excluded.ciphertext;
    end if;

    transaction_id := pg_current_xact_id();
    recorded_at := v_now;
end
$$;

grant create on schema app_private to codeccloud_store;
alter function app_private.enter owner to codeccloud_store;
alter function app_private.lock_staff owner to codeccloud_store;
alter function app_private.busy_slots owner to codeccloud_store;
alter function app_private.settle owner to codeccloud_store;
revoke create on schema app_private from codeccloud_store;
