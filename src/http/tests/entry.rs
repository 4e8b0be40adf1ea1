//! Who may pass.

use std::sync::Arc;
use std::time::Duration;

use actix_web::test::TestRequest;
use codeccloud_actors::envelope::Role;
use serde_json::json;

use super::house::{House, Mood, tenant_id};
use super::{BOOKING, CUSTOMER, KEY, as_role, booking_with, door, get, new_booking, post, send, send_all};
use crate::http::route::{Access, Route, Verb};
use crate::http::routes::ROUTES;

#[actix_web::test]
async fn token_and_workspace_are_asked_for_in_this_order() {
    let bare = || TestRequest::get().uri("/v1/services");
    let own = tenant_id().to_string();
    let house = House::that(Mood::Accepts);
    let rows = [
        (bare().insert_header(("x-workspace-id", own.clone())), 401, "unauthorized"),
        (
            bare().insert_header(("authorization", "Basic abc")).insert_header(("x-workspace-id", own.clone())),
            401,
            "unauthorized",
        ),
        (
            bare().insert_header(("authorization", "Bearer forged")).insert_header(("x-workspace-id", own)),
            401,
            "unauthorized",
        ),
        (bare().insert_header(("authorization", "Bearer owner")), 401, "unauthorized"),
        (
            bare().insert_header(("authorization", "Bearer owner")).insert_header(("x-workspace-id", CUSTOMER)),
            403,
            "forbidden",
        ),
        (
            bare().insert_header(("authorization", "Bearer owner")).insert_header(("x-workspace-id", "salon")),
            403,
            "forbidden",
        ),
    ];
    for (request, status, slug) in rows {
        let reply = send(&house, request).await;
        reply.problem(status, slug);
        assert_eq!(reply.header("www-authenticate").is_some(), status == 401);
    }
    let request = bare()
        .insert_header(("authorization", "bearer owner"))
        .insert_header(("x-workspace-id", tenant_id().to_string()));
    assert_eq!(send(&house, request).await.status, 200);
}

#[actix_web::test]
async fn members_must_be_members_and_have_the_weaker_role() {
    let house = House::that(Mood::Accepts);
    let patch = |token| {
        as_role(TestRequest::patch().uri("/v1/staff/00000000-0000-0000-0000-00000000000a"), token).set_json(json!({}))
    };
    assert_eq!(send(&house, patch("manager")).await.status, 200);
    // User 3 is a staff member, whatever an old token says; user 9 is nobody here.
    send(&house, patch("owner@3")).await.problem(403, "forbidden");
    send(&house, patch("staff@1")).await.problem(403, "forbidden");
    send(&house, patch("owner@9")).await.problem(403, "forbidden");
    assert_eq!(send(&house, as_role(TestRequest::get().uri("/v1/services"), "customer@9")).await.status, 200);
}

#[actix_web::test]
async fn finding_out_who_asks_has_a_deadline_too() {
    let house = House::that(Mood::Hangs);
    let asking = send(&house, as_role(TestRequest::get().uri("/v1/services"), "owner@9"));
    let reply = tokio::time::timeout(Duration::from_secs(5), asking).await.expect("an answer");
    reply.problem(503, "unavailable");
}

#[actix_web::test]
async fn a_workspace_that_is_not_there_is_closed() {
    let mut house = House::new(Mood::Accepts);
    Arc::make_mut(&mut house.reference).tenant_id = codeccloud_actors::ids::TenantId(uuid::Uuid::from_u128(99));
    send(&house.into(), get("/v1/services")).await.problem(403, "forbidden");
}

/// Who is let in answers with something else than 401 and 403, even where the request itself is not as it should be.
#[actix_web::test]
async fn every_role_passes_exactly_where_the_table_lets_it() {
    for role in Role::ALL {
        let requests = ROUTES.iter().map(|route| walk(route, role)).collect();
        let replies = send_all(door(&House::that(Mood::Accepts)), requests).await;
        for (route, reply) in ROUTES.iter().zip(replies) {
            let passed = !matches!(reply.status.as_u16(), 401 | 403);
            assert_eq!(passed, expected(route, role), "{} {} as {role:?}", route.verb.as_str(), route.path);
        }
    }
}

fn walk(route: &Route, role: Role) -> TestRequest {
    let path = route.path.replace("{date}", "2027-03-01").replace("{customerId}", CUSTOMER);
    let path = route.path_parameters().fold(path, |path, name| path.replace(&format!("{{{name}}}"), BOOKING));
    let request = TestRequest::with_uri(&path).method(route.verb.method());
    as_role(request, role.as_str()).insert_header(("idempotency-key", KEY)).set_json(json!({}))
}

