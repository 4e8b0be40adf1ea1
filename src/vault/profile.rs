use std::fmt;

use serde::{Deserialize, Serialize};

/// What a salon knows of a customer. It has no readable debug output, so that no log line can hold it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CustomerProfile {
    pub email: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    pub first_name: String,
    pub last_name: String,
}

impl fmt::Debug for CustomerProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CustomerProfile(***)")
    }
}

/// The free text of one booking.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct BookingNotes {
    pub note: Option<String>,
    /// Of the last move that gave one.
    pub reschedule_reason: Option<String>,
    pub cancellation_reason: Option<String>,
}

impl BookingNotes {
    pub(super) fn put(&mut self, kind: NoteKind, text: String) {
        match kind {
            NoteKind::Note => self.note = Some(text),
            NoteKind::RescheduleReason => self.reschedule_reason = Some(text),
            NoteKind::CancellationReason => self.cancellation_reason = Some(text),
        }
    }
}

impl fmt::Debug for BookingNotes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BookingNotes(***)")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NoteKind {
    Note,
    RescheduleReason,
    CancellationReason,
}

impl NoteKind {
    const ALL: [NoteKind; 3] = [NoteKind::Note, NoteKind::RescheduleReason, NoteKind::CancellationReason];

    pub fn as_str(self) -> &'static str {
        match self {
            NoteKind::Note => "note",
            NoteKind::RescheduleReason => "reschedule_reason",
            NoteKind::CancellationReason => "cancellation_reason",
        }
    }

    pub fn parse(text: &str) -> Option<NoteKind> {
        NoteKind::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}
