use std::collections::HashMap;

use proptest::prelude::*;
use uuid::Uuid;

use super::decide::RESERVATIONS_MAX;
use super::evolve::DONE_MAX;
use super::*;
use crate::command::Command;
use crate::ids::ProductId;
use crate::testing::{BALM, SHAMPOO, WAX, context, salon, time};
use crate::time::{DAY_MS, MINUTE_MS};

/// The stock of a salon: commands go in, each item's events are folded, and what it asks of others is asked.
struct Stock {
    items: HashMap<ProductId, StockItem>,
    context: Context,
    now: Timestamp,
}

impl Stock {
    /// Of each product `on_hand`.
    fn of(on_hand: u32) -> Stock {
        let now = time("2027-03-01T09:00:00Z");
        let mut stock = Stock { items: HashMap::new(), context: context(salon()), now };
        for (number, product_id) in [SHAMPOO, BALM, WAX].into_iter().enumerate().filter(|_| on_hand > 0) {
            stock.send(receive(product_id, 1_000 + number as u128, on_hand)).expect("received");
        }
        stock
    }

    /// All items decide, or nothing happens: as in one append.
    fn send(&mut self, command: StockCommand) -> Result<Vec<(ProductId, StockItemEvent)>, Refusal> {
        let mut after = self.items.clone();
        let (mut asked, mut events, mut last) = (vec![command], Vec::new(), None);
        while let Some(command) = asked.pop() {
            let product_id = command.product_id();
            assert!(last < Some(product_id), "items are asked in ascending order, each once");
            last = Some(product_id);
            let item = after.entry(product_id).or_default();
            let decision = item.decide(&command, &self.context, self.now)?;
            for event in decision.events {
                item.evolve(&event, self.now);
                events.push((product_id, event));
            }
            asked.extend(decision.requests.into_iter().rev().map(|request| match request {
                Command::StockItem(command) => command,
                Command::StaffUtilisation(..) | Command::LoyaltyBalance(..) | Command::Booking(..) => {
                    panic!("stock asks stock only")
                }
            }));
        }
        self.items = after;
        Ok(events)
    }

    fn minutes_later(&mut self, minutes: i64) -> &mut Stock {
        self.now = self.now.plus_minutes(minutes);
        self
    }

    /// On hand and available.
    fn of_item(&self, product_id: ProductId) -> (i64, i64) {
        let item = &self.items[&product_id];
        (item.on_hand(), item.available_at(self.now))
    }

    fn reserve(&self, number: u128, lines: &[(ProductId, u32)]) -> StockCommand {
        let lines = Lines::summed(lines.iter().copied()).expect("some lines");
        StockCommand::Reserve { reservation_id: Uuid::from_u128(number), lines, expires_at: self.now.plus_minutes(30) }
    }
}

fn receive(product_id: ProductId, number: u128, quantity: u32) -> StockCommand {
    StockCommand::Receive { movement_id: Uuid::from_u128(number), product_id, quantity }
}

fn adjust(product_id: ProductId, number: u128, quantity: i32) -> StockCommand {
    let reason = AdjustmentReason::Damage;
    StockCommand::Adjust { movement_id: Uuid::from_u128(number), product_id, quantity, reason }
}

fn release(number: u128, items: &[ProductId]) -> StockCommand {
    let lines = Lines::of(items.iter().copied()).expect("some items");
    StockCommand::Release { reservation_id: Uuid::from_u128(number), lines }
}

fn consume(number: u128, reservation: Option<u128>, lines: &[(ProductId, u32)]) -> StockCommand {
    StockCommand::Consume {
        movement_id: Uuid::from_u128(number),
        reservation_id: reservation.map(Uuid::from_u128),
        lines: Lines::summed(lines.iter().copied()).expect("some lines"),
    }
}

fn insufficient(product_id: ProductId, available: i64, asked: u32) -> Refusal {
    StockRefusal::InsufficientStock { product_id, available, asked }.into()
}

fn invalid_field<T>(answer: Result<T, Refusal>) -> Option<&'static str> {
    match answer {
        Err(Refusal::Invalid { field, .. }) => Some(field),
        Ok(_) | Err(_) => None,
    }
}

