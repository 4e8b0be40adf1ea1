-- Endpoints that hear of a tenant's bookings. Reference data; the secrets are encrypted under a key of the server's, so
-- that a dump of the database signs nothing.

create table webhook_endpoints (
    tenant_id uuid not null,
    id uuid not null,
    url text not null,
    event_types text[] not null default '{}',  -- none named: all
    is_active bool not null default true,
    off_reason text,  -- when the server itself has switched it off
    version int not null default 1,
    secret bytea not null,
    secret_key_id text not null,  -- the master key that each is under
    previous_secret bytea,
    previous_secret_key_id text,
    previous_secret_until timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (tenant_id, id)
);

select app_private.protect_tenant_table('webhook_endpoints');
grant select, insert, update, delete on webhook_endpoints to authenticated;
create policy reader on webhook_endpoints for select to codeccloud_reader using (true);
grant select on webhook_endpoints to codeccloud_reader;
create policy outbox on webhook_endpoints to codeccloud_outbox using (true) with check (true);
grant select on webhook_endpoints to codeccloud_outbox;
grant update (is_active, off_reason, version, secret, secret_key_id, previous_secret, previous_secret_key_id, updated_at)
    on webhook_endpoints to codeccloud_outbox;

-- A member's way to have a delivery of the own tenant made again, under its id: members only read deliveries. One that is
-- being sent at the moment stays as it is. False: there is none.
create function app_private.replay_webhook_delivery(p_tenant uuid, p_endpoint uuid, p_delivery uuid)
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

grant execute on function app_private.current_tenant_id(), app_private.is_tenant_member(uuid) to codeccloud_outbox;
grant create on schema app_private to codeccloud_outbox;
alter function app_private.replay_webhook_delivery owner to codeccloud_outbox;
revoke create on schema app_private from codeccloud_outbox;
revoke execute on function app_private.replay_webhook_delivery from public;
grant execute on function app_private.replay_webhook_delivery to authenticated;
