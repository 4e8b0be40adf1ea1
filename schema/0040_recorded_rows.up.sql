-- The row writer, as in 0026, but for this: the outbox names the event of each change in MVP mode too; the allocations that
-- go along with a moved appointment are recorded by dual write; times of other software keep their microseconds; a batch
-- costs what its rows cost; and nobody writes rows of a tenant past its stage.

-- A time as it stands, if it is the one that the server shows to the millisecond; the other otherwise.
create function app_private.unless_moved(p_stands timestamptz, p_shown timestamptz) returns timestamptz
stable parallel safe
return case when p_shown = date_trunc('milliseconds', p_stands) then p_stands else p_shown end;

-- What the triggers do, for many changed rows of a table that is no partition.
create function app_private.record_updates(
    p_entity text, p_before jsonb[], p_after jsonb[], p_actor uuid[], p_context jsonb[], p_event uuid[]
) returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    insert into public.audit_log (tenant_id, actor_id, event_type, entity, entity_id, before, after, context)
    select (r.after ->> 'tenant_id')::uuid, r.actor, 'update', p_entity, r.after ->> 'id', r.before, r.after, r.context
    from unnest(p_before, p_after, p_actor, p_context) as r (before, after, actor, context);
    insert into public.outbox_events (tenant_id, aggregate, aggregate_id, event_type, payload, event_id)
    select (r.after ->> 'tenant_id')::uuid, p_entity, (r.after ->> 'id')::uuid, 'update',
        jsonb_build_object('table', p_entity, 'operation', 'update', 'row', r.after), r.event_id
    from unnest(p_after, p_event) as r (after, event_id);
end
$$;

revoke execute on function app_private.unless_moved, app_private.record_updates from public;
grant execute on function app_private.unless_moved
    to authenticated, codeccloud_service, codeccloud_customer, codeccloud_store;
grant execute on function app_private.record_updates to codeccloud_store;

-- The row writer: what decided events change in the tables, for both modes. In MVP mode it is one command's, in the role of
-- whoever asks, and the triggers record it; in scale mode a batch's, in the store's role, and it records it itself.
--
-- The outbox notes the event of each change. Where triggers fill it, they learn of it by a setting, so whatever may be several
-- changes of one command goes one by one there; the change of an appointment is one.
--
-- Times of other software may be finer than the milliseconds that the server shows: `at` is to the microsecond, and a time
-- that is not moved stays as it is.
--
-- Changes of one round don't depend on each other; rounds follow one another. `at` is where an appointment's row starts
-- now, null for a new one. Null leaves `moved` and the buffers as they are. A balance and a state come with the last entry
-- of their account, a state with the last movement of its stock item. `metadata` numbers its array, whose values are an event's
-- metadata.
create or replace function app_private.write_rows(
    p_metadata jsonb[],
    p_round int[], p_tenant uuid[], p_id uuid[], p_at timestamptz[], p_customer uuid[], p_staff uuid[], p_service uuid[],
    p_status public.appointment_status[], p_start timestamptz[], p_end timestamptz[], p_price int[], p_currency text[],
    p_version int[], p_created timestamptz[], p_updated timestamptz[], p_moved timestamptz[], p_buffer_before int[],
    p_buffer_after int[], p_fee_waived bool[], p_reason_recorded bool[], p_event uuid[], p_row_metadata int[],
    p_work_tenant uuid[], p_work_staff uuid[], p_work_day date[], p_work_minutes int[],
    p_ledger_tenant uuid[], p_ledger_customer uuid[], p_ledger_version int[], p_ledger_id uuid[], p_ledger_kind text[],
    p_ledger_points bigint[], p_ledger_booking uuid[], p_ledger_reference uuid[], p_ledger_expires timestamptz[],
    p_ledger_created timestamptz[], p_ledger_balance bigint[], p_ledger_state jsonb[], p_ledger_metadata int[],
    p_stock_tenant uuid[], p_stock_product uuid[], p_stock_version int[], p_stock_id uuid[], p_stock_quantity int[],
    p_stock_reserved int[], p_stock_reason text[], p_stock_context jsonb[], p_stock_actor uuid[],
    p_stock_created timestamptz[], p_stock_state jsonb[], p_stock_metadata int[]
) returns void language plpgsql set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan as $$
declare
    -- The triggers leave the store's changes alone.
    v_is_store constant boolean := current_user = 'codeccloud_store';
    v_updates constant boolean := cardinality(array_remove(p_at, null)) > 0;
    v_records boolean := v_is_store;
    v_actor uuid[];
    v_context jsonb[];
    v_before jsonb[];
    v_after jsonb[];
    v_numbers int[];
    v_wanted int;
    v_step record;
    v_allocations_before jsonb[];
    v_allocations_after jsonb[];
    v_allocations_of int[];
    v_reserved int;
    v_let_go uuid[] := '{}';
