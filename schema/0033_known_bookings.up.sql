-- Whoever begins to listen is told what becomes of the bookings that are there: what they are now is taken note of, since an
-- entry says how a row is after a change, and not what it was.

create policy outbox on appointments for select to codeccloud_outbox using (true);
grant select (tenant_id, id, status, slot_start, slot_end, version) on appointments to codeccloud_outbox;

-- step: A member's, before an endpoint begins to hear, in its transaction.
create function app_private.note_bookings(p_tenant uuid) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    v_is_heard bool;
begin
    if p_tenant is distinct from app_private.current_tenant_id() or not app_private.is_tenant_member(p_tenant) then
        raise exception 'not a member of the tenant' using errcode = 'insufficient_privilege';
    end if;
    select s.sends_mail or exists (
        select from public.webhook_endpoints e where e.tenant_id = p_tenant and e.is_active
    ) into v_is_heard from app_private.outbox_start s;
    insert into public.outbox_bookings as b (tenant_id, booking_id, status, slot_start, slot_end, version)
    select distinct on (a.id) a.tenant_id, a.id, case a.status when 'draft' then 'pending' else a.status::text end,
        a.slot_start, a.slot_end, a.version
    from public.appointments a
    where a.tenant_id = p_tenant and a.slot_start > now() - interval '1 year'
        -- What others are still to be told must not be known before.
        and not (v_is_heard and a.id in (
            select e.aggregate_id from app_private.outbox_start s
            join public.outbox_events e on e.id > greatest(s.entry_id, s.planned_to)
            where s.entry_id is not null and e.tenant_id = p_tenant and e.aggregate_id is not null
                and not exists (select from app_private.outbox_planned p where p.entry_id = e.id)
        ))
    order by a.id, a.slot_start desc
    -- Nobody has followed what became of them since nobody listened.
    on conflict (tenant_id, booking_id) do update set
        status = excluded.status, slot_start = excluded.slot_start, slot_end = excluded.slot_end,
        version = excluded.version, updated_at = now()
        where not v_is_heard;
end
$$;

grant create on schema app_private to codeccloud_outbox;
alter function app_private.note_bookings owner to codeccloud_outbox;
revoke create on schema app_private from codeccloud_outbox;
revoke execute on function app_private.note_bookings from public;
grant execute on function app_private.note_bookings to authenticated;
