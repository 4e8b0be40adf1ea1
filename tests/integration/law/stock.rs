//! What is asked of two salons' products, and what both then show of them.

use std::time::Duration;

use codeccloud::clock::SystemClock;
use codeccloud_actors::ports::Clock;
use codeccloud_actors::time::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{Reply, Salon, Server, key};

const SKUS: [&str; 2] = ["A", "B"];

#[derive(Debug, Clone)]
pub enum StockStep {
    Receive {
        product: usize,
        quantity: u32,
    },
    Adjust {
        product: usize,
        quantity: i32,
    },
    Reserve {
        quantities: [u32; 2],
    },
    /// For so short a time that it is over when the next step comes.
    ReserveBriefly {
        quantities: [u32; 2],
    },
    Release {
        nth: usize,
    },
    Consume {
        nth: Option<usize>,
        quantities: [u32; 2],
    },
}

pub fn stock_step() -> impl Strategy<Value = StockStep> {
    let quantities = || [0..4_u32, 1..4_u32];
    prop_oneof![
        3 => (0..2_usize, 1..20_u32).prop_map(|(product, quantity)| StockStep::Receive { product, quantity }),
        1 => (0..2_usize, -5..5_i32).prop_map(|(product, quantity)| StockStep::Adjust { product, quantity }),
        3 => quantities().prop_map(|quantities| StockStep::Reserve { quantities }),
        1 => (0..3_usize).prop_map(|nth| StockStep::Release { nth }),
        2 => (prop::option::of(0..3_usize), quantities())
            .prop_map(|(nth, quantities)| StockStep::Consume { nth, quantities }),
    ]
}

/// Each kind of movement, and each refusal.
pub fn each_kind() -> Vec<StockStep> {
    vec![
        StockStep::Receive { product: 0, quantity: 10 },
        StockStep::Receive { product: 1, quantity: 5 },
        StockStep::ReserveBriefly { quantities: [4, 5] },
        StockStep::Reserve { quantities: [3, 2] },
        StockStep::Reserve { quantities: [0, 2] },
        StockStep::Consume { nth: Some(1), quantities: [2, 1] },
        StockStep::Consume { nth: Some(1), quantities: [2, 1] },
        StockStep::Consume { nth: None, quantities: [1, 1] },
        StockStep::Consume { nth: None, quantities: [1, 9] },
        StockStep::Release { nth: 1 },
        StockStep::Adjust { product: 0, quantity: -2 },
        StockStep::Adjust { product: 1, quantity: -9 },
    ]
}

/// A salon's products, and the reservations that were made of them.
pub struct Shelf {
    products: Vec<String>,
    reservations: Vec<Value>,
}

impl Shelf {
    pub async fn new(server: &Server, salon: &Salon) -> Shelf {
        let mut products = Vec::new();
        for sku in SKUS {
            let new = json!({ "sku": sku, "name": sku, "price": { "currency": "CHF", "amount": 2_450 } });
            let made = server.post(salon, "/v1/products", &key(), &new).await;
            assert_eq!(made.status, 201, "{}", made.text);
            products.push(made.json()["id"].as_str().unwrap().to_owned());
        }
        Shelf { products, reservations: Vec::new() }
    }

    /// `None` when there is no reservation yet for the step to be about.
    pub async fn asked(&mut self, server: &Server, salon: &Salon, step: &StockStep) -> Option<Reply> {
        let ask = async |path: &str, body: &Value| server.post(salon, path, &key(), body).await;
        let of = |product: usize, what: &str| format!("/v1/products/{}/{what}", self.products[product]);
        Some(match *step {
            StockStep::Receive { product, quantity } => {
                ask(&of(product, "receive"), &json!({ "quantity": quantity })).await
            }
            StockStep::Adjust { product, quantity } => {
                ask(&of(product, "adjust"), &json!({ "quantity": quantity, "reason": "count" })).await
            }
            StockStep::Reserve { quantities } => {
                let expires_at = SystemClock.now().plus_minutes(60);
                self.reserved(ask("/v1/stock/reserve", &self.reserve(quantities, expires_at)).await)
            }
            StockStep::ReserveBriefly { quantities } => {
                let expires_at = SystemClock.now().plus_millis(2_000);
                let reply = ask("/v1/stock/reserve", &self.reserve(quantities, expires_at)).await;
                tokio::time::sleep(Duration::from_millis(2_001)).await;
                self.reserved(reply)
            }
            StockStep::Release { nth } => {
                let body = json!({ "reservationId": self.reservation(nth)?, "productIds": self.products });
                ask("/v1/stock/release", &body).await
            }
            StockStep::Consume { nth, quantities } => {
                let reservation = match nth {
                    Some(nth) => self.reservation(nth)?,
                    None => Value::Null,
                };
                let body = json!({ "reservationId": reservation, "lines": self.lines(quantities) });
                ask("/v1/stock/consume", &body).await
            }
        })
    }

    /// The products' part of what the salon shows, each by its number.
    pub async fn shown(&self, server: &Server, salon: &Salon) -> Vec<Value> {
        let mut all = vec![server.get(salon, "/v1/admin/inventory").await.json()];
        for product in &self.products {
            all.push(server.get(salon, &format!("/v1/products/{product}/stock")).await.json());
            for page in ["limit=5", "limit=5&cursor=4"] {
                let movements = server.get(salon, &format!("/v1/products/{product}/movements?{page}")).await;
                let mut movements = movements.json();
                for movement in movements["data"].as_array_mut().unwrap() {
                    movement["occurredAt"].take();
                    let which = self.reservations.iter().position(|id| *id == movement["reservationId"]);
                    movement["reservationId"] = json!(which);
                }
                all.push(movements);
            }
        }
        all
    }

    /// A text in which the products' ids, which are others in each salon, are names.
    pub fn named(&self, text: &str) -> String {
        self.products
            .iter()
            .zip(SKUS)
            .fold(text.to_owned(), |text, (id, sku)| text.replace(id, &format!("product {sku}")))
    }

    fn reserve(&self, quantities: [u32; 2], expires_at: Timestamp) -> Value {
        json!({ "lines": self.lines(quantities), "expiresAt": expires_at })
    }

    fn lines(&self, quantities: [u32; 2]) -> Value {
        let asked = self.products.iter().zip(quantities).filter(|(_, quantity)| *quantity > 0);
        asked.map(|(id, quantity)| json!({ "productId": id, "quantity": quantity })).collect()
    }

    fn reservation(&self, nth: usize) -> Option<Value> {
        self.reservations.get(nth % self.reservations.len().max(1)).cloned()
    }

    fn reserved(&mut self, reply: Reply) -> Reply {
        if reply.status == 200 {
            self.reservations.push(reply.json()["reservationId"].clone());
        }
        reply
    }
}
