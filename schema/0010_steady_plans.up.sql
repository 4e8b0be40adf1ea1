-- Plans are made while tables are small and kept while these grow: the lookup as in 0009, but never by all customers of the
-- tenant, which the policy's condition invites to.
create or replace function app_private.load_customers(p_tenants uuid[], p_tenant uuid[], p_customer uuid[])
returns table (
    tenant_id uuid, customer_id uuid, revision integer, wrapped_key bytea, master_key_id text, profile bytea,
    email_lookup bytea
) language plpgsql set search_path = public, pg_temp
-- By index, one customer after the other: the plan is made while the vault is small and kept while it grows.
set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_bitmapscan = off
set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
begin
    perform set_config('codeccloud.tenant_ids', p_tenants::text, true);
    return query
        select v.tenant_id, v.customer_id, v.revision, v.wrapped_key, v.master_key_id, v.profile, v.email_lookup
        from unnest(p_tenant, p_customer) as wanted (tenant_id, customer_id)
        join vault_customers v using (tenant_id, customer_id);
end
$$;

-- Only who asks for an address can take this index, so that the lookup above is left with the primary key.
drop index vault_customers_tenant_id_email_lookup_idx;
create index vault_customers_email_lookup on vault_customers (tenant_id, email_lookup) where email_lookup is not null;
