//! A command's way through the aggregates that it concerns, each loaded from its rows.

use std::collections::VecDeque;

use codeccloud_actors::aggregate::Aggregate;
use codeccloud_actors::aggregates::loyalty_balance::LoyaltyBalance;
use codeccloud_actors::aggregates::staff_utilisation::{
    Buffers, Calendar, Reservation, StaffCommand, StaffUtilisation,
};
use codeccloud_actors::aggregates::stock_item::StockItem;
use codeccloud_actors::answer::{Response, Verdict};
use codeccloud_actors::command::Command;
use codeccloud_actors::event::{Event, EventBody};
use codeccloud_actors::ids::{EventId, Version};
use codeccloud_actors::ports::Ids;
use codeccloud_actors::refusal::Refusal;
use codeccloud_actors::rows::{Decided, RowChange};
use codeccloud_actors::runtime::Submission;
use codeccloud_actors::sagas::booking::BookingSaga;
use codeccloud_actors::time::Timestamp;
use uuid::Uuid;

use super::refused::Refused;
use super::rows::Appointment;
use super::transaction::{Asked, CommandTransaction, Surroundings};

/// What was decided so far.
pub(super) struct Deciding<'a> {
    pub submission: &'a Submission,
    pub ids: &'a dyn Ids,
    pub now: Timestamp,
    /// Also where a slot seems to be taken: it was not when it came to that.
    pub locks_anyway: bool,
    pub rows: Vec<RowChange>,
    /// Set by the first aggregate that decided.
    pub response: Option<Response>,
    /// The appointment that the command is about, as its row was before.
    appointment: Option<Appointment>,
    /// Of the first aggregate that is asked, where it was known beforehand.
    pub prefetched: Option<Loaded>,
    requests: VecDeque<Command>,
}

