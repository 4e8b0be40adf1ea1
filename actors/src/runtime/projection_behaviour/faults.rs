use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Saves, below, events, live_actor, page};
use crate::ids::{AggregateType, TenantId};
use crate::projections::{Applicable, NotApplicable, Projection};

const SICK: TenantId = TenantId(Uuid::from_u128(0x51C));

/// The tenants whose events were applied; it falls over one of them.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Fragile(Vec<TenantId>);

impl Projection for Fragile {
    const NAME: &'static str = "fragile";
    const FORMAT: u16 = 1;
    const FOLDS: AggregateType = AggregateType::Booking;

    fn apply(&mut self, event: &Applicable<'_>) -> Result<(), NotApplicable> {
        assert_ne!(event.stream.tenant_id, SICK, "a slot without an end");
        self.0.push(event.stream.tenant_id);
        Ok(())
    }
}

#[actix::test]
async fn a_panic_stops_the_tenant_of_the_event_and_nobody_else() {
    let (actor, shown) = live_actor::<Fragile>(Arc::new(Saves::default()));
    let mut of_two: Vec<_> = events(1..=3).to_vec();
    of_two[1].stream.tenant_id = SICK;
    actor.send(page(of_two.into(), below(35))).await.expect("the actor lives on");
    let fold = shown.view().fold.clone();
    assert_eq!(fold.model.0.len(), 2);
    let (tenant_id, stopped) = fold.stopped.first_key_value().unwrap();
    assert_eq!((*tenant_id, stopped.position.0), (SICK, 2));
    assert!(stopped.reason.contains("a slot without an end"), "{}", stopped.reason);
    actor.send(page(events(4..=4), below(45))).await.expect("the actor lives on");
    assert_eq!(shown.view().fold.model.0.len(), 3);
}
