use codeccloud_actors::envelope::Role;
use codeccloud_actors::ids::UserId;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::change::{Change, found};
use super::checks::{self, invalid};
use crate::ports::{NewMember, NewStaff, ReferenceError, StaffChange};

pub(super) async fn create(change: &Change<'_>, id: Uuid, new: NewStaff) -> Result<(), ReferenceError> {
    insert(change, id, &new.display_name, Some(&new.color), new.user_id).await
}

pub(super) async fn update(change: &Change<'_>, id: Uuid, to: StaffChange) -> Result<(), ReferenceError> {
    if let Some(name) = &to.display_name {
        checks::name("displayName", name)?;
    }
    let sql = "UPDATE staff_profiles SET display_name = coalesce($3, display_name), color = coalesce($4, color), \
                   updated_at = now() \
               WHERE tenant_id = $1 AND id = $2";
    let key = [(&change.tenant_id as _, Type::UUID), (&id as _, Type::UUID)];
    let profile = [&key[..], &[(&to.display_name as _, Type::TEXT), (&to.color as _, Type::TEXT)]].concat();
    found(change.execute(sql, &profile).await?, "staff member")?;
    if to.active.is_some() {
        let sql = "INSERT INTO staff_details (tenant_id, staff_id, is_active) VALUES ($1, $2, $3) \
                   ON CONFLICT (tenant_id, staff_id) DO UPDATE SET is_active = excluded.is_active, updated_at = now()";
        change.execute(sql, &[&key[..], &[(&to.active as _, Type::BOOL)]].concat()).await?;
    }
    Ok(())
}

/// A former member becomes one again. `staff_id` is for the profile of one who serves customers.
pub(super) async fn invite(change: &Change<'_>, staff_id: Option<Uuid>, new: NewMember) -> Result<(), ReferenceError> {
    let role = match new.role {
        Role::Owner | Role::Manager | Role::Staff => new.role.as_str(),
        Role::Customer | Role::Service | Role::Operator => return Err(invalid("role", "must be a member's")),
    };
    let sql = "SELECT FROM app_private.invite_member($1, $2, $3) invited WHERE invited";
    let parameters =
        [(&change.tenant_id as _, Type::UUID), (&new.user_id.0 as _, Type::UUID), (&role as _, Type::TEXT)];
    if change.query(sql, &parameters).await?.is_empty() {
        return Err(ReferenceError::Conflict("this user is a member already".to_owned()));
    }
    match (staff_id, &new.display_name) {
        (Some(id), Some(name)) => insert(change, id, name, None, Some(new.user_id)).await,
        _ => Ok(()),
    }
}

async fn insert(
    change: &Change<'_>,
    id: Uuid,
    display_name: &str,
    color: Option<&str>,
    user_id: Option<UserId>,
) -> Result<(), ReferenceError> {
    checks::name("displayName", display_name)?;
    let user_id = user_id.map(|user_id| user_id.0);
    let sql = "INSERT INTO staff_profiles (tenant_id, id, user_id, display_name, color) \
               SELECT $1, $2, $3, $4, $5 WHERE NOT EXISTS \
                   (SELECT FROM staff_profiles WHERE tenant_id = $1 AND user_id = $3)";
    let added = change
        .execute(
            sql,
            &[
                (&change.tenant_id, Type::UUID),
                (&id, Type::UUID),
                (&user_id, Type::UUID),
                (&display_name, Type::TEXT),
                (&color, Type::TEXT),
            ],
        )
        .await?;
    if added == 0 { Err(ReferenceError::Conflict("this user has a staff profile already".to_owned())) } else { Ok(()) }
}
