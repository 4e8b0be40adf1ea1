drop function app_private.enter;
drop function app_private.refuse_strangers(uuid);
drop function app_private.lock_staff;
drop function app_private.busy_slots;
drop function app_private.find_appointment;
drop function app_private.lock_account(uuid);
drop function app_private.settle;

-- As in 0011.
-- One call is one batch of appends, set-based. Each stream that gets events is named once, with the version and the last
-- event that it must stand at (0 and null for a new one) and those that it will have; `p_check_…` are streams that must
-- only stand where they are expected. Events name their stream by its number in the list. What is refused raises:
--   CC001 a stream (detail: its numbers, checks counted on behind the streams) or a customer (hint) is elsewhere
--   CC002 an idempotency key is taken (detail: its numbers)
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


drop trigger note_reference_insert on tenant_stages;
drop trigger note_reference_update on tenant_stages;
drop trigger note_reference_delete on tenant_stages;
alter table tenant_stages drop column rows_complete;
drop policy declared on tenant_stages;
drop policy members on tenant_stages;
revoke select on tenant_stages from authenticated;
revoke select on tenant_stages from codeccloud_store;
