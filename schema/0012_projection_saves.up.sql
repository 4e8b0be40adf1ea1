-- A save of a projection writes its chunks under an id of its own, each in a short transaction, and is then made the one
-- that counts: a long transaction of the server would hold back the feeds of all nodes.
alter table projection_snapshots
    add column save_id uuid not null default '00000000-0000-0000-0000-000000000000',
    drop constraint projection_snapshots_pkey,
    add primary key (projection, save_id, chunk),
    -- Trying to compress what is binary costs time within the transaction, and gains little.
    alter column state set storage external;
alter table event_projection_offsets
    add column save_id uuid not null default '00000000-0000-0000-0000-000000000000';
