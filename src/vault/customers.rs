use std::collections::HashMap;

use codeccloud_actors::ids::{BookingId, CustomerId, TenantId, Version};
use futures_util::future::BoxFuture;

use super::{CustomerProfile, ProfileUpdate, Vault, VaultError};
use crate::ports::{Customers, CustomersError};

impl Customers for Vault {
    fn profiles<'a>(
        &'a self,
        tenant_id: TenantId,
        ids: &'a [CustomerId],
    ) -> BoxFuture<'a, Result<HashMap<CustomerId, CustomerProfile>, CustomersError>> {
        Box::pin(async move {
            let known = Vault::profiles(self, tenant_id, ids).await?;
            Ok(known.into_iter().filter_map(|(id, known)| Some((id, known.profile.clone()?))).collect())
        })
    }

    fn cancellation_reasons<'a>(
        &'a self,
        tenant_id: TenantId,
        ids: &'a [BookingId],
    ) -> BoxFuture<'a, Result<HashMap<BookingId, String>, CustomersError>> {
        Box::pin(async move {
            let notes = match self.notes(tenant_id, ids).await {
                Err(VaultError::Unreachable(reason)) => {
                    tracing::debug!(%reason, "bookings are shown without their notes");
                    HashMap::new()
                }
                notes => notes?,
            };
            Ok(notes.into_iter().filter_map(|(id, notes)| Some((id, notes.cancellation_reason?))).collect())
        })
    }

    fn current(
        &self,
        tenant_id: TenantId,
        id: CustomerId,
    ) -> BoxFuture<'_, Result<(CustomerProfile, Version), CustomersError>> {
        Box::pin(async move {
            let known = Vault::current(self, tenant_id, id).await?.ok_or(CustomersError::NotFound)?;
            let profile = known.profile.clone().ok_or(CustomersError::NotFound)?;
            Ok((profile, version(known.revision)))
        })
    }

    fn change<'a>(
        &'a self,
        tenant_id: TenantId,
        id: CustomerId,
        profile: &'a CustomerProfile,
        expected: Version,
    ) -> BoxFuture<'a, Result<Version, CustomersError>> {
        Box::pin(async move {
            let expected = i32::try_from(expected.0).map_err(|_| CustomersError::Outdated)?;
            match self.update_profile(tenant_id, id, profile, expected).await? {
                ProfileUpdate::Done { revision } => Ok(version(revision)),
                ProfileUpdate::Outdated => Err(CustomersError::Outdated),
                ProfileUpdate::UnknownCustomer => Err(CustomersError::NotFound),
            }
        })
    }
}

fn version(revision: i32) -> Version {
    Version(u32::try_from(revision).unwrap_or(0))
}

impl From<VaultError> for CustomersError {
    fn from(error: VaultError) -> Self {
        CustomersError::Unavailable(error.to_string())
    }
}
