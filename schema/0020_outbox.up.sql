-- What the outbox's worker keeps besides the MVP's `outbox_events`: one row per delivery, what is known of each booking,
-- and where it begins. An entry's `processed_at` is set once all its deliveries are finished, as other consumers expect;
-- retries, leases and dead letters are here and give no column of the MVP a new meaning.

-- See 0001 for how roles are made.
do $$
begin
    if not exists (select from pg_roles where rolname = 'codeccloud_outbox') then
        begin
            create role codeccloud_outbox nologin;
        exception when duplicate_object or unique_violation then null;
        end;
    end if;
    if not pg_has_role(current_user, 'codeccloud_outbox', 'member') then
        begin
            grant codeccloud_outbox to current_user;
        exception when unique_violation then null;
        end;
    end if;
end
$$;
grant usage on schema public, app_private to codeccloud_outbox;

-- Something to be sent for an entry to one target: an endpoint of webhooks, or for e-mail the tenant itself.
create table outbox_deliveries (
    tenant_id uuid not null,
    id uuid not null,  -- the same over all attempts, so that receivers can tell a repetition
    -- Rises in the order of the entries. Of one aggregate and target, the lowest that is waiting is the next to go.
    number bigint generated always as identity,
    entry_id bigint not null,  -- of outbox_events, whose key it can't refer to: the MVP's has no tenant
    aggregate_id uuid not null,
    handler text not null check (handler in ('email', 'webhook')),
    target_id uuid not null,
    event_type text not null,
    message jsonb not null,  -- ids and times; never personal data
    state text not null default 'waiting' check (state in ('waiting', 'done', 'skipped', 'dead', 'discarded')),
    attempts int not null default 0,
    -- When it may be tried, also again after its sender went away: taking a delivery moves this to the end of the lease.
    due_at timestamptz not null default now(),
    lease_id uuid,
    response_status int,
    reason text,  -- of the last attempt's outcome, in our own words: servers quote addresses in theirs
    created_at timestamptz not null default now(),
    finished_at timestamptz,
    primary key (tenant_id, id)
);
create index on outbox_deliveries (due_at) where state = 'waiting';
create index on outbox_deliveries (tenant_id, target_id, aggregate_id, number) where state = 'waiting';
create index on outbox_deliveries (tenant_id, entry_id);
create index on outbox_deliveries (tenant_id, target_id, number);
create index on outbox_deliveries (number) where state = 'dead';
create index on outbox_deliveries (finished_at) where state in ('done', 'skipped', 'discarded');

-- What the entries have told of a booking so far: an entry holds the row after a change only.
create table outbox_bookings (
    tenant_id uuid not null,
    booking_id uuid not null,
    status text not null,
    slot_start timestamptz not null,
    slot_end timestamptz not null,
    version int,
    sequence int not null default 0,  -- of the calendar entry that customers got; rises with each change of it
    updated_at timestamptz not null default now(),
    primary key (tenant_id, booking_id)
);
create index on outbox_bookings (slot_end);

-- Entries up to this one are from before the worker: whoever was to hear of them has, or is told by another consumer.
-- The sequence is asked, because forced row security hides the entries from the owner.
create table app_private.outbox_start (
    entry_id bigint not null,
    started_at timestamptz not null default now()
);
create unique index on app_private.outbox_start ((true));
insert into app_private.outbox_start (entry_id)
select case when is_called then last_value else 0 end from outbox_events_id_seq;

select app_private.protect_tenant_table('outbox_deliveries', 'select');
grant select on outbox_deliveries to authenticated;
alter table outbox_bookings enable row level security, force row level security;
alter table app_private.outbox_start enable row level security, force row level security;

create policy outbox on outbox_deliveries to codeccloud_outbox using (true) with check (true);
create policy outbox on outbox_bookings to codeccloud_outbox using (true) with check (true);
create policy outbox on app_private.outbox_start for select to codeccloud_outbox using (true);
create policy outbox_reads on outbox_events for select to codeccloud_outbox using (true);
create policy outbox_processes on outbox_events for update to codeccloud_outbox using (true) with check (true);
create policy outbox_discards on audit_log for insert to codeccloud_outbox
    with check (event_type = 'update' and entity = 'outbox_deliveries');
grant select, insert, update, delete on outbox_deliveries, outbox_bookings to codeccloud_outbox;
grant select on app_private.outbox_start, outbox_events to codeccloud_outbox;
grant update (processed_at) on outbox_events to codeccloud_outbox;
grant insert on audit_log to codeccloud_outbox;
grant usage on sequence audit_log_id_seq to codeccloud_outbox;

-- For the words of a mail: the salon, the service, the person.
do $$
declare
    target text;
begin
    foreach target in array array['tenants', 'tenant_settings', 'appointment_services', 'staff_profiles'] loop
        execute format('grant select on %I to codeccloud_outbox', target);
        execute format('create policy outbox on %I for select to codeccloud_outbox using (true)', target);
    end loop;
end
$$;

-- Marks the attempt that has the lease, and the entry once nothing of it is open. False: the lease had run out and
-- somebody else has the delivery. The entry is locked first: of two deliveries that end at once, the later one sees the other.
create function app_private.finish_attempt(
    p_tenant uuid, p_delivery uuid, p_lease uuid, p_entry bigint, p_state text, p_wait interval, p_status int, p_reason text
) returns boolean language plpgsql set search_path = public, pg_temp as $$
begin
    perform from outbox_events where id = p_entry for update;
    update outbox_deliveries
    set state = p_state, lease_id = null, response_status = p_status, reason = p_reason,
        due_at = case when p_state = 'waiting' then now() + p_wait else due_at end,
        finished_at = case when p_state <> 'waiting' then now() end
    where tenant_id = p_tenant and id = p_delivery and lease_id = p_lease and state = 'waiting';
    if not found then
        return false;
    end if;
    perform app_private.close_outbox_entry(p_tenant, p_entry);
    return true;
end
$$;

create function app_private.close_outbox_entry(p_tenant uuid, p_entry bigint)
returns void language sql set search_path = public, pg_temp as $$
    update outbox_events set processed_at = now()
    where id = p_entry and processed_at is null and not exists (
        select from outbox_deliveries d
        where d.tenant_id = p_tenant and d.entry_id = p_entry and d.state in ('waiting', 'dead')
    );
$$;

revoke execute on function app_private.finish_attempt, app_private.close_outbox_entry from public;
grant execute on function app_private.finish_attempt, app_private.close_outbox_entry to codeccloud_outbox;
