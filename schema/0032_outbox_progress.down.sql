-- A worker of the older build goes by `processed_at` alone: what it must not tell again is marked.
update app_private.outbox_start set entry_id = coalesce(
    entry_id, pg_sequence_last_value(pg_get_serial_sequence('public.outbox_events', 'id')::regclass), 0
);
-- Where marks are other consumers', it begins behind what is planned instead. It would miss what is not, or not committed
-- yet, among that.
do $$
declare
    v_begin bigint;
begin
    select greatest(s.entry_id, s.planned_to, (select max(entry_id) from app_private.outbox_planned)) into v_begin
    from app_private.outbox_start s where not s.marks_entries;
    if exists (
        select from app_private.outbox_start s join outbox_events e on e.id > greatest(s.entry_id, s.planned_to)
        where e.id < v_begin and not exists (select from app_private.outbox_planned p where p.entry_id = e.id)
    ) or exists (
        select from app_private.outbox_planned where entry_id <= v_begin and horizon > pg_snapshot_xmin(pg_current_snapshot())
    ) then
        raise exception 'entries of the outbox are not planned yet: let a server run until they are, stop it, and try again';
    end if;
    update app_private.outbox_start set entry_id = v_begin where not marks_entries;
end
$$;
update outbox_events e set processed_at = now()
from app_private.outbox_start s
where s.marks_entries and e.processed_at is null and e.id > s.entry_id
    and (e.id <= s.planned_to or exists (select from app_private.outbox_planned p where p.entry_id = e.id))
    and not exists (
        select from outbox_deliveries d
        where d.tenant_id = e.tenant_id and d.entry_id = e.id and d.state in ('waiting', 'dead')
    );

-- As in 0021.
create or replace function app_private.replay_webhook_delivery(p_tenant uuid, p_endpoint uuid, p_delivery uuid)
returns boolean language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    if p_tenant is distinct from app_private.current_tenant_id() or not app_private.is_tenant_member(p_tenant) then
        raise exception 'not a member of the tenant' using errcode = 'insufficient_privilege';
    end if;
    update public.outbox_deliveries d
    set state = 'waiting', finished_at = null,
        attempts = case when is_under_way then attempts else 0 end,
        due_at = case when is_under_way then due_at else now() end
    from (
        select id, state = 'waiting' and lease_id is not null and due_at > now() as is_under_way
        from public.outbox_deliveries
        where tenant_id = p_tenant and target_id = p_endpoint and handler = 'webhook' and id = p_delivery for update
    ) chosen
    where d.tenant_id = p_tenant and d.id = chosen.id;
    return found;
end
$$;

-- As in 0020.
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

drop index outbox_deliveries_turns;
alter table outbox_deliveries drop column waiting_since;
do $$
begin
    execute format(
        'revoke select on sequence %s from codeccloud_outbox', pg_get_serial_sequence('public.outbox_events', 'id')
    );
end
$$;
drop table app_private.outbox_planned, app_private.outbox_finished;
revoke update on app_private.outbox_start from codeccloud_outbox;
drop policy outbox_begins on app_private.outbox_start;
alter table app_private.outbox_start
    alter column entry_id set not null, drop column marks_entries, drop column sends_mail, drop column planned_to;
