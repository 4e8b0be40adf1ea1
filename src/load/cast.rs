//! Who takes part: the tenants, and the services and staff that they list.

use std::sync::Arc;

use codeccloud_actors::ids::{ServiceId, StaffId, TenantId};
use hyper::header::{AUTHORIZATION, HOST, HeaderMap, HeaderValue};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::args::Hours;
use super::client::Target;
use super::plan::Span;
use super::random::Random;
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
    /// The longest buffer of any service.
    pub buffer_minutes_max: u32,
}

pub struct Service {
    pub id: ServiceId,
    pub span: Span,
    /// Sent back in bookings exactly as listed.
    pub price: Box<RawValue>,
}

pub struct Person {
    /// An index into [`Cast::tenants`].
    pub tenant: usize,
    pub staff: StaffId,
    /// What they perform, at least one: indices into [`Tenant::services`].
    pub services: Vec<usize>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListedService {
    id: ServiceId,
    duration_minutes: u32,
    price: Box<RawValue>,
    #[serde(default)]
    buffer_before_minutes: u32,
    #[serde(default)]
    buffer_after_minutes: u32,
    #[serde(default = "yes")]
    active: bool,
    /// Absent or null: everyone performs it.
    staff_ids: Option<Vec<StaffId>>,
}

#[derive(Deserialize)]
struct ListedStaff {
    id: StaffId,
    #[serde(default = "yes")]
    active: bool,
}

/// Servers that list no such field list only what is active.
fn yes() -> bool {
    true
}

impl Cast {
    /// Asks the server for what each tenant offers, and who performs it: the first `staff` people.
    pub async fn discover(
        target: Arc<Target>,
        access: &[TenantAccess],
        staff: usize,
        hours: Hours,
    ) -> Result<Cast, LoadError> {
        let mut cast = Cast { target, tenants: Vec::new(), people: Vec::new() };
        for access in access {
            let id = TenantId(access.tenant_id);
            let head = head(&cast.target, access)?;
            let mut reader = Reader::new(cast.target.clone(), head.clone(), Patience::Short);
            let mut services: Vec<ListedService> = reader.list("/v1/services").await?;
            services.retain(|service| service.active && service.span().is_some_and(|span| span.fits(hours)));
            let mut listed: Vec<ListedStaff> = reader.list("/v1/staff").await?;
            listed.retain(|member| member.active);
            let performed = listed.iter().map(|member| Person {
                tenant: cast.tenants.len(),
                staff: member.id,
                services: (0..services.len()).filter(|&index| services[index].is_performed_by(member.id)).collect(),
            });
            let people: Vec<Person> = performed.filter(|person| !person.services.is_empty()).take(staff).collect();
            if people.is_empty() {
                return Err(LoadError::NobodyToBook { tenant: id });
            }
            cast.people.extend(people);
            cast.tenants.push(Tenant {
                id,
                head,
                buffer_minutes_max: services.iter().map(ListedService::buffer_minutes).max().unwrap_or_default(),
                services: services.into_iter().filter_map(ListedService::usable).collect(),
            });
        }
        Ok(cast)
    }

    pub fn tenant_of(&self, person: usize) -> &Tenant {
        &self.tenants[self.people[person].tenant]
    }

    /// Any service that the person performs.
    pub fn draw_service(&self, person: usize, random: &mut Random) -> &Service {
        let performed = &self.people[person].services;
        &self.tenant_of(person).services[performed[random.below(performed.len())]]
    }
}

impl ListedService {
    fn is_performed_by(&self, staff: StaffId) -> bool {
        self.staff_ids.as_ref().is_none_or(|qualified| qualified.contains(&staff))
    }

    fn buffer_minutes(&self) -> u32 {
        self.buffer_before_minutes.max(self.buffer_after_minutes)
    }

    /// `None` when it can't be booked within one day.
    fn span(&self) -> Option<Span> {
        let day_minutes = |minutes: u32| u16::try_from(minutes).ok().filter(|&minutes| minutes <= 24 * 60);
        Some(Span {
            before: day_minutes(self.buffer_before_minutes)?,
            minutes: day_minutes(self.duration_minutes).filter(|&minutes| minutes > 0)?,
            after: day_minutes(self.buffer_after_minutes)?,
        })
    }

    fn usable(self) -> Option<Service> {
        self.span().map(|span| Service { id: self.id, span, price: self.price })
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
