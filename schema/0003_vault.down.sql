drop table vault_notes, vault_customers;
drop function app_private.declared_tenants();
