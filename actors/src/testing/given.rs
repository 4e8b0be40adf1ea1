use crate::aggregate::{Aggregate, Context, Decision};
use crate::command::Command;
use crate::refusal::Refusal;
use crate::time::Timestamp;

/// What has happened before. A test of an aggregate reads: given these events, when this command, then those events.
#[derive(Debug, Clone)]
pub struct Given<A: Aggregate> {
    pub state: A,
}

/// What the aggregate answered.
#[derive(Debug, Clone)]
pub struct Then<A: Aggregate> {
    state: A,
    now: Timestamp,
    pub answer: Result<Decision<A::Event>, Refusal>,
}

impl<A: Aggregate> Given<A> {
    pub fn nothing() -> Given<A> {
        Given { state: A::default() }
    }

    pub fn events(occurred_at: Timestamp, events: impl IntoIterator<Item = A::Event>) -> Given<A> {
        Given::nothing().and(occurred_at, events)
    }

    #[must_use]
    pub fn and(mut self, occurred_at: Timestamp, events: impl IntoIterator<Item = A::Event>) -> Given<A> {
        for event in events {
            self.state.evolve(&event, occurred_at);
        }
        self
    }

    /// Decides on the state as a snapshot would bring it back, so that every test tries that too.
    pub fn when(self, command: &A::Command, context: &Context, now: Timestamp) -> Then<A> {
        let snapshot = rmp_serde::to_vec(&self.state).expect("a state can be written as MessagePack");
        let state: A = rmp_serde::from_slice(&snapshot).expect("a state can be read back");
        let answer = state.decide(command, context, now);
        Then { state, now, answer }
    }
}

impl<A: Aggregate> Then<A> {
    #[track_caller]
    pub fn then_events(self, expected: impl IntoIterator<Item = A::Event>) -> Then<A>
    where
        A::Event: PartialEq,
    {
        assert_eq!(self.decision().events, expected.into_iter().collect::<Vec<_>>());
        self
    }

    #[track_caller]
    pub fn then_requests(self, expected: impl IntoIterator<Item = Command>) -> Then<A> {
        assert_eq!(self.decision().requests, expected.into_iter().collect::<Vec<_>>());
        self
    }

    #[track_caller]
    pub fn then_nothing(self) -> Then<A> {
        let decision = self.decision();
        assert!(decision.events.is_empty() && decision.requests.is_empty(), "expected nothing, got {decision:?}");
        self
    }

    #[track_caller]
    pub fn then_refused(self, expected: impl Into<Refusal>) {
        assert_eq!(self.answer.err(), Some(expected.into()), "expected a refusal");
    }

    /// Goes on with the decided events folded in.
    #[track_caller]
    pub fn given(self) -> Given<A> {
        let events = self.decision().events.clone();
        Given { state: self.state }.and(self.now, events)
    }

    #[track_caller]
    fn decision(&self) -> &Decision<A::Event> {
        match &self.answer {
            Ok(decision) => decision,
            Err(refusal) => panic!("refused: {refusal}"),
        }
    }
}
