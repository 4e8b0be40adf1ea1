use codeccloud_actors::ids::TenantId;
use uuid::Uuid;

/// Where an entry stands in the order of sealing, within its cluster. Entries of the past have transaction 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub transaction: u64,
    pub id: i64,
}

impl Place {
    pub const START: Place = Place { transaction: 0, id: i64::MIN };
}

/// A row of `audit_log` as it is stored: everything but the id may be missing in what others have written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub id: i64,
    pub cluster_id: Option<i64>,
    pub transaction_id: Option<u64>,
    pub tenant_id: Option<Uuid>,
    pub actor_id: Option<Uuid>,
    pub event_type: Option<String>,
    pub entity: Option<String>,
    pub entity_id: Option<String>,
    /// The text of JSON, as PostgreSQL writes it: the same in every session and after a dump.
    pub before: Option<Vec<u8>>,
    pub after: Option<Vec<u8>>,
    /// Microseconds since 2000-01-01, as PostgreSQL counts.
    pub performed_at: Option<i64>,
    pub context: Option<Vec<u8>>,
}

impl Entry {
    pub fn place(&self) -> Place {
        let transaction = self.cluster_id.and(self.transaction_id);
        Place { transaction: transaction.unwrap_or(0), id: self.id }
    }

    pub fn tenant(&self) -> Option<TenantId> {
        self.tenant_id.map(TenantId)
    }

    /// What is hashed: each field with its length, so that no two entries have the same form. Without the id, so that an
    /// entry is known again under another one.
    pub(super) fn canonical(&self) -> Vec<u8> {
        let cluster_id = self.cluster_id.map(i64::to_be_bytes);
        let transaction_id = self.transaction_id.map(u64::to_be_bytes);
        let performed_at = self.performed_at.map(i64::to_be_bytes);
        let fields: [Option<&[u8]>; 11] = [
            cluster_id.as_ref().map(<[u8; 8]>::as_slice),
            transaction_id.as_ref().map(<[u8; 8]>::as_slice),
            self.tenant_id.as_ref().map(|id| id.as_bytes().as_slice()),
            self.actor_id.as_ref().map(|id| id.as_bytes().as_slice()),
            self.event_type.as_deref().map(str::as_bytes),
            self.entity.as_deref().map(str::as_bytes),
            self.entity_id.as_deref().map(str::as_bytes),
            self.before.as_deref(),
            self.after.as_deref(),
            performed_at.as_ref().map(<[u8; 8]>::as_slice),
            self.context.as_deref(),
        ];
        let mut form = Vec::with_capacity(512);
        for field in fields {
            match field {
                None => form.push(0),
                Some(bytes) => {
                    form.push(1);
                    form.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
                    form.extend_from_slice(bytes);
                }
            }
        }
        form
    }
}
