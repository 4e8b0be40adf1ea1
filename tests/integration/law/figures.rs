//! A salon's figures, told so that those of two salons can be compared.

use serde_json::Value;

use super::CURRENCIES;
use crate::support::{Salon, Server};

/// All bookings of the cases lie in these months, clock changes among them.
pub const SPAN: &str = "from=2031-03-01&to=2031-10-31";

pub async fn figures(server: &Server, salon: &Salon) -> Vec<Value> {
    let mut all = Vec::new();
    for currency in CURRENCIES {
        let of = |by: &str| format!("/v1/admin/revenue?{SPAN}&by={by}&currency={currency}");
        let dashboard = format!("/v1/admin/dashboard?{SPAN}&currency={currency}");
        let one_day = format!("/v1/admin/dashboard?from=2031-06-03&to=2031-06-03&currency={currency}");
        let pages = ["day", "month", "staff", "service"].map(of);
        for path in pages.into_iter().chain([dashboard, one_day]) {
            let reply = server.get(salon, &path).await;
            assert_eq!(reply.status, 200, "{path}: {}", reply.text);
            all.push(reply.json());
        }
    }
    all
}
