-- Forgets some of the keys at a time, and returns how many: whoever wants all gone asks until there are none. A
-- transaction that deletes a whole hour's keys would hold back the feed.
create or replace function app_private.forget_idempotency_keys(p_tenants uuid[], p_before timestamptz) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    v_count bigint;
begin
    perform set_config('codeccloud.tenant_ids', p_tenants::text, true);
    delete from public.idempotency_keys where ctid = any (array(
        select k.ctid from public.idempotency_keys k where k.created_at < p_before limit 2000
    ));
    get diagnostics v_count = row_count;
    return v_count;
end
$$;
