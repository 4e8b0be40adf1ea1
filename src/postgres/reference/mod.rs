//! Reference data: read from memory, changed in the database under the caller's own policies.
//!
//! To add a table: list it in `load.rs` with what adds its rows to the tenant, and watch it in `schema/`.

mod cache;
mod change;
mod checks;
mod hours;
mod load;
mod products;
mod rows;
mod services;
mod staff;
mod strangers;

use std::sync::Arc;
use std::time::{Duration, Instant};

use codeccloud_actors::envelope::Caller;
use codeccloud_actors::ids::{ProductId, ServiceId, StaffId, TenantId, UserId};
use codeccloud_actors::ports::{Ids, StoreError};
use codeccloud_actors::reference::TenantReference;
use futures_util::future::BoxFuture;
use uuid::Uuid;

use self::cache::Cache;
pub(super) use self::change::{Change, found};
use self::strangers::Strangers;
use super::transactional::Turn;
use super::{CallerPool, ConnectionPool, Database};
use crate::ports::{
    HoursException, IdempotencyKey, NewMember, NewProduct, NewService, NewStaff, NewTimeOff, Precondition,
    ProductChange, Reference, ReferenceError, ServiceChange, StaffChange, TimeOffEntry, WorkingHours,
};

pub struct PostgresReference {
    cache: Arc<Cache>,
    readers: ConnectionPool,
    members: Arc<CallerPool>,
    ids: Arc<dyn Ids>,
    strangers: Strangers,
}

type Answer<'a, T> = BoxFuture<'a, Result<T, ReferenceError>>;

impl PostgresReference {
    /// Has every tenant in memory when it returns, and follows changes until dropped, on connections of `own` that nobody
    /// else keeps busy. `members` have the role `authenticated`.
    pub async fn start(
        database: &Database,
        own: ConnectionPool,
        readers: ConnectionPool,
        members: Arc<CallerPool>,
        ids: Arc<dyn Ids>,
    ) -> Result<Arc<PostgresReference>, StoreError> {
        let cache = Arc::new(Cache::fill(own).await?);
        database.io().spawn(cache::follow(Arc::downgrade(&cache), database.clone()));
        Ok(Arc::new(PostgresReference { cache, readers, members, ids, strangers: Strangers::default() }))
    }

    /// How old a change may be that memory does not have yet.
    pub fn age(&self) -> Duration {
        self.cache.age()
    }

    async fn member(&self, tenant_id: TenantId) -> Result<Turn<'_>, ReferenceError> {
        let turn = self.members.for_command(tenant_id).await;
        turn.map_err(|error| ReferenceError::Unavailable(error.to_string()))
    }

    /// Commits, and has it in memory.
    async fn finish(&self, change: Change<'_>) -> Result<(), ReferenceError> {
        let tenant_id = change.tenant_id;
        change.commit().await?;
        self.cache.refresh(Some(&[tenant_id])).await.map_err(|error| ReferenceError::Unavailable(error.to_string()))
    }
}

impl Reference for PostgresReference {
    fn tenant(&self, tenant_id: TenantId) -> Option<Arc<TenantReference>> {
        self.cache.tenant(tenant_id)
    }

