drop function app_private.settle_appends(uuid);
drop function app_private.forget_idempotency_keys;
drop function app_private.append;
drop table tenant_stages, projection_snapshots, event_projection_offsets, snapshots, saga_instances, idempotency_keys,
    stream_heads, event_store;
drop function app_private.create_event_partition(date);
drop function app_private.refuse_event_change();
drop function app_private.protect_event_table(regclass);
drop function app_private.cluster_id();
-- The role stays: other databases of the cluster may use it.
drop owned by codeccloud_projector;
