drop function app_private.invite_member;
drop policy invite on tenant_members;
drop policy invite_again on tenant_members;
revoke insert, update on tenant_members from codeccloud_membership;
revoke execute on function app_private.current_tenant_id() from codeccloud_membership;