#[test]
fn goods_come_in_are_kept_back_and_leave() {
    let mut stock = Stock::of(10);
    stock.send(stock.reserve(1, &[(SHAMPOO, 4)])).expect("reserved");
    assert_eq!(stock.of_item(SHAMPOO), (10, 6));
    stock.send(consume(2, Some(1), &[(SHAMPOO, 3)])).expect("consumed");
    assert_eq!(stock.of_item(SHAMPOO), (7, 6), "one of the four is still kept back");
    stock.send(consume(3, None, &[(SHAMPOO, 6)])).expect("consumed");
    assert_eq!(stock.of_item(SHAMPOO), (1, 0));
    let released = StockReleased { reservation_id: Uuid::from_u128(1), quantity: 1 };
    assert_eq!(stock.send(release(1, &[SHAMPOO])), Ok(vec![(SHAMPOO, StockItemEvent::Released(released))]));
    stock.send(adjust(SHAMPOO, 4, -1)).expect("written off");
    assert_eq!(stock.of_item(SHAMPOO), (0, 0));
}

#[test]
fn an_item_that_is_named_twice_is_asked_once_for_the_sum() {
    let mut stock = Stock::of(5);
    let twice = [(SHAMPOO, 3), (BALM, 1), (SHAMPOO, 3)];
    assert_eq!(stock.send(stock.reserve(1, &twice)), Err(insufficient(SHAMPOO, 5, 6)));
    assert_eq!(stock.send(consume(2, None, &twice)), Err(insufficient(SHAMPOO, 5, 6)));
    stock.send(stock.reserve(3, &[(SHAMPOO, 2), (SHAMPOO, 3)])).expect("five are there");
    assert_eq!(stock.send(consume(4, Some(3), &[(SHAMPOO, 3), (SHAMPOO, 3)])), {
        let refusal = StockRefusal::InsufficientReservation { product_id: SHAMPOO, held: 5, asked: 6 };
        Err(refusal.into())
    });
    let endless = stock.reserve(5, &[(BALM, u32::MAX), (BALM, 2)]);
    assert_eq!(stock.send(endless), Err(insufficient(BALM, 5, u32::MAX)), "a sum does not start at nought again");
    stock.send(release(3, &[SHAMPOO, SHAMPOO])).expect("released once");
    assert_eq!(stock.of_item(SHAMPOO), (5, 5));
}

#[test]
fn several_items_are_taken_together_or_not_at_all() {
    let mut stock = Stock::of(5);
    let events = stock.send(consume(1, None, &[(WAX, 1), (BALM, 4), (SHAMPOO, 1)])).expect("consumed");
    assert_eq!(events.iter().map(|(product_id, _)| *product_id).collect::<Vec<_>>(), [SHAMPOO, BALM, WAX]);
    assert_eq!(stock.send(stock.reserve(2, &[(SHAMPOO, 2), (BALM, 2)])), Err(insufficient(BALM, 1, 2)));
    assert_eq!((stock.of_item(SHAMPOO), stock.of_item(BALM)), ((4, 4), (1, 1)));
    stock.send(stock.reserve(2, &[(BALM, 1), (SHAMPOO, 2)])).expect("reserved");
}

#[test]
fn a_reservation_ends_by_itself_and_the_next_command_writes_it_down() {
    let mut stock = Stock::of(5);
    stock.send(stock.reserve(1, &[(SHAMPOO, 5)])).expect("reserved");
    assert_eq!(stock.minutes_later(29).send(consume(2, None, &[(SHAMPOO, 1)])), Err(insufficient(SHAMPOO, 0, 1)));
    stock.minutes_later(1);
    assert_eq!(stock.of_item(SHAMPOO), (5, 5), "reads need no event");
    assert_eq!(stock.items[&SHAMPOO].reserved(), 5, "the movements still say so");
    assert!(stock.send(consume(3, None, &[(SHAMPOO, 6)])).is_err());
    assert_eq!(stock.items[&SHAMPOO].reserved(), 5, "a refusal leaves nothing behind");
    let reservation_id = Uuid::from_u128(1);
    let expired = StockItemEvent::Expired(ReservationExpired { reservation_id, quantity: 5 });
    let received = StockItemEvent::Received(StockReceived { movement_id: Uuid::from_u128(4), quantity: 2 });
    assert_eq!(stock.send(receive(SHAMPOO, 4, 2)), Ok(vec![(SHAMPOO, expired), (SHAMPOO, received)]));
    assert_eq!(stock.items[&SHAMPOO].reserved(), 0);
    let gone = StockRefusal::InsufficientReservation { product_id: SHAMPOO, held: 0, asked: 1 };
    assert_eq!(stock.send(consume(5, Some(1), &[(SHAMPOO, 1)])), Err(gone.into()));
    assert_eq!(stock.send(release(1, &[SHAMPOO])), Ok(Vec::new()), "it has ended already");
}

