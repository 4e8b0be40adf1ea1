//! Products, stock and figures at the door of a real server, and what the store says of them.

use std::time::Duration;

use codeccloud::clock::SystemClock;
use codeccloud::postgres::embedded::url_of;
use codeccloud_actors::ports::Clock;
use codeccloud_actors::time::DAY_MS;
use jiff::tz::TimeZone;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Mode, Reply, Salon, Server, TestDir, connect, in_both_modes, key};

in_both_modes!(
    products_are_rows_that_every_server_shows,
    stock_comes_is_kept_back_and_goes,
    a_reservation_ends_by_itself_and_what_is_left_is_sold_once,
    requests_that_name_the_same_products_in_any_order_never_wait_for_each_other,
    the_figures_are_those_of_the_bookings_also_after_a_restart,
);

/// A manager's view of a salon on a server of its own.
struct Shop {
    server: Server,
    salon: Salon,
    dir: TestDir,
}

impl Shop {
    async fn open(mode: Mode) -> Shop {
        let dir = TestDir::new();
        let server = mode.start(dir.path());
        server.ready().await;
        let salon = server.salon(dir.path()).await;
        let salon = server.member_of(&salon, dir.path(), "manager").await;
        Shop { server, salon, dir }
    }

    async fn get(&self, path: &str) -> Value {
        let reply = self.server.get(&self.salon, path).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text);
        reply.json()
    }

    async fn post(&self, path: &str, body: &Value) -> Reply {
        self.server.post(&self.salon, path, &key(), body).await
    }

    async fn product(&self, sku: &str) -> String {
        let price = json!({ "currency": "CHF", "amount": 2450 });
        let new = json!({ "sku": sku, "name": format!("Product {sku}"), "price": price, "minimumStock": 3 });
        let created = self.post("/v1/products", &new).await;
        assert_eq!(created.status, 201, "{}", created.text);
        created.json()["id"].as_str().unwrap().to_owned()
    }

    async fn receive(&self, product: &str, quantity: u32) {
        let received = self.post(&format!("/v1/products/{product}/receive"), &json!({ "quantity": quantity })).await;
        assert_eq!(received.status, 200, "{}", received.text);
    }

    /// On hand, reserved and available.
    async fn stock(&self, product: &str) -> [i64; 3] {
        let stock = self.get(&format!("/v1/products/{product}/stock")).await;
        ["onHand", "reserved", "available"].map(|field| stock[field].as_i64().unwrap())
    }
}

fn lines(lines: &[(&str, u32)]) -> Value {
    lines.iter().map(|(product_id, quantity)| json!({ "productId": product_id, "quantity": quantity })).collect()
}

fn reserve(wanted: &[(&str, u32)], seconds: i64) -> Value {
    json!({ "lines": lines(wanted), "expiresAt": SystemClock.now().plus_millis(1_000 * seconds) })
}

async fn products_are_rows_that_every_server_shows(mode: Mode) {
    let shop = Shop::open(mode).await;
    let product = shop.product("B-1").await;
    let same_sku = json!({ "sku": "B-1", "name": "Other", "price": { "currency": "CHF", "amount": 1 } });
    assert_eq!(shop.post("/v1/products", &same_sku).await.status, 409);
    let path = format!("/v1/products/{product}");
    let change = json!({ "description": "Bristles", "active": false, "minimumStock": 7 });
    let changed = shop.server.send(Method::PATCH, &shop.salon, &path, None, Some(&change)).await.unwrap();
    assert_eq!(changed.status, 200, "{}", changed.text);
    let shown = shop.get(&path).await;
    assert_eq!(
        (&shown["description"], &shown["minimumStock"], &shown["sku"]),
        (&json!("Bristles"), &json!(7), &json!("B-1"))
    );
    assert_eq!(shop.get("/v1/products").await["data"], json!([]), "not sold any more");

    let other = shop.server.salon_named(shop.dir.path(), "atelier-leman").await;
    assert_eq!(shop.server.get(&other, &path).await.status, 404, "another salon's");
    let url = url_of(shop.dir.path()).unwrap().replacen("codeccloud@", "codeccloud_bootstrap@", 1);
    let renamed = format!("update products set name = 'Brush' where id = '{product}'");
    connect(&url).await.batch_execute(&renamed).await.unwrap();
    let known = async {
        while shop.get(&path).await["name"] != "Brush" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), known).await.expect("a change by hand is seen");
}

