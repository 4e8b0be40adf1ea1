create or replace function app_private.forget_idempotency_keys(p_tenants uuid[], p_before timestamptz) returns bigint
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
