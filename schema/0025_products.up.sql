-- Products become reference data, which the server keeps in memory: what the MVP's table says of them, and from when on
-- more should be ordered. How much of each there is stays with `product_stock`, since it is no reference data.

create table product_details (
    tenant_id uuid not null,
    product_id uuid not null,
    minimum_stock int not null default 0 check (minimum_stock >= 0),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (tenant_id, product_id),
    foreign key (tenant_id, product_id) references products (tenant_id, id) on delete cascade
);

select app_private.protect_tenant_table('product_details'), app_private.share_reference_table('product_details');
grant select, insert, update, delete on product_details to authenticated;

select app_private.watch_reference_table(target) from unnest(array['products', 'product_details']::regclass[]) target;