    fn refresh(&self, tenant_id: TenantId) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            if let Err(error) = self.cache.refresh(Some(&[tenant_id.0])).await {
                tracing::debug!(%error, "a tenant's reference data could not be read again");
            }
        })
    }

    fn look_again(&self, tenant_id: TenantId, user_id: UserId) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            if self.strangers.may_look(tenant_id, user_id, Instant::now())
                && let Err(error) = self.cache.refresh(Some(&[tenant_id.0])).await
            {
                tracing::debug!(%error, "a stranger could not be looked for");
            }
        })
    }

    fn create_service(
        &self,
        tenant_id: TenantId,
        caller: Caller,
        new: NewService,
        idempotency: Option<IdempotencyKey>,
    ) -> Answer<'_, (ServiceId, bool)> {
        Box::pin(async move {
            let mut client = self.member(tenant_id).await?;
            let change = Change::begin(&mut client, tenant_id, caller).await?;
            let id = self.ids.uuid();
            if let Some(first) = change.claim(idempotency, self.ids.uuid(), &[id]).await? {
                return Ok((ServiceId(first[0]), true));
            }
            services::create(&change, id, new).await?;
            self.finish(change).await?;
            Ok((ServiceId(id), false))
        })
    }

    fn change_service(
        &self,
        tenant_id: TenantId,
        caller: Caller,
        id: ServiceId,
        change: ServiceChange,
        precondition: Option<Precondition>,
    ) -> Answer<'_, ()> {
        let to = change;
        Box::pin(async move {
            let mut client = self.member(tenant_id).await?;
            let change = Change::begin(&mut client, tenant_id, caller).await?;
            change.lock_service(id.0).await?;
            change.demand(precondition).await?;
            services::update(&change, id.0, to).await?;
            self.finish(change).await
        })
    }

    fn create_product(
        &self,
        tenant_id: TenantId,
        caller: Caller,
        new: NewProduct,
        idempotency: Option<IdempotencyKey>,
    ) -> Answer<'_, (ProductId, bool)> {
        Box::pin(async move {
            let mut client = self.member(tenant_id).await?;
            let change = Change::begin(&mut client, tenant_id, caller).await?;
            let id = self.ids.uuid();
            if let Some(first) = change.claim(idempotency, self.ids.uuid(), &[id]).await? {
                return Ok((ProductId(first[0]), true));
            }
            products::create(&change, id, new).await?;
            self.finish(change).await?;
            Ok((ProductId(id), false))
        })
    }

    fn change_product(
        &self,
        tenant_id: TenantId,
        caller: Caller,
        id: ProductId,
        change: ProductChange,
        precondition: Option<Precondition>,
    ) -> Answer<'_, ()> {
        let to = change;
        Box::pin(async move {
            let mut client = self.member(tenant_id).await?;
            let change = Change::begin(&mut client, tenant_id, caller).await?;
            change.lock_product(id.0).await?;
            change.demand(precondition).await?;
            products::update(&change, id.0, to).await?;
            self.finish(change).await
        })
    }

    fn create_staff(
        &self,
        tenant_id: TenantId,
        caller: Caller,
        new: NewStaff,
        idempotency: Option<IdempotencyKey>,
    ) -> Answer<'_, (StaffId, bool)> {
        Box::pin(async move {
            let mut client = self.member(tenant_id).await?;
            let change = Change::begin(&mut client, tenant_id, caller).await?;
            let id = self.ids.uuid();
            if let Some(first) = change.claim(idempotency, self.ids.uuid(), &[id]).await? {
                return Ok((StaffId(first[0]), true));
            }
            staff::create(&change, id, new).await?;
            self.finish(change).await?;
            Ok((StaffId(id), false))
        })
    }

    fn change_staff(
        &self,
        tenant_id: TenantId,
        caller: Caller,
        id: StaffId,
        change: StaffChange,
        precondition: Option<Precondition>,
    ) -> Answer<'_, ()> {
        let to = change;
        Box::pin(async move {
            let mut client = self.member(tenant_id).await?;
            let change = Change::begin(&mut client, tenant_id, caller).await?;
            change.lock_staff_member(id.0).await?;
            change.demand(precondition).await?;
            staff::update(&change, id.0, to).await?;
            self.finish(change).await
        })
    }

    fn set_working_hours(
        &self,
        tenant_id: TenantId,
        caller: Caller,
        id: StaffId,
        hours: Option<Vec<WorkingHours>>,
        precondition: Option<Precondition>,
    ) -> Answer<'_, ()> {
        Box::pin(async move {
            let mut client = self.member(tenant_id).await?;
            let change = Change::begin(&mut client, tenant_id, caller).await?;
            change.lock_staff_member(id.0).await?;
            change.demand(precondition).await?;
            hours::set_working_hours(&change, id.0, hours).await?;
            self.finish(change).await
        })
    }

    fn set_hours_exception(
        &self,
        tenant_id: TenantId,
        caller: Caller,
        id: StaffId,
        exception: HoursException,
        precondition: Option<Precondition>,
    ) -> Answer<'_, ()> {
        Box::pin(async move {
            let mut client = self.member(tenant_id).await?;
            let change = Change::begin(&mut client, tenant_id, caller).await?;
            change.lock_staff_member(id.0).await?;
            change.demand(precondition).await?;
            hours::set_exception(&change, id.0, exception).await?;
            self.finish(change).await
        })
    }

    fn time_off(&self, tenant_id: TenantId, id: StaffId) -> Answer<'_, Vec<TimeOffEntry>> {
        Box::pin(async move {
            if !self.tenant(tenant_id).is_some_and(|tenant| tenant.staff.contains_key(&id)) {
                return Err(ReferenceError::NotFound("staff member"));
            }
            hours::list_time_off(&self.readers, tenant_id.0, id).await
        })
    }

    fn add_time_off(
        &self,
        tenant_id: TenantId,
        caller: Caller,
        new: NewTimeOff,
        idempotency: Option<IdempotencyKey>,
    ) -> Answer<'_, (Uuid, bool)> {
        Box::pin(async move {
            let mut client = self.member(tenant_id).await?;
            let change = Change::begin(&mut client, tenant_id, caller).await?;
            let id = self.ids.uuid();
            if let Some(first) = change.claim(idempotency, self.ids.uuid(), &[id]).await? {
                return Ok((first[0], true));
            }
            hours::add_time_off(&change, id, new).await?;
            self.finish(change).await?;
            Ok((id, false))
        })
    }

    fn remove_time_off(&self, tenant_id: TenantId, caller: Caller, staff_id: StaffId, id: Uuid) -> Answer<'_, ()> {
        Box::pin(async move {
            let mut client = self.member(tenant_id).await?;
            let change = Change::begin(&mut client, tenant_id, caller).await?;
            hours::remove_time_off(&change, staff_id.0, id).await?;
            self.finish(change).await
        })
    }

    fn invite(
        &self,
        tenant_id: TenantId,
        caller: Caller,
        new: NewMember,
        idempotency: Option<IdempotencyKey>,
    ) -> Answer<'_, (UserId, Option<StaffId>, bool)> {
        Box::pin(async move {
            let mut client = self.member(tenant_id).await?;
            let change = Change::begin(&mut client, tenant_id, caller).await?;
            let (user_id, staff_id) = (new.user_id, new.display_name.is_some().then(|| self.ids.uuid()));
            let created: Vec<Uuid> = std::iter::once(user_id.0).chain(staff_id).collect();
            if let Some(first) = change.claim(idempotency, self.ids.uuid(), &created).await? {
                return Ok((UserId(first[0]), first.get(1).copied().map(StaffId), true));
            }
            staff::invite(&change, staff_id, new).await?;
            self.finish(change).await?;
            Ok((user_id, staff_id.map(StaffId), false))
        })
    }
}
