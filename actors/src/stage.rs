//! How far a tenant has moved from MVP mode to scale mode: who is the authority for its aggregates.

use std::fmt;

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Rows alone. A tenant that nothing is on record for.
    #[default]
    Mvp,
    /// Rows; their changes become events.
    Capture,
    /// As `Capture`, and each decision is made a second time on events, and compared.
    Shadow,
    /// As `Capture`, read from projections.
    Reads,
    /// Events; rows go with them in the same transaction.
    Scale,
    /// Events alone.
    Retired,
}

impl Stage {
    pub const ALL: [Stage; 6] = [Stage::Mvp, Stage::Capture, Stage::Shadow, Stage::Reads, Stage::Scale, Stage::Retired];

    /// The name in the column `stage`.
    pub fn as_str(self) -> &'static str {
        match self {
            Stage::Mvp => "mvp",
            Stage::Capture => "capture",
            Stage::Shadow => "shadow",
            Stage::Reads => "reads",
            Stage::Scale => "scale",
            Stage::Retired => "retired",
        }
    }

    pub fn parse(text: &str) -> Option<Stage> {
        Stage::ALL.into_iter().find(|stage| stage.as_str() == text)
    }

    /// Whether commands go to actors, rather than being decided on rows.
    pub fn is_event_sourced(self) -> bool {
        match self {
            Stage::Mvp | Stage::Capture | Stage::Shadow | Stage::Reads => false,
            Stage::Scale | Stage::Retired => true,
        }
    }

    /// Whether queries are answered from projections, rather than from rows.
    pub fn reads_projections(self) -> bool {
        match self {
            Stage::Mvp | Stage::Capture | Stage::Shadow => false,
            Stage::Reads | Stage::Scale | Stage::Retired => true,
        }
    }

    /// Whether the tables have all that was committed.
    pub fn keeps_rows(self) -> bool {
        match self {
            Stage::Mvp | Stage::Capture | Stage::Shadow | Stage::Reads | Stage::Scale => true,
            Stage::Retired => false,
        }
    }

    /// Whether an append writes rows too.
    pub fn is_dual_write(self) -> bool {
        self == Stage::Scale
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
