//! Who takes part: the tenants, and the services and staff that they list.

use std::sync::Arc;

use codeccloud_actors::ids::{ServiceId, StaffId, TenantId};
use hyper::header::{AUTHORIZATION, HOST, HeaderMap, HeaderValue};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::client::Target;
use super::reader::{Patience, Reader};
use super::{LoadError, TenantAccess};

pub struct Cast {
    pub target: Arc<Target>,
    pub tenants: Vec<Tenant>,
    /// The staff of all tenants, numbered through; the first of each tenant is the popular one.
    pub people: Vec<Person>,
}

pub struct Tenant {
    pub id: TenantId,
    /// The headers that every request of this tenant carries.
    pub head: HeaderMap,
    pub services: Vec<Service>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Service {
    pub id: ServiceId,
    pub duration_minutes: u16,
    /// Sent back in bookings exactly as listed.
    pub price: Box<RawValue>,
}

#[derive(Debug, Clone, Copy)]
pub struct Person {
    /// An index into [`Cast::tenants`].
    pub tenant: usize,
    pub staff: StaffId,
}

#[derive(Deserialize)]
struct ListedStaff {
    id: StaffId,
}

impl Cast {
    /// Asks the server for each tenant's services and its first `staff` people.
    pub async fn discover(target: Arc<Target>, access: &[TenantAccess], staff: usize) -> Result<Cast, LoadError> {
        let mut cast = Cast { target, tenants: Vec::new(), people: Vec::new() };
        for (index, access) in access.iter().enumerate() {
            let head = head(&cast.target, access)?;
            let mut reader = Reader::new(cast.target.clone(), head.clone(), Patience::Short);
            let services: Vec<Service> = reader.list("/v1/services").await?;
            let listed: Vec<ListedStaff> = reader.list("/v1/staff").await?;
            let id = TenantId(access.tenant_id);
            let usable = |service: &Service| (1..=600).contains(&service.duration_minutes);
            if !services.iter().any(usable) {
                return Err(LoadError::Nothing { tenant: id, what: "service of at most ten hours" });
            }
            if listed.is_empty() {
                return Err(LoadError::Nothing { tenant: id, what: "staff member" });
            }
            cast.tenants.push(Tenant { id, head, services: services.into_iter().filter(usable).collect() });
            cast.people.extend(listed.iter().take(staff).map(|listed| Person { tenant: index, staff: listed.id }));
        }
        Ok(cast)
    }

    pub fn tenant_of(&self, person: usize) -> &Tenant {
        &self.tenants[self.people[person].tenant]
    }
}

fn head(target: &Target, access: &TenantAccess) -> Result<HeaderMap, LoadError> {
    let unusable = |_| LoadError::Token { tenant: TenantId(access.tenant_id) };
    let mut head = HeaderMap::with_capacity(8);
    head.insert(HOST, HeaderValue::from_str(&target.authority).expect("an authority is printable ASCII"));
    head.insert(AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {}", access.token)).map_err(unusable)?);
    let workspace = HeaderValue::from_str(&access.tenant_id.to_string()).expect("a UUID is printable ASCII");
    head.insert("x-workspace-id", workspace);
    Ok(head)
}