#[test]
fn each_happens_once() {
    let mut stock = Stock::of(10);
    let reserve = stock.reserve(1, &[(SHAMPOO, 2), (BALM, 1)]);
    let commands = [
        receive(SHAMPOO, 2, 5),
        adjust(SHAMPOO, 3, -1),
        reserve,
        consume(4, Some(1), &[(SHAMPOO, 1)]),
        consume(5, None, &[(SHAMPOO, 1), (BALM, 3)]),
        release(1, &[SHAMPOO, BALM]),
    ];
    for command in commands {
        assert!(!stock.send(command.clone()).expect("decided").is_empty(), "{command:?}");
        let items = stock.items.clone();
        assert_eq!(stock.minutes_later(5).send(command.clone()), Ok(Vec::new()), "{command:?}");
        assert_eq!(stock.items, items);
    }
    assert_eq!((stock.of_item(SHAMPOO), stock.of_item(BALM)), ((12, 12), (7, 7)));
}

#[test]
fn what_is_reserved_is_not_written_off_and_a_stock_has_a_top() {
    let mut stock = Stock::of(5);
    stock.send(stock.reserve(1, &[(SHAMPOO, 3)])).expect("reserved");
    assert_eq!(stock.send(adjust(SHAMPOO, 2, -3)), Err(insufficient(SHAMPOO, 2, 3)));
    assert_eq!(stock.send(adjust(SHAMPOO, 3, i32::MIN)), Err(insufficient(SHAMPOO, 2, i32::MIN.unsigned_abs())));
    assert_eq!(invalid_field(stock.send(adjust(SHAMPOO, 4, 0))), Some("quantity"));
    assert_eq!(invalid_field(stock.send(receive(SHAMPOO, 5, 0))), Some("quantity"));
    assert_eq!(invalid_field(stock.send(consume(6, None, &[(SHAMPOO, 0)]))), Some("quantity"));
    assert_eq!(invalid_field(stock.send(adjust(SHAMPOO, 7, i32::MAX - 4))), Some("quantity"));
    assert_eq!(invalid_field(stock.send(receive(SHAMPOO, 8, u32::MAX))), Some("quantity"));
    stock.send(adjust(SHAMPOO, 9, i32::MAX - 5)).expect("up to the top");
}

#[test]
fn only_products_that_there_are_and_only_times_ahead() {
    let mut stock = Stock::of(5);
    let nobodys = ProductId(Uuid::from_u128(0xF0F0));
    assert_eq!(stock.send(receive(nobodys, 1, 1)), Err(Refusal::NotFound("product")));
    assert_eq!(stock.send(stock.reserve(2, &[(WAX, 1)])), Err(Refusal::NotFound("product")), "not sold any more");
    stock.send(consume(3, None, &[(WAX, 1)])).expect("what is left may be used up");
    assert_eq!(stock.send(release(4, &[SHAMPOO])), Err(Refusal::NotFound("reservation")));
    let until = |millis: i64| StockCommand::Reserve {
        reservation_id: Uuid::from_u128(5),
        lines: Lines::summed([(SHAMPOO, 1)]).expect("a line"),
        expires_at: stock.now.plus_millis(millis),
    };
    let refused = [until(0), until(-MINUTE_MS), until(90 * DAY_MS + 1)];
    let latest = until(90 * DAY_MS);
    for command in refused {
        assert_eq!(invalid_field(stock.send(command)), Some("expiresAt"));
    }
    stock.send(latest).expect("just within the bound");
}

#[test]
fn memory_is_bounded() {
    let mut stock = Stock::of(1_000_000);
    for number in 0..RESERVATIONS_MAX as u128 {
        stock.send(stock.reserve(number, &[(SHAMPOO, 1)])).expect("reserved");
    }
    let one_more = stock.reserve(9_999, &[(SHAMPOO, 1)]);
    let full = StockRefusal::TooManyReservations { product_id: SHAMPOO };
    assert_eq!(stock.send(one_more), Err(full.into()));
    stock.minutes_later(30);
    let ended = stock.send(stock.reserve(9_999, &[(SHAMPOO, 1)])).expect("the others have ended");
    assert_eq!((ended.len(), stock.items[&SHAMPOO].reservations().len()), (RESERVATIONS_MAX + 1, 1));
    assert_eq!(stock.items[&SHAMPOO].done.len(), DONE_MAX);
    stock.minutes_later(366 * 24 * 60).send(receive(SHAMPOO, 20_000, 1)).expect("received");
    assert_eq!(stock.items[&SHAMPOO].done.len(), 1, "who asks again, asks within the year");
}

