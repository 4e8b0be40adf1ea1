//! A salon's figures, told so that those of two salons can be compared.

use serde_json::Value;

use crate::support::{Salon, Server};

/// The bookings of the cases lie in this month.
const RANGE: &str = "from=2031-06-01&to=2031-06-30";

pub async fn figures(server: &Server, salon: &Salon) -> Vec<Value> {
    let mut all = Vec::new();
    let of = |by: &str| format!("/v1/admin/revenue?{RANGE}&by={by}");
    let dashboard = format!("/v1/admin/dashboard?{RANGE}");
    let one_day = "/v1/admin/dashboard?from=2031-06-03&to=2031-06-03".to_owned();
    let pages = ["day", "month", "staff", "service"].map(of);
    for path in pages.into_iter().chain([dashboard, one_day]) {
        let reply = server.get(salon, &path).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text);
        all.push(reply.json());
    }
    all
}