/// The contract's sentence on roles, independent of the table's own columns.
fn expected(route: &Route, role: Role) -> bool {
    let member = matches!(role, Role::Owner | Role::Manager | Role::Staff);
    let manager = matches!(role, Role::Owner | Role::Manager);
    let customer_or_service = matches!(role, Role::Customer | Role::Service);
    match (route.verb, route.path) {
        (_, path) if !path.starts_with("/v1/") => true,
        (Verb::Get, "/v1/bookings/availability" | "/v1/services" | "/v1/services/{serviceId}") => true,
        (Verb::Get, "/v1/staff" | "/v1/staff/{staffId}") => true,
        (Verb::Post, "/v1/bookings") => true,
        (_, path) if path.ends_with("/check-in") || path.ends_with("/complete") || path.ends_with("/no-show") => member,
        (_, path) if path.ends_with("/confirm") || path.ends_with("/redeem") => member || role == Role::Service,
        (_, path) if path.ends_with("/adjust") => manager,
        (_, path) if path.starts_with("/v1/bookings") => member || customer_or_service,
        (_, path) if path.starts_with("/v1/customers") || path.starts_with("/v1/loyalty") => {
            member || customer_or_service
        }
        (_, path) if path.starts_with("/v1/admin/") => manager,
        (Verb::Get, "/v1/staff/{staffId}/working-hours") => member || role == Role::Service,
        (Verb::Get, "/v1/staff/{staffId}/time-off") => member,
        (Verb::Get, path) if path.starts_with("/v1/products") => member || role == Role::Service,
        (_, path) if path.starts_with("/v1/stock/") => member || role == Role::Service,
        (_, path)
            if ["/v1/staff", "/v1/services", "/v1/products", "/v1/webhooks", "/v1/admin/"]
                .iter()
                .any(|p| path.starts_with(p)) =>
        {
            manager
        }
        (_, path) => panic!("a route that the contract's sentence doesn't know: {path}"),
    }
}

#[actix_web::test]
async fn customers_book_for_themselves_and_see_themselves() {
    let house = House::that(Mood::Accepts);
    let book = |body| as_role(post("/v1/bookings", &body), "customer");
    assert_eq!(send(&house, book(new_booking())).await.status, 201);
    let other = booking_with("customer/id", json!("00000000-0000-0000-0000-0000000000c6"));
    send(&house, book(other.clone())).await.problem(403, "forbidden");
    assert_eq!(send(&house, as_role(post("/v1/bookings", &other), "service")).await.status, 201);
    for resource in ["customers", "loyalty"] {
        let uri = |id: &str| format!("/v1/{resource}/{id}");
        let see = |id| as_role(TestRequest::get().uri(&uri(id)), "customer");
        assert_eq!(send(&house, see(CUSTOMER)).await.status, 200);
        send(&house, see("00000000-0000-0000-0000-0000000000c6")).await.problem(404, "not-found");
    }
}

#[actix_web::test]
async fn only_an_owner_makes_an_owner() {
    let house = House::that(Mood::Accepts);
    let invite = |role: &str, by| {
        let body = json!({ "email": "bea@example.ch", "role": role, "displayName": "Bea" });
        as_role(post("/v1/staff/invite", &body), by)
    };
    assert_eq!(send(&house, invite("manager", "manager")).await.status, 201);
    assert_eq!(send(&house, invite("owner", "owner")).await.status, 201);
    send(&house, invite("owner", "manager")).await.problem(403, "forbidden");
}

#[test]
fn routes_of_one_path_stand_together_and_fixed_paths_before_variable_ones() {
    let mut paths: Vec<&str> = ROUTES.iter().map(|route| route.path).collect();
    paths.dedup();
    for (at, path) in paths.iter().enumerate() {
        assert!(!paths[..at].contains(path), "{path} stands in two places");
        let hidden = paths[..at].iter().find(|before| covers(before, path));
        assert_eq!(hidden, None, "{path} is never reached");
    }
    assert!(ROUTES.iter().all(|route| !route.summary.is_empty()));
    assert!(ROUTES.iter().all(|route| (route.access == Access::Public) != route.path.starts_with("/v1/")));
}

fn covers(pattern: &str, path: &str) -> bool {
    let (pattern, path): (Vec<&str>, Vec<&str>) = (pattern.split('/').collect(), path.split('/').collect());
    pattern.len() == path.len() && pattern.iter().zip(&path).all(|(p, part)| p.starts_with('{') || p == part)
}
