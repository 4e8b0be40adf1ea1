-- The API lets managers invite people, while the MVP's policy lets only an owner write memberships: this is a manager's
-- way, and an invitation is all that it leads to.

create policy invite on tenant_members for insert to codeccloud_membership
    with check (tenant_id = (select app_private.current_tenant_id()));
create policy invite_again on tenant_members for update to codeccloud_membership
    using (tenant_id = (select app_private.current_tenant_id()));
grant insert, update on tenant_members to codeccloud_membership;

-- Makes the user a member, or a former member one again. False for one who is a member already.
create function app_private.invite_member(p_tenant uuid, p_user uuid, p_role text) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    v_inviter text;
begin
    select m.role into v_inviter from public.tenant_members m
    where m.tenant_id = p_tenant and m.user_id = auth.uid() and m.revoked_at is null;
    if p_tenant is distinct from app_private.current_tenant_id() or coalesce(v_inviter, '') not in ('owner', 'manager')
        or (p_role = 'owner' and v_inviter <> 'owner')
    then
        raise exception 'not allowed to invite' using errcode = 'insufficient_privilege';
    end if;
    insert into public.tenant_members as m (tenant_id, user_id, role, invited_at)
    values (p_tenant, p_user, p_role, now())
    on conflict (tenant_id, user_id) do update
        set role = excluded.role, invited_at = now(), accepted_at = null, revoked_at = null, updated_at = now()
        where m.revoked_at is not null;
    return found;
end
$$;

grant execute on function app_private.current_tenant_id() to codeccloud_membership;
grant create on schema app_private to codeccloud_membership;
alter function app_private.invite_member owner to codeccloud_membership;
revoke create on schema app_private from codeccloud_membership;
revoke execute on function app_private.invite_member from public;
grant execute on function app_private.invite_member to authenticated;