async fn stock_comes_is_kept_back_and_goes(mode: Mode) {
    let shop = Shop::open(mode).await;
    let (one, two) = (shop.product("A").await, shop.product("B").await);
    shop.receive(&one, 10).await;
    shop.receive(&two, 2).await;
    let reserved = shop.post("/v1/stock/reserve", &reserve(&[(&one, 2), (&two, 1), (&one, 2)], 3_600)).await;
    assert_eq!(reserved.status, 200, "{}", reserved.text);
    assert_eq!((shop.stock(&one).await, shop.stock(&two).await), ([10, 4, 6], [2, 1, 1]));
    for too_many in [[(one.as_str(), 3), (one.as_str(), 4)], [(one.as_str(), 1), (two.as_str(), 2)]] {
        assert_eq!(shop.post("/v1/stock/reserve", &reserve(&too_many, 3_600)).await.status, 409);
        assert_eq!(shop.post("/v1/stock/consume", &json!({ "lines": lines(&too_many) })).await.status, 409);
    }
    assert_eq!((shop.stock(&one).await, shop.stock(&two).await), ([10, 4, 6], [2, 1, 1]), "all or none");

    let reservation = &reserved.json()["reservationId"];
    let take = json!({ "reservationId": reservation, "lines": lines(&[(&one, 3), (&two, 1)]) });
    assert_eq!(shop.post("/v1/stock/consume", &take).await.status, 200);
    let release = json!({ "reservationId": reservation, "productIds": [one, two] });
    for _ in 0..2 {
        assert_eq!(shop.post("/v1/stock/release", &release).await.status, 200, "also once it is gone");
    }
    let adjust = json!({ "quantity": -1, "reason": "damage" });
    let path = format!("/v1/products/{one}");
    assert_eq!(shop.post(&format!("{path}/adjust"), &adjust).await.json()["onHand"], 6);
    assert_eq!((shop.stock(&one).await, shop.stock(&two).await), ([6, 0, 6], [1, 0, 1]));
    let movements = shop.get(&format!("{path}/movements")).await;
    let moved: Vec<Value> = movements["data"].as_array().unwrap().clone();
    let moved: Vec<_> = moved.iter().map(|m| json!([m["reason"], m["quantityDelta"], m["reservedDelta"]])).collect();
    assert_eq!(
        json!(moved),
        json!([["damage", -1, 0], ["release", 0, -1], ["consume", -3, -3], ["reserve", 0, 4], ["receive", 10, 0]])
    );
    let older = shop.get(&format!("{path}/movements?limit=2&cursor=2")).await;
    assert_eq!((&older["data"][0]["reason"], &older["nextCursor"]), (&json!("receive"), &Value::Null));

    let below = shop.get("/v1/admin/inventory?belowMinimum=true").await;
    assert_eq!((&below["data"][0]["productId"], below["data"].as_array().unwrap().len()), (&json!(two), 1));
}

