use std::fmt;

use codeccloud_actors::ids::TenantId;
use serde::Serialize;

/// Something that is not as it was sealed. Whose entry it was is known only while the entry is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "finding", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum Finding {
    /// The entry is not what it was when it was sealed.
    Changed { entry: i64, tenant: Option<TenantId>, seal: i64 },
    /// The entry is gone.
    Removed { entry: i64, seal: i64 },
    /// What was sealed as one entry stands as another.
    Reordered { entry: i64, sealed_as: i64, tenant: Option<TenantId>, seal: i64 },
    /// The entry has come in behind the seal of its place.
    SlippedIn { entry: i64, tenant: Option<TenantId> },
    /// The seal is not what it was, so it says nothing of its entries.
    SealChanged { seal: i64, first_entry: i64, last_entry: i64 },
    /// Seals are gone, and what they said of the entries between.
    SealsRemoved { first: i64, last: i64 },
    /// The seal does not continue the one before.
    ChainBroken { seal: i64 },
    /// From this seal on they were made with a key that is not there, so nothing can be said of their entries.
    UnknownKey { seal: i64, key_id: String },
    /// From this seal on they were made with a key that was no longer in use by then, or not yet: whoever did it, not we.
    KeyOutOfTurn { seal: i64, key_id: String },
    /// A seal that was noted outside of the database is not in it: everything from then on is cut off, entries up to
    /// `entry` or beyond with it.
    CutOff { seal: i64, entry: i64 },
    /// The seal that was noted outside of the database is another one.
    Contradicted { seal: i64 },
    /// The log can be changed: its guard is missing, switched off, or not the one that we have put there.
    Unguarded { table: String },
}

impl Finding {
    /// Whether it is, or may be, about the tenant.
    pub fn may_concern(&self, wanted: TenantId) -> bool {
        match self {
            Finding::Changed { tenant, .. } | Finding::Reordered { tenant, .. } | Finding::SlippedIn { tenant, .. } => {
                tenant.is_none_or(|tenant| tenant == wanted)
            }
            Finding::Removed { .. }
            | Finding::SealChanged { .. }
            | Finding::SealsRemoved { .. }
            | Finding::ChainBroken { .. }
            | Finding::UnknownKey { .. }
            | Finding::KeyOutOfTurn { .. }
            | Finding::CutOff { .. }
            | Finding::Contradicted { .. }
            | Finding::Unguarded { .. } => true,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::Changed { entry, seal, .. } => write!(f, "entry {entry} was changed (seal {seal})"),
            Finding::Removed { entry, seal } => write!(f, "entry {entry} was removed (seal {seal})"),
            Finding::Reordered { entry, sealed_as, seal, .. } => {
                write!(f, "entry {entry} was reordered: it was sealed as entry {sealed_as} (seal {seal})")
            }
            Finding::SlippedIn { entry, .. } => write!(f, "entry {entry} came in behind the seal of its place"),
            Finding::SealChanged { seal, first_entry, last_entry } => {
                write!(f, "seal {seal} was changed; it can't vouch for entries {first_entry} to {last_entry}")
            }
            Finding::SealsRemoved { first, last } => write!(f, "seals {first} to {last} were removed"),
            Finding::ChainBroken { seal } => write!(f, "seal {seal} does not continue the one before"),
            Finding::UnknownKey { seal, key_id } => {
                write!(f, "the key {key_id} is not there, with which seals from {seal} on were made")
            }
            Finding::KeyOutOfTurn { seal, key_id } => {
                write!(f, "from seal {seal} on the key {key_id} was used, which is not the one that was in use then")
            }
            Finding::CutOff { seal, entry } => {
                write!(f, "the log was cut off: seal {seal} was made and is gone; entries reached {entry} then")
            }
            Finding::Contradicted { seal } => write!(f, "seal {seal} is another one than was noted when it was made"),
            Finding::Unguarded { table } => {
                write!(f, "{table} can be changed: its trigger is missing, disabled or another one")
            }
        }
    }
}
