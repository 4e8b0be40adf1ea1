-- Every booking of a customer who is not in memory looks the vault up, so that costs one statement whose plan is kept with
-- the session, poolers or not.
create function app_private.load_customers(p_tenants uuid[], p_tenant uuid[], p_customer uuid[])
returns table (
    tenant_id uuid, customer_id uuid, revision integer, wrapped_key bytea, master_key_id text, profile bytea,
    email_lookup bytea
) language plpgsql set search_path = public, pg_temp
-- By index, one customer after the other: the plan is made while the vault is small and kept while it grows.
set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
begin
    perform set_config('codeccloud.tenant_ids', p_tenants::text, true);
    return query
        select v.tenant_id, v.customer_id, v.revision, v.wrapped_key, v.master_key_id, v.profile, v.email_lookup
        from unnest(p_tenant, p_customer) as wanted (tenant_id, customer_id)
        join vault_customers v using (tenant_id, customer_id);
end
$$;
revoke execute on function app_private.load_customers from public;
grant execute on function app_private.load_customers to codeccloud_vault;

-- A tenant is checked before anything is booked there, and its row is hot: the check of this key would lock it anew with
-- each new customer.
alter table vault_customers drop constraint vault_customers_tenant_id_fkey;