begin
    -- Rows that are made anew from events were recorded long ago. That some are is on record, so that nobody else gets by
    -- unrecorded.
    if v_is_store and current_setting('codeccloud.rebuilding', true) = 'on' then
        v_records := exists (
            select from unnest(app_private.declared_tenants()) t
            left join public.tenant_stages s on s.tenant_id = t
            where s.rows_complete is distinct from false
        );
    end if;
    if v_records then
        select array_agg((m.event ->> 'actor')::uuid order by m.number),
            array_agg(jsonb_strip_nulls(jsonb_build_object(
                'source', m.event -> 'source', 'ip', m.event -> 'ip', 'request_id', m.event -> 'request_id'
            )) order by m.number)
        from unnest(p_metadata) with ordinality as m (event, number)
        into v_actor, v_context;
        -- Locked first and in order, as the triggers do: so entries of the log ascend with the tenant's commits.
        perform from public.tenants t where t.id = any (p_tenant || p_ledger_tenant || p_stock_tenant)
        order by t.id for no key update;
        update public.tenants t set data_version = t.data_version + c.changes
        from (
            select u.id, count(*) as changes from unnest(p_tenant || p_ledger_tenant || p_stock_tenant) as u (id) group by 1
        ) c
        where t.id = c.id;
    end if;

    for v_round in 1 .. coalesce((select max(r) from unnest(p_round) r), 0) loop
        select array_agg(i.number::int order by i.number)
        from unnest(p_round, p_at) with ordinality as i (round, at, number)
        where i.round = v_round and i.at is null
        into v_numbers;
        if v_numbers is not null then
            if not v_is_store then
                perform set_config('codeccloud.event_id', p_event[v_numbers[1]]::text, true);
            end if;
            with written as (
                insert into public.appointments as a (
                    tenant_id, id, code, customer_id, staff_id, service_id, status, slot, slot_start, slot_end, price_cents,
                    currency, version, created_at, updated_at, cancelled_at, moved_at, buffer_before_minutes,
                    buffer_after_minutes, fee_waived, reason_recorded
                )
                select i.tenant_id, i.id, upper(right(i.id::text, 12)), i.customer_id, i.staff_id,
                    i.service_id, i.status, tstzrange(i.slot_start, i.slot_end), i.slot_start, i.slot_end, i.price,
                    i.currency, i.version, i.created_at, i.updated_at, case when i.status = 'cancelled' then i.updated_at end,
                    i.moved_at, coalesce(i.buffer_before, 0), coalesce(i.buffer_after, 0), i.fee_waived, i.reason_recorded
                from unnest(
                    p_round, p_tenant, p_id, p_at, p_customer, p_staff, p_service, p_status, p_start, p_end, p_price,
                    p_currency, p_version, p_created, p_updated, p_moved, p_buffer_before, p_buffer_after, p_fee_waived,
                    p_reason_recorded
                ) with ordinality as i (
                    round, tenant_id, id, at, customer_id, staff_id, service_id, status, slot_start, slot_end, price,
                    currency, version, created_at, updated_at, moved_at, buffer_before, buffer_after, fee_waived,
                    reason_recorded, number
                )
                where i.round = v_round and i.at is null
                order by i.number
                returning case when v_records then to_jsonb(a) end as after
            )
            -- They come as they were inserted, in the order of `v_numbers`: a join with the arrays would cost their square.
            select array_agg(w.after) from written w into v_after;
            if v_records then
                perform app_private.record_appointments(
                    array_fill(null::jsonb, array[cardinality(v_after)]), v_after,
                    array(select v_actor[p_row_metadata[n]] from unnest(v_numbers) n),
                    array(select v_context[p_row_metadata[n]] from unnest(v_numbers) n),
                    array(select p_event[n] from unnest(v_numbers) n)
                );
            end if;
        end if;

        continue when not v_updates;
        -- Where the MVP's trigger knows only a longer way, the row goes through the states between.
        for v_step in
            select * from (values
                (1, array['checked_in', 'no_show']::public.appointment_status[], 'scheduled'::public.appointment_status,
                    'confirmed'::public.appointment_status),
                (2, array['no_show']::public.appointment_status[], 'confirmed', 'checked_in'),
                (3, null, null, null)
            ) as s (number, wanted, present, passed)
            order by s.number
        loop
            select array_agg(i.number::int order by i.number)
            from unnest(p_round, p_at, p_status) with ordinality as i (round, at, status, number)
            where i.round = v_round and i.at is not null
                and (v_step.wanted is null or i.status = any (v_step.wanted))
            into v_numbers;
            continue when v_numbers is null;
            v_wanted := cardinality(v_numbers);
            if not v_is_store then
                perform set_config('codeccloud.event_id', p_event[v_numbers[1]]::text, true);
            end if;
            if v_step.passed is not null or v_records then
                select array_agg(b.number order by b.number), array_agg(b.before order by b.number)
                from (
                    select n as number, to_jsonb(a) as before
                    from unnest(v_numbers) n
                    join public.appointments a
                        on (a.tenant_id, a.slot_start, a.id) = (p_tenant[n], p_at[n], p_id[n])
                    where v_step.passed is null
                        or a.status = v_step.present
                    for update of a
                ) b
                into v_numbers, v_before;
                continue when v_numbers is null and v_step.passed is not null;
            end if;
            if v_records and v_step.passed is null then
                select array_agg(b.before order by b.number, b.id)
                from (
                    select n as number, r.id, to_jsonb(r) as before
                    from unnest(v_numbers) n
                    join public.resource_allocations r
                        on (r.tenant_id, r.appointment_id, r.appointment_slot_start) = (p_tenant[n], p_id[n], p_at[n])
                    where app_private.unless_moved(p_at[n], p_start[n]) <> p_at[n]
                    for update of r
                ) b
                into v_allocations_before;
            end if;
            with written as (
                update public.appointments a set
                    staff_id = p_staff[n], status = coalesce(v_step.passed, p_status[n]),
                    slot = case when v_step.passed is null then tstzrange(
                        app_private.unless_moved(a.slot_start, p_start[n]), app_private.unless_moved(a.slot_end, p_end[n])
                    ) else a.slot end,
                    slot_start = case when v_step.passed is null
                        then app_private.unless_moved(a.slot_start, p_start[n]) else a.slot_start end,
                    slot_end = case when v_step.passed is null
                        then app_private.unless_moved(a.slot_end, p_end[n]) else a.slot_end end,
                    version = p_version[n], updated_at = p_updated[n],
                    cancelled_at = case when p_status[n] = 'cancelled' then p_updated[n] else a.cancelled_at end,
                    moved_at = coalesce(p_moved[n], a.moved_at),
                    buffer_before_minutes = coalesce(p_buffer_before[n], a.buffer_before_minutes),
                    buffer_after_minutes = coalesce(p_buffer_after[n], a.buffer_after_minutes),
                    fee_waived = a.fee_waived or p_fee_waived[n],
                    reason_recorded = a.reason_recorded or p_reason_recorded[n]
                from unnest(v_numbers) n
                where (a.tenant_id, a.slot_start, a.id) = (p_tenant[n], p_at[n], p_id[n])
                returning n as number, a.tenant_id, a.id, a.slot_start, case when v_records then to_jsonb(a) end as after
            ),
            -- In the same statement, so that the reference from them holds at its end.
            taken_along as (
                update public.resource_allocations r set
                    appointment_slot_start = w.slot_start,
                    usage_range = tstzrange(
                        lower(r.usage_range) + (w.slot_start - p_at[w.number]),
                        upper(r.usage_range) + (w.slot_start - p_at[w.number])
                    ),
                    updated_at = p_updated[w.number]
                from written w
                where w.slot_start <> p_at[w.number]
                    and (r.tenant_id, r.appointment_id, r.appointment_slot_start) = (w.tenant_id, w.id, p_at[w.number])
                returning w.number, r.id, case when v_records then to_jsonb(r) end as after
            ),
            taken as (
                select array_agg(t.after order by t.number, t.id) as after,
                    array_agg(t.number order by t.number, t.id) as numbers
                from taken_along t
            )
            select array_agg(w.after order by w.number), array_agg(w.number order by w.number),
                (select t.after from taken t), (select t.numbers from taken t)
            from written w
            into v_after, v_numbers, v_allocations_after, v_allocations_of;
            if v_step.passed is null and coalesce(cardinality(v_numbers), 0) <> v_wanted then
                raise exception 'an appointment is not where it was' using errcode = 'CC004';
            end if;
            if v_records then
                perform app_private.record_appointments(
                    v_before, v_after,
                    array(select v_actor[p_row_metadata[n]] from unnest(v_numbers) n),
                    array(select v_context[p_row_metadata[n]] from unnest(v_numbers) n),
                    array(select p_event[n] from unnest(v_numbers) n)
                );
                if v_allocations_of is not null then
                    perform app_private.record_updates(
                        'resource_allocations', v_allocations_before, v_allocations_after,
                        array(select v_actor[p_row_metadata[n]] from unnest(v_allocations_of) n),
                        array(select v_context[p_row_metadata[n]] from unnest(v_allocations_of) n),
                        array(select p_event[n] from unnest(v_allocations_of) n)
                    );
                end if;
            end if;
        end loop;
    end loop;

    if cardinality(p_work_day) > 0 then
        perform app_private.note_working_minutes(p_work_tenant, p_work_staff, p_work_day, p_work_minutes);
    end if;

    for v_number in 1 .. case when v_is_store then least(cardinality(p_stock_id), 1) else cardinality(p_stock_id) end loop
        if not v_is_store then
            perform set_config('codeccloud.event_id', p_stock_id[v_number]::text, true);
            -- What other software has let go of already can't be let go of again.
            select least(greatest(p_stock_reserved[v_number], -s.quantity_reserved), 0)
            from public.product_stock s
            where (s.tenant_id, s.product_id) = (p_stock_tenant[v_number], p_stock_product[v_number])
                and p_stock_reserved[v_number] < 0
            into v_reserved;
            v_reserved := coalesce(v_reserved, p_stock_reserved[v_number]);
            if v_reserved < 0 then
                v_let_go := v_let_go || p_stock_product[v_number];
            end if;
        end if;
        with written as (
            insert into public.product_stock_movements as m (
                tenant_id, product_id, version, id, quantity_delta, reserved_delta, reason, context, created_by, created_at
            )
            select s.tenant_id, s.product_id, s.version, s.id, s.quantity, coalesce(v_reserved, s.reserved), s.reason,
                s.context, s.actor, s.created_at
            from unnest(
                p_stock_tenant, p_stock_product, p_stock_version, p_stock_id, p_stock_quantity, p_stock_reserved,
                p_stock_reason, p_stock_context, p_stock_actor, p_stock_created
            ) with ordinality as s (
                tenant_id, product_id, version, id, quantity, reserved, reason, context, actor, created_at, number
            )
            where v_is_store or s.number = v_number
            order by s.number
            returning case when v_records then to_jsonb(m) end as after
        )
        select array_agg(w.after) from written w into v_after;
        if v_records then
            perform app_private.record_inserts(
                'product_stock_movements', v_after,
                array(select v_actor[n] from unnest(p_stock_metadata) n),
                array(select v_context[n] from unnest(p_stock_metadata) n), p_stock_id
            );
        end if;
    end loop;
    if cardinality(p_stock_id) > 0 then
        insert into public.stock_items as i (tenant_id, product_id, version, state, updated_at)
        select s.tenant_id, s.product_id, s.version, s.state, s.created_at
        from unnest(p_stock_tenant, p_stock_product, p_stock_version, p_stock_state, p_stock_created)
            as s (tenant_id, product_id, version, state, created_at)
        where s.state is not null
        order by s.tenant_id, s.product_id
        on conflict (tenant_id, product_id) do update
            set version = excluded.version, state = excluded.state, updated_at = excluded.updated_at;
        -- Other software may have moved stock since the command looked at it: what is no longer there can't go.
        if not v_is_store then
            if exists (
                select from public.product_stock p
                join (
                    select m.tenant_id, m.product_id, sum(m.quantity) as quantity, sum(m.quantity - m.reserved) as available
                    from unnest(p_stock_tenant, p_stock_product, p_stock_quantity, p_stock_reserved)
                        as m (tenant_id, product_id, quantity, reserved)
                    group by 1, 2
                ) d using (tenant_id, product_id)
                where (d.quantity < 0 and p.quantity_on_hand < 0) or (p.product_id = any (v_let_go) and p.quantity_reserved < 0)
                    or (d.available < 0 and p.quantity_on_hand < p.quantity_reserved)
            ) then
                raise exception 'the stock is not what it was' using errcode = 'CC004';
            end if;
        end if;
    end if;

    for v_number in 1 .. case when v_is_store then least(cardinality(p_ledger_id), 1) else cardinality(p_ledger_id) end loop
        if not v_is_store then
            perform set_config('codeccloud.event_id', p_ledger_id[v_number]::text, true);
        end if;
        with written as (
            insert into public.loyalty_ledger as l (
                tenant_id, customer_id, version, id, kind, points, booking_id, reference_id, expires_at, created_at
            )
            select e.tenant_id, e.customer_id, e.version, e.id, e.kind, e.points, e.booking_id, e.reference_id, e.expires_at,
                e.created_at
            from unnest(
                p_ledger_tenant, p_ledger_customer, p_ledger_version, p_ledger_id, p_ledger_kind, p_ledger_points,
                p_ledger_booking, p_ledger_reference, p_ledger_expires, p_ledger_created
            ) with ordinality as e (
                tenant_id, customer_id, version, id, kind, points, booking_id, reference_id, expires_at, created_at, number
            )
            where v_is_store or e.number = v_number
            order by e.number
            returning case when v_records then to_jsonb(l) end as after
        )
        select array_agg(w.after) from written w into v_after;
        if v_records then
            perform app_private.record_inserts(
                'loyalty_ledger', v_after,
                array(select v_actor[n] from unnest(p_ledger_metadata) n),
                array(select v_context[n] from unnest(p_ledger_metadata) n), p_ledger_id
            );
        end if;
    end loop;
    if cardinality(p_ledger_id) > 0 then
        insert into public.loyalty_accounts as a (tenant_id, customer_id, version, balance, state, created_at, updated_at)
        select l.tenant_id, l.customer_id, l.version, l.balance, l.state, l.created_at, l.created_at
        from unnest(
            p_ledger_tenant, p_ledger_customer, p_ledger_version, p_ledger_balance, p_ledger_state, p_ledger_created
        ) as l (tenant_id, customer_id, version, balance, state, created_at)
        where l.state is not null
        order by l.tenant_id, l.customer_id
        on conflict (tenant_id, customer_id) do update
            set version = excluded.version, balance = excluded.balance, state = excluded.state,
                updated_at = excluded.updated_at;
    end if;
