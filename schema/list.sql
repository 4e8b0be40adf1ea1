-- The list of applied migrations, before the first of them. Also where an older binary has made its first half. Whoever
-- has the schema already may lack the right to make one.
do $$ begin if to_regnamespace('app_private') is null then create schema app_private; end if; end $$;
create table if not exists app_private.schema_migrations (
    number int primary key check (number > 0),
    name text not null,
    checksum text not null,
    applied_at timestamptz not null default now()
);
alter table app_private.schema_migrations add column if not exists adopted_at timestamptz;
-- Of the first migration: when an operator was told what adoption found in the rows.
alter table app_private.schema_migrations add column if not exists reported_at timestamptz;
-- How many steps are done of one that goes step by step.
create table if not exists app_private.schema_migrations_progress (
    number int primary key check (number > 0),
    steps_done int not null check (steps_done > 0)
);
-- Of the steps that are done: a binary that has others must not go on after them.
alter table app_private.schema_migrations_progress add column if not exists steps_hash text;
do $$
declare
    target text;
begin
    foreach target in array array['schema_migrations', 'schema_migrations_progress'] loop
        execute format('alter table app_private.%I enable row level security, force row level security', target);
        execute format('drop policy if exists owner on app_private.%I', target);
        execute format('create policy owner on app_private.%I to current_user using (true) with check (true)', target);
    end loop;
end
$$;
