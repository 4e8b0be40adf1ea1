-- The vault: the only place for personal data, encrypted per customer. Deleting a customer's row destroys the key, and
-- with it whatever a backup still holds. Members have no access at all: only the server can decrypt.

-- The tenants that a transaction has declared to touch, from the setting `codeccloud.tenant_ids` ('{uuid,…}').
-- A policy against it stops a statement of ours that strays into a tenant it did not mean.
create function app_private.declared_tenants() returns uuid[] stable parallel safe
return coalesce(nullif(current_setting('codeccloud.tenant_ids', true), ''), '{}')::uuid[];

revoke execute on function app_private.declared_tenants() from public;
grant execute on function app_private.declared_tenants() to codeccloud_store, codeccloud_journal, codeccloud_vault;

create table vault_customers (
    tenant_id uuid not null references tenants (id),
    customer_id uuid not null,
    wrapped_key bytea not null,
    master_key_id text not null,
    profile bytea not null,  -- AES-256-GCM, the nonce in front
    email_lookup bytea,  -- keyed hash: equality without the address
    revision int not null default 1 check (revision > 0),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (tenant_id, customer_id)
);
create index on vault_customers (tenant_id, email_lookup);

create table vault_notes (
    tenant_id uuid not null,
    booking_id uuid not null,
    kind text not null check (kind in ('note', 'cancellation_reason')),
    customer_id uuid not null,
    ciphertext bytea not null,
    created_at timestamptz not null default now(),
    primary key (tenant_id, booking_id, kind),
    foreign key (tenant_id, customer_id) references vault_customers (tenant_id, customer_id) on delete cascade
);
create index on vault_notes (tenant_id, customer_id);

-- One policy serves the append and the server's own changes: what differs is the grant, so only the vault deletes.
do $$
declare
    target text;
begin
    foreach target in array array['vault_customers', 'vault_notes'] loop
        execute format('alter table %I enable row level security, force row level security', target);
        execute format('create policy reader on %I for select to codeccloud_reader using (true)', target);
        execute format(
            'create policy declared on %I to codeccloud_store, codeccloud_vault using (%s) with check (%2$s)',
            target, 'tenant_id = any ((select app_private.declared_tenants())::uuid[])'
        );
    end loop;
end
$$;
grant select on vault_customers, vault_notes to codeccloud_reader;
grant select, insert, update on vault_customers, vault_notes to codeccloud_store;
grant select, insert, update, delete on vault_customers, vault_notes to codeccloud_vault;