#[test]
fn a_snapshot_comes_back_as_it_was() {
    let mut stock = Stock::of(5);
    stock.send(stock.reserve(1, &[(SHAMPOO, 2)])).expect("reserved");
    let item = &stock.items[&SHAMPOO];
    let bytes = rmp_serde::to_vec(item).expect("encodes");
    assert_eq!(&rmp_serde::from_slice::<StockItem>(&bytes).expect("decodes"), item);
}

#[test]
fn reasons_are_spelled_as_in_events() {
    for reason in AdjustmentReason::ALL {
        assert_eq!(serde_json::to_value(reason).expect("text"), reason.as_str());
        assert_eq!(AdjustmentReason::parse(reason.as_str()), Some(reason));
    }
    assert_eq!(AdjustmentReason::parse("because"), None);
}

#[derive(Debug, Clone)]
enum Ask {
    Receive(ProductId, u32),
    Adjust(ProductId, i32),
    Reserve(Vec<(ProductId, u32)>),
    Release(u128, Vec<ProductId>),
    Consume(Option<u128>, Vec<(ProductId, u32)>),
}

fn any_ask() -> impl Strategy<Value = Ask> {
    let product = || prop::sample::select(vec![SHAMPOO, BALM, WAX]);
    let lines = || prop::collection::vec((product(), 0..8_u32), 1..4);
    prop_oneof![
        (product(), 0..12_u32).prop_map(|(product_id, quantity)| Ask::Receive(product_id, quantity)),
        (product(), -8..8_i32).prop_map(|(product_id, quantity)| Ask::Adjust(product_id, quantity)),
        lines().prop_map(Ask::Reserve),
        (0..40_u128, prop::collection::vec(product(), 1..3)).prop_map(|(number, items)| Ask::Release(number, items)),
        (prop::option::of(0..40_u128), lines()).prop_map(|(number, lines)| Ask::Consume(number, lines)),
    ]
}

proptest! {
    #[test]
    fn stock_is_the_sum_of_its_movements_and_nothing_is_promised_twice(
        steps in prop::collection::vec((any_ask(), 0..40_u128, 0..20_i64), 1..80),
    ) {
        let mut stock = Stock::of(6);
        let mut sums: HashMap<ProductId, (i64, i64)> = [SHAMPOO, BALM, WAX].map(|product_id| (product_id, (6, 0))).into();
        for (ask, number, minutes) in steps {
            stock.minutes_later(minutes);
            let command = match ask {
                Ask::Receive(product_id, quantity) => receive(product_id, number, quantity),
                Ask::Adjust(product_id, quantity) => adjust(product_id, number, quantity),
                Ask::Reserve(lines) => stock.reserve(number, &lines),
                Ask::Release(reservation, items) => release(reservation, &items),
                Ask::Consume(reservation, lines) => consume(number, reservation, &lines),
            };
            let before = stock.items.clone();
            match stock.send(command) {
                Ok(events) => for (product_id, event) in events {
                    let Movement { quantity_delta, reserved_delta, .. } = event.movement();
                    let sum = sums.get_mut(&product_id).expect("a product");
                    *sum = (sum.0 + quantity_delta, sum.1 + reserved_delta);
                    prop_assert!(0 <= sum.1 && sum.1 <= sum.0, "{event:?} leaves {sum:?}");
                },
                Err(_) => prop_assert_eq!(&stock.items, &before),
            }
            for (product_id, sum) in &sums {
                let item = &stock.items[product_id];
                prop_assert_eq!((item.on_hand(), item.reserved()), *sum);
                prop_assert!(item.available_at(stock.now) >= 0);
            }
        }
    }
}

#[test]
fn what_others_have_reserved_is_not_ours_to_take_or_to_keep() {
    let mut stock = Stock::of(5);
    let known = stock.items[&SHAMPOO].clone();
    let item = known.clone().with_sums(8, 2);
    assert_eq!((item.on_hand(), item.reserved(), item.available_at(stock.now)), (8, 2, 6));
    let kept: StockItem = serde_json::from_str(&serde_json::to_string(&item).expect("JSON")).expect("an item");
    assert_eq!(kept.with_sums(8, 0), known.with_sums(8, 0));
    stock.items.insert(SHAMPOO, item);
    let more_than_ours = StockCommand::Consume {
        movement_id: Uuid::from_u128(7),
        reservation_id: None,
        lines: Lines::summed([(SHAMPOO, 7)]).expect("a line"),
    };
    stock.send(more_than_ours).expect_err("two of eight are somebody else's");
}