async fn a_reservation_ends_by_itself_and_what_is_left_is_sold_once(mode: Mode) {
    let shop = Shop::open(mode).await;
    let product = shop.product("A").await;
    shop.receive(&product, 5).await;
    assert_eq!(shop.post("/v1/stock/reserve", &reserve(&[(&product, 5)], 1)).await.status, 200);
    let ended = async {
        while shop.stock(&product).await != [5, 0, 5] {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), ended).await.expect("its time was up");
    let one = json!({ "lines": lines(&[(&product, 1)]) });
    let sales = futures_util::future::join_all((0..20).map(|_| shop.post("/v1/stock/consume", &one))).await;
    let sold = sales.iter().filter(|sale| sale.status == 200).count();
    assert_eq!((sold, sales.iter().filter(|sale| sale.status == 409).count()), (5, 15));
    assert_eq!(shop.stock(&product).await, [0, 0, 0]);
    let movements = shop.get(&format!("/v1/products/{product}/movements")).await;
    let expired: Vec<&Value> =
        movements["data"].as_array().unwrap().iter().filter(|movement| movement["reason"] == "expire").collect();
    assert_eq!((expired.len(), &expired[0]["reservedDelta"]), (1, &json!(-5)), "written by the next command, once");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_other_software_moves_counts_in_mvp_mode() {
    let shop = Shop::open(Mode::Mvp).await;
    let product = shop.product("A").await;
    shop.receive(&product, 5).await;
    let url = url_of(shop.dir.path()).unwrap().replacen("codeccloud@", "codeccloud_bootstrap@", 1);
    let psql = connect(&url).await;
    let moved = format!(
        "insert into product_stock_movements (tenant_id, product_id, quantity_delta, reserved_delta, reason)
         values ('{}', '{product}', 3, 2, 'other')",
        shop.salon.tenant_id
    );
    psql.batch_execute(&moved).await.unwrap();
    assert_eq!(shop.stock(&product).await, [8, 2, 6]);
    let take = |quantity| json!({ "lines": lines(&[(&product, quantity)]) });
    assert_eq!(shop.post("/v1/stock/consume", &take(7)).await.status, 409, "what others have reserved is theirs");

    // While it has taken something that nobody sees yet, a sale looks at what was there, and then waits.
    let take_five = moved.replace("3, 2", "-5, 0");
    psql.batch_execute(&format!("begin; {take_five}")).await.unwrap();
    let take = take(6);
    let (sale, ()) = futures_util::join!(shop.post("/v1/stock/consume", &take), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        psql.batch_execute("commit").await.unwrap();
    });
    assert_eq!(sale.status, 409, "decided again on what is there now: {}", sale.text);
    assert_eq!(shop.stock(&product).await, [3, 2, 1]);
    let movements = shop.get(&format!("/v1/products/{product}/movements")).await;
    assert_eq!(movements["data"].as_array().unwrap().len(), 1, "those of others have no version: {movements}");
}

/// Whoever lets go of it again finds that there is nothing left to let go of.
#[tokio::test(flavor = "multi_thread")]
async fn what_other_software_has_let_go_of_is_not_let_go_of_twice() {
    let shop = Shop::open(Mode::Mvp).await;
    let product = shop.product("A").await;
    shop.receive(&product, 20).await;
    let psql = connect(&url_of(shop.dir.path()).unwrap().replacen("codeccloud@", "codeccloud_bootstrap@", 1)).await;
    let let_go = |quantity: i32| {
        format!(
            "insert into product_stock_movements (tenant_id, product_id, quantity_delta, reserved_delta, reason)
             values ('{}', '{product}', 0, -{quantity}, 'other')",
            shop.salon.tenant_id
        )
    };
    for (elsewhere, kept) in [(5, 0), (3, 0)] {
        let reserved = shop.post("/v1/stock/reserve", &reserve(&[(&product, 5)], 60)).await.json();
        psql.batch_execute(&let_go(elsewhere)).await.unwrap();
        let body = json!({ "reservationId": reserved["reservationId"], "productIds": [product] });
        let released = shop.post("/v1/stock/release", &body).await;
        assert_eq!(released.status, 200, "{}", released.text);
        assert_eq!(shop.stock(&product).await, [20, kept, 20]);
        let sum: i64 =
            psql.query_one("select sum(reserved_delta) from product_stock_movements", &[]).await.unwrap().get(0);
        assert_eq!(sum, kept, "reserved, by the ledger");
    }
}

async fn requests_that_name_the_same_products_in_any_order_never_wait_for_each_other(mode: Mode) {
    let shop = Shop::open(mode).await;
    let (one, two) = (shop.product("A").await, shop.product("B").await);
    shop.receive(&one, 100).await;
    shop.receive(&two, 100).await;
    let there = json!({ "lines": lines(&[(&one, 1), (&two, 1)]) });
    let back = json!({ "lines": lines(&[(&two, 1), (&one, 1)]) });
    let sales = (0..60).map(|turn| shop.post("/v1/stock/consume", if turn % 2 == 0 { &there } else { &back }));
    let sales = futures_util::future::join_all(sales).await;
    assert!(sales.iter().all(|sale| sale.status == 200), "{:?}", sales.iter().find(|sale| sale.status != 200));
    assert_eq!((shop.stock(&one).await, shop.stock(&two).await), ([40, 0, 40], [40, 0, 40]));
}

