drop function app_private.claim_idempotency_key;
revoke execute on function app_private.current_tenant_id(), app_private.is_tenant_member(uuid) from codeccloud_store;