impl<'a> Deciding<'a> {
    pub fn new(submission: &'a Submission, ids: &'a dyn Ids, now: Timestamp, locks_anyway: bool) -> Deciding<'a> {
        Deciding {
            submission,
            ids,
            now,
            locks_anyway,
            rows: Vec::new(),
            response: None,
            appointment: None,
            prefetched: None,
            requests: VecDeque::new(),
        }
    }

    /// All that the command leads to, or why not. Rows are locked in the order appointment, the person's calendar, stock
    /// items by their ids, account; the tenant's own comes last, with the writing.
    pub async fn run(
        &mut self,
        transaction: &CommandTransaction<'_>,
        first: Loaded,
    ) -> Result<Result<(), Refusal>, Refused> {
        let mut next = Some((self.submission.command.clone(), first));
        while let Some((command, loaded)) = next {
            let may_change = matches!(&loaded, Loaded::Calendar(surroundings) if !surroundings.is_locked);
            if let Err(refusal) = self.decide(command, loaded) {
                return Ok(Err(refusal));
            }
            if may_change {
                return Err(Refused::Again("the slot was let go of meanwhile".to_owned()));
            }
            next = match self.requests.pop_front() {
                Some(request) => {
                    let loaded = match self.prefetched.take() {
                        Some(loaded) => loaded,
                        None => self.load(transaction, &request).await?,
                    };
                    Some((request, loaded))
                }
                None => None,
            };
        }
        Ok(Ok(()))
    }

    /// What the caller is told of a refusal. Of what was decided before it, nothing is left.
    pub fn refuse(&mut self, refusal: &Refusal) {
        self.rows.clear();
        self.response = Some((self.submission.respond)(&Verdict::Refused(refusal)));
    }

    /// The state of the aggregate that a command goes to.
    pub async fn load(&self, transaction: &CommandTransaction<'_>, command: &Command) -> Result<Loaded, Refused> {
        Ok(match command {
            // A new booking has no row: its id is new.
            Command::Booking(..) => Loaded::Booking(None),
            Command::StaffUtilisation(_, command) => Loaded::Calendar(match self.asked(command) {
                Some(asked) => transaction.calendar(&asked).await?,
                None => Surroundings { calendar: Calendar::of(self.own_reservation()), is_locked: true },
            }),
            Command::StockItem(command) => {
                let (version, item) = transaction.stock(command.product_id()).await?;
                Loaded::Stock(version, Box::new(item))
            }
            Command::LoyaltyBalance(customer_id, _) => {
                let (version, balance) = transaction.balance(*customer_id).await?;
                Loaded::Balance(version, Box::new(balance))
            }
        })
    }

    /// The slot that a command takes; one that is let go of needs no look at others.
    pub fn asked(&self, command: &StaffCommand) -> Option<Asked> {
        let (staff_id, booking_id, service_id, slot) = match *command {
            StaffCommand::Reserve { staff_id, booking_id, service_id, slot } => {
                (staff_id, booking_id, Some(service_id), slot)
            }
            StaffCommand::Move { staff_id, booking_id, service_id, to, .. } => (staff_id, booking_id, service_id, to),
            StaffCommand::Release { .. } => return None,
        };
        let service = service_id.and_then(|id| self.submission.context.reference.services.get(&id));
        let buffers = service.map(Buffers::of).unwrap_or_default();
        let occupied = slot.widened(buffers.before_minutes, buffers.after_minutes);
        Some(Asked { staff_id, booking_id, slot, occupied, locks_anyway: self.locks_anyway })
    }

    /// Of the appointment that is being changed, while it holds its slot.
    fn own_reservation(&self) -> Option<Reservation> {
        let appointment = self.appointment.as_ref().filter(|appointment| appointment.details.status.is_active())?;
        Some(Reservation {
            booking_id: appointment.id,
            service_id: appointment.details.service_id,
            slot: appointment.details.slot,
            buffers: appointment.buffers,
        })
    }

    fn decide(&mut self, command: Command, loaded: Loaded) -> Result<(), Refusal> {
        match (command, loaded) {
            (Command::Booking(id, command), Loaded::Booking(appointment)) => {
                let version = appointment.as_ref().map_or(Version::NONE, |appointment| appointment.version);
                let saga = BookingSaga { details: appointment.as_ref().map(|appointment| appointment.details.clone()) };
                self.appointment = appointment;
                self.take(id.0, saga, version, &command)
            }
            (Command::StaffUtilisation(id, command), Loaded::Calendar(Surroundings { mut calendar, .. })) => {
                // Its own slot may lie far from where it is moved to.
                if let Some(own) = self.own_reservation().filter(|own| calendar.reservation(own.booking_id).is_none()) {
                    calendar = Calendar::of(calendar.reservations().iter().copied().chain([own]));
                }
                let state = StaffUtilisation { calendar, ..StaffUtilisation::default() };
                self.take(id.0, state, Version::NONE, &command)
            }
            (Command::LoyaltyBalance(id, command), Loaded::Balance(version, balance)) => {
                self.take(id.0, *balance, version, &command)
            }
            (Command::StockItem(command), Loaded::Stock(version, item)) => {
                self.take(command.product_id().0, *item, version, &command)
            }
            (command, _) => unreachable!("{:?} was loaded as another aggregate", command.aggregate_type()),
        }
    }

    fn take<A: Aggregate>(
        &mut self,
        aggregate_id: Uuid,
        mut state: A,
        before: Version,
        command: &A::Command,
    ) -> Result<(), Refusal> {
        // Only the aggregate that the command was sent to is meant by a precondition.
        let expected = self.submission.precondition.filter(|_| self.response.is_none());
        let decided = state.decide(command, &self.submission.context, self.now);
        let decision = match (decided, expected) {
            // Comes before the precondition: whose booking it is not learns nothing about its version.
            (Err(refusal @ Refusal::NotFound(_)), _) => return Err(refusal),
            (_, Some(expected)) if expected != before => {
                return Err(Refusal::VersionMismatch { expected, current: before });
            }
            (decided, _) => decided?,
        };
        decision.events.iter().for_each(|event| state.evolve(event, self.now));
        let events: Vec<(EventId, A::Event)> =
            decision.events.into_iter().map(|event| (EventId(self.ids.uuid()), event)).collect();
        let actor = Some(self.submission.context.caller.user_id);
        let decided = Decided { aggregate_id, before, events: &events, occurred_at: self.now, actor };
        if self.response.is_none() {
            let event_id = events.first().map_or_else(|| EventId(self.ids.uuid()), |(id, _)| *id);
            let as_events: Vec<Event> = events.iter().map(|(_, event)| event.clone().into_event()).collect();
            let (state, version) = (state.view(), decided.after());
            let verdict = Verdict::Accepted { state, version, event_id, events: &as_events };
            self.response = Some((self.submission.respond)(&verdict));
        }
        self.rows.extend(state.row_changes(&decided));
        self.requests.extend(decision.requests);
        Ok(())
    }
}

/// An aggregate's state, as far as a decision looks at it.
pub(super) enum Loaded {
    Booking(Option<Appointment>),
    Calendar(Surroundings),
    Balance(Version, Box<LoyaltyBalance>),
    Stock(Version, Box<StockItem>),
}
