//! A stream's events, newest first and page by page: what histories are shown from.

use codeccloud_actors::envelope::RecordedEvent;
use codeccloud_actors::ids::Version;
use codeccloud_actors::ports::{LoadedStream, StoreError, StreamStore};

/// At most `wanted` events before that version, the newest first, and whether there are older ones.
pub(super) async fn newest(
    streams: &dyn StreamStore,
    loaded: &LoadedStream,
    before: Option<Version>,
    wanted: usize,
) -> Result<(Vec<RecordedEvent>, bool), StoreError> {
    let head = loaded.head.version;
    let last = before.map_or(head, |before| Version(before.0.saturating_sub(1)).min(head));
    let first = Version(last.0.saturating_sub(u32::try_from(wanted).unwrap_or(u32::MAX)));
    let mut events = Vec::new();
    let mut at = first;
    while at < last {
        let page = streams.read(loaded, at).await?;
        let Some(end) = page.last().map(|event| event.version) else { break };
        events.extend(page.into_iter().filter(|event| event.version <= last));
        at = end;
    }
    events.reverse();
    Ok((events, first > Version::NONE))
}
