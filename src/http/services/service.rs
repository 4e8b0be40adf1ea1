use codeccloud_actors::ids::{ServiceId, StaffId};
use codeccloud_actors::money::Money;
use codeccloud_actors::reference::{self, TenantReference};
use schemars::JsonSchema;
use serde::Serialize;

use crate::ports::NewService;

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Service {
    pub id: ServiceId,
    pub name: String,
    pub duration_minutes: u32,
    pub price: Money,
    pub buffer_before_minutes: u32,
    pub buffer_after_minutes: u32,
    pub active: bool,
    /// Who performs it; null is everyone.
    pub staff_ids: Option<Vec<StaffId>>,
}

impl From<&reference::Service> for Service {
    fn from(service: &reference::Service) -> Service {
        let mut staff_ids: Option<Vec<StaffId>> =
            service.qualified.as_ref().map(|qualified| qualified.iter().copied().collect());
        if let Some(ids) = &mut staff_ids {
            ids.sort_unstable();
        }
        Service {
            id: service.id,
            name: service.name.clone(),
            duration_minutes: service.duration_minutes,
            price: service.price,
            buffer_before_minutes: service.buffer_before_minutes,
            buffer_after_minutes: service.buffer_after_minutes,
            active: service.active,
            staff_ids,
        }
    }
}

impl Service {
    pub fn find(reference: &TenantReference, id: ServiceId) -> Option<Service> {
        reference.services.get(&id).map(Service::from)
    }

    /// As it was created, so that a replay of the creation shows what the first answer showed.
    pub fn created(id: ServiceId, new: NewService) -> Service {
        Service {
            id,
            name: new.name,
            duration_minutes: new.duration_minutes,
            price: new.price,
            buffer_before_minutes: new.buffer_before_minutes,
            buffer_after_minutes: new.buffer_after_minutes,
            active: true,
            staff_ids: new.staff_ids,
        }
    }
}
