use codeccloud_actors::time::{Slot, Timestamp};

/// Where a block stands among those that overlap: in lane `lane` of `lanes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub lane: usize,
    pub lanes: usize,
}

/// Places slots, sorted by start, beside those that they overlap; each takes the first lane that is free.
pub fn side_by_side(slots: &[Slot]) -> Vec<Place> {
    let mut places: Vec<Place> = Vec::with_capacity(slots.len());
    let mut lane_ends: Vec<Timestamp> = Vec::new();
    let mut group_begin = 0;
    for (index, slot) in slots.iter().enumerate() {
        if lane_ends.iter().all(|&end| end <= slot.start) {
            widen(&mut places[group_begin..], lane_ends.len());
            group_begin = index;
            lane_ends.clear();
        }
        let free = lane_ends.iter().position(|&end| end <= slot.start);
        let lane = free.unwrap_or(lane_ends.len());
        match free {
            Some(lane) => lane_ends[lane] = slot.end,
            None => lane_ends.push(slot.end),
        }
        places.push(Place { lane, lanes: 1 });
    }
    widen(&mut places[group_begin..], lane_ends.len());
    places
}

fn widen(group: &mut [Place], lanes: usize) {
    for place in group {
        place.lanes = lanes;
    }
}