end
$$;

-- The store writes rows in the transaction of their events, and records them itself. Whoever calls it enters the tenants as an
-- append does, which has done so before in the same transaction: at other stages rows are not its to write. Of a tenant
-- whose rows are still to be made anew it takes them at `retired` too, where rows come back before the stage ends.
create or replace function app_private.write_rows_of_append(
    p_tenants uuid[], p_metadata jsonb[],
    p_round int[], p_tenant uuid[], p_id uuid[], p_at timestamptz[], p_customer uuid[], p_staff uuid[], p_service uuid[],
    p_status public.appointment_status[], p_start timestamptz[], p_end timestamptz[], p_price int[], p_currency text[],
    p_version int[], p_created timestamptz[], p_updated timestamptz[], p_moved timestamptz[], p_buffer_before int[],
    p_buffer_after int[], p_fee_waived bool[], p_reason_recorded bool[], p_event uuid[], p_row_metadata int[],
    p_work_tenant uuid[], p_work_staff uuid[], p_work_day date[], p_work_minutes int[],
    p_ledger_tenant uuid[], p_ledger_customer uuid[], p_ledger_version int[], p_ledger_id uuid[], p_ledger_kind text[],
    p_ledger_points bigint[], p_ledger_booking uuid[], p_ledger_reference uuid[], p_ledger_expires timestamptz[],
    p_ledger_created timestamptz[], p_ledger_balance bigint[], p_ledger_state jsonb[], p_ledger_metadata int[],
    p_stock_tenant uuid[], p_stock_product uuid[], p_stock_version int[], p_stock_id uuid[], p_stock_quantity int[],
    p_stock_reserved int[], p_stock_reason text[], p_stock_context jsonb[], p_stock_actor uuid[],
    p_stock_created timestamptz[], p_stock_state jsonb[], p_stock_metadata int[]
) returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    v_ended text;
begin
    perform set_config('codeccloud.tenant_ids', p_tenants::text, true);
    perform pg_advisory_xact_lock_shared(hashtextextended(t::text, 0::bigint)) from unnest(p_tenants) t;
    -- A batch may be of tenants without rows too.
    select string_agg(t::text, ',')
    from (select distinct unnest(p_tenant || p_work_tenant || p_ledger_tenant || p_stock_tenant)) as w (t)
    left join public.tenant_stages s on s.tenant_id = t
    where coalesce(s.stage, 'mvp') <> 'scale' and (s.stage is distinct from 'retired' or s.rows_complete)
    into v_ended;
    if v_ended is not null then
        raise exception 'the stage is another' using errcode = 'CC003', detail = v_ended;
    end if;
    perform app_private.write_rows(
        p_metadata,
        p_round, p_tenant, p_id, p_at, p_customer, p_staff, p_service, p_status, p_start, p_end, p_price, p_currency,
        p_version, p_created, p_updated, p_moved, p_buffer_before, p_buffer_after, p_fee_waived, p_reason_recorded, p_event,
        p_row_metadata, p_work_tenant, p_work_staff, p_work_day, p_work_minutes, p_ledger_tenant, p_ledger_customer,
        p_ledger_version, p_ledger_id, p_ledger_kind, p_ledger_points, p_ledger_booking, p_ledger_reference,
        p_ledger_expires, p_ledger_created, p_ledger_balance, p_ledger_state, p_ledger_metadata, p_stock_tenant,
        p_stock_product, p_stock_version, p_stock_id, p_stock_quantity, p_stock_reserved, p_stock_reason, p_stock_context,
        p_stock_actor, p_stock_created, p_stock_state, p_stock_metadata
    );
end
$$;
