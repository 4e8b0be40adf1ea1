alter table vault_customers add constraint vault_customers_tenant_id_fkey foreign key (tenant_id) references tenants (id);
drop function app_private.load_customers;