async fn the_figures_are_those_of_the_bookings_also_after_a_restart(mode: Mode) {
    let shop = Shop::open(mode).await;
    let zone = TimeZone::get("Europe/Zurich").unwrap();
    let in_days = |days: i64| SystemClock.now().plus_millis(days * DAY_MS).date_in(&zone);
    let price = shop.salon.price["amount"].as_i64().unwrap();
    let mut ids = Vec::new();
    for (number, slot) in soon(&shop).await.into_iter().enumerate().take(4) {
        let mut booking = shop.salon.booking(0, 0, i64::try_from(number).unwrap());
        for field in ["slotStart", "slotEnd", "staffId"] {
            booking[field] = slot[field].clone();
        }
        let booked = shop.post("/v1/bookings", &booking).await;
        assert_eq!(booked.status, 201, "{}", booked.text);
        ids.push(booked.json()["booking"]["id"].as_str().unwrap().to_owned());
    }
    for (booking, steps) in ids.iter().zip([&["check-in", "complete"][..], &["cancel"], &["no-show"], &[]]) {
        for step in steps {
            let path = format!("/v1/bookings/{booking}/{step}");
            let done = shop.post(&path, &json!({ "bookingId": booking })).await;
            assert_eq!(done.status, 200, "{path}: {}", done.text);
        }
    }
    let range = format!("from={}&to={}", in_days(0), in_days(60));
    let dashboard = shop.get(&format!("/v1/admin/dashboard?{range}")).await;
    let counts = ["bookings", "completed", "cancellations", "noShows"].map(|field| dashboard[field].as_i64().unwrap());
    assert_eq!(counts, [4, 1, 1, 1]);
    let cents = ["bookedCents", "revenueCents", "cancelledCents", "noShowCents"];
    assert_eq!(cents.map(|field| dashboard[field].as_i64().unwrap()), [4 * price, price, price, price]);
    assert!(dashboard["utilisation"].as_f64().unwrap() > 0.0 && dashboard["satisfaction"].is_null(), "{dashboard}");
    let euros = shop.get(&format!("/v1/admin/dashboard?{range}&currency=EUR")).await;
    assert_eq!(euros["bookings"], 0);
    let service = shop.get(&format!("/v1/admin/revenue?{range}&by=service")).await;
    assert_eq!(service["data"][0]["serviceId"], json!(shop.salon.service_id));
    for by in ["day", "month", "staff", "service"] {
        let page = shop.get(&format!("/v1/admin/revenue?{range}&by={by}")).await;
        let rows = page["data"].as_array().unwrap();
        let sum = |field: &str| rows.iter().map(|row| row[field].as_i64().unwrap()).sum::<i64>();
        assert_eq!([sum("bookings"), sum("revenueCents")], [4, price], "{by}: {page}");
    }

    let Shop { server, salon, dir } = shop;
    server.stop();
    let shop = Shop { server: mode.start(dir.path()), salon, dir };
    shop.server.ready().await;
    assert_eq!(shop.get(&format!("/v1/admin/dashboard?{range}")).await, dashboard);
}

/// Slots of the coming weeks, one a day.
async fn soon(shop: &Shop) -> Vec<Value> {
    let from = SystemClock.now().plus_minutes(60);
    let to = from.plus_millis(30 * DAY_MS);
    let query = format!("serviceId={}&from={from}&to={to}&granularityMinutes=480", shop.salon.service_id);
    let offers = shop.get(&format!("/v1/bookings/availability?{query}")).await;
    let mut days: Vec<Value> = offers["slots"].as_array().unwrap().clone();
    days.dedup_by_key(|slot| slot["slotStart"].as_str().unwrap()[..10].to_owned());
    days
}
