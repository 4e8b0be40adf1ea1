-- Members change reference data under their own policies, and have no right on idempotency keys: this is their way to
-- claim one in the transaction of the change.

-- Claims the key for what the transaction creates, or says what was asked and answered under it before: then both
-- outputs are there. Waits for a transaction that is claiming the same key.
create function app_private.claim_idempotency_key(
    p_tenant uuid, p_key text, p_command uuid, p_hash bytea, p_answer bytea, out request_hash bytea, out answer bytea
) language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    if p_tenant is distinct from app_private.current_tenant_id() or not app_private.is_tenant_member(p_tenant) then
        raise exception 'not a member of the tenant' using errcode = 'insufficient_privilege';
    end if;
    perform set_config('codeccloud.tenant_ids', array[p_tenant]::text, true);
    insert into public.idempotency_keys (tenant_id, key, command_id, request_hash, status, answer, created_at)
    values (p_tenant, p_key, p_command, p_hash, 201, p_answer, clock_timestamp())
    on conflict do nothing;
    if not found then
        select k.request_hash, k.answer into claim_idempotency_key.request_hash, claim_idempotency_key.answer
        from public.idempotency_keys k where k.tenant_id = p_tenant and k.key = p_key;
    end if;
end
$$;

grant execute on function app_private.current_tenant_id(), app_private.is_tenant_member(uuid) to codeccloud_store;
grant create on schema app_private to codeccloud_store;
alter function app_private.claim_idempotency_key owner to codeccloud_store;
revoke create on schema app_private from codeccloud_store;
revoke execute on function app_private.claim_idempotency_key from public;
grant execute on function app_private.claim_idempotency_key to authenticated;
