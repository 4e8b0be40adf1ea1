//! The aggregates that have actors. To add one: a router in [`Routers`], a line in `dispatch` and `Routers::each`, and
//! its `Routed`.

use std::sync::Arc;

use crate::aggregate::Aggregate;
use crate::aggregates::loyalty_balance::LoyaltyBalance;
use crate::aggregates::staff_utilisation::StaffUtilisation;
use crate::answer::StateView;
use crate::command::Command;
use crate::sagas::booking::BookingSaga;

use super::Shared;
use super::execution::Execution;
use super::router::{AnyRouter, Router};

pub(super) trait Routed: Aggregate + Unpin {
    fn view(&self) -> StateView<'_>;
}

impl Routed for StaffUtilisation {
    fn view(&self) -> StateView<'_> {
        StateView::StaffUtilisation(self)
    }
}

impl Routed for LoyaltyBalance {
    fn view(&self) -> StateView<'_> {
        StateView::LoyaltyBalance(self)
    }
}

impl Routed for BookingSaga {
    fn view(&self) -> StateView<'_> {
        StateView::Booking(self)
    }
}

#[derive(Default)]
pub(super) struct Routers {
    staff_utilisation: Router<StaffUtilisation>,
    loyalty_balance: Router<LoyaltyBalance>,
    booking: Router<BookingSaga>,
}

impl Routers {
    pub fn each(&self) -> [&dyn AnyRouter; 3] {
        [&self.staff_utilisation, &self.loyalty_balance, &self.booking]
    }
}

impl Shared {
    /// Sends a command to its aggregate's actor. Whatever goes wrong on the way is answered to the caller.
    pub(super) fn dispatch(self: &Arc<Self>, command: Command, execution: Box<Execution>) {
        match command {
            Command::StaffUtilisation(id, command) => {
                self.routers.staff_utilisation.send(self, id.0, command, execution);
            }
            Command::LoyaltyBalance(id, command) => self.routers.loyalty_balance.send(self, id.0, command, execution),
            Command::Booking(id, command) => self.routers.booking.send(self, id.0, command, execution),
        }
    }
}
