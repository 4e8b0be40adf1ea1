//! The aggregates that have actors. To add one: a router in [`Routers`], a line in `dispatch` and `Routers::each`, and
//! its `Routed`.

use std::sync::Arc;

use uuid::Uuid;

use crate::aggregate::Aggregate;
use crate::aggregates::loyalty_balance::LoyaltyBalance;
use crate::aggregates::staff_utilisation::StaffUtilisation;
use crate::aggregates::stock_item::StockItem;
use crate::command::Command;
use crate::ids::StreamId;
use crate::sagas::booking::BookingSaga;
use crate::trace;

use super::Shared;
use super::execution::Execution;
use super::router::{AnyRouter, Router};

pub(super) trait Routed: Aggregate + Unpin {}

impl Routed for StaffUtilisation {}
impl Routed for LoyaltyBalance {}
impl Routed for StockItem {}
impl Routed for BookingSaga {}

#[derive(Default)]
pub(super) struct Routers {
    staff_utilisation: Router<StaffUtilisation>,
    loyalty_balance: Router<LoyaltyBalance>,
    stock_item: Router<StockItem>,
    booking: Router<BookingSaga>,
}

impl Routers {
    pub fn each(&self) -> [&dyn AnyRouter; 4] {
        [&self.staff_utilisation, &self.loyalty_balance, &self.stock_item, &self.booking]
    }
}

impl Shared {
    /// Sends a command to its aggregate's actor. Whatever goes wrong on the way is answered to the caller.
    pub(super) fn dispatch(self: &Arc<Self>, command: Command, execution: Box<Execution>) {
        let routers = &self.routers;
        match command {
            Command::StaffUtilisation(id, command) => self.send(&routers.staff_utilisation, id.0, command, execution),
            Command::LoyaltyBalance(id, command) => self.send(&routers.loyalty_balance, id.0, command, execution),
            Command::StockItem(command) => {
                self.send(&routers.stock_item, command.product_id().0, command, execution);
            }
            Command::Booking(id, command) => self.send(&routers.booking, id.0, command, execution),
        }
    }

    fn send<A: Routed>(
        self: &Arc<Self>,
        router: &Router<A>,
        aggregate_id: Uuid,
        command: A::Command,
        mut execution: Box<Execution>,
    ) {
        // A child of whatever sends: the request, or the actor that asks.
        execution.span =
            trace::decide(StreamId { tenant_id: execution.tenant_id, aggregate_type: A::TYPE, aggregate_id });
        execution.waiting = Some(router.mailboxes.enter());
        router.send(self, aggregate_id, command, execution);
    }
}
