drop function app_private.replay_webhook_delivery;
revoke execute on function app_private.current_tenant_id(), app_private.is_tenant_member(uuid) from codeccloud_outbox;
drop table webhook_endpoints;
