//! Everybody of salon A, at every route, with ids of salon B.

use std::collections::BTreeMap;

use codeccloud::http::{Access, ROUTES, Route, Verb};
use codeccloud::postgres::Client;
use codeccloud::postgres::embedded::superuser_url_of;
use codeccloud_actors::envelope::Role;
use serde_json::Value;
use uuid::Uuid;

use super::request::Request;
use super::{MARK, Salons};
use crate::support::{Mode, Reply, Salon, connect, in_both_modes};

/// Tables in which a server keeps for itself what it can make again at any time, whoever asks for what.
const OWN_NOTES: [&str; 2] = ["snapshots", "event_projection_offsets"];

in_both_modes!(the_ids_of_another_salon_find_nothing_and_change_nothing);

async fn the_ids_of_another_salon_find_nothing_and_change_nothing(mode: Mode) {
    let salons = Salons::open(mode).await;
    let document = salons.document().await;
    let superuser = connect(&superuser_url_of(salons.dir.path()).unwrap()).await;
    let tenant: Uuid = salons.b.tenant_id.parse().unwrap();
    let mut walked = 0;
    // A customer's id is the client's choice: once one of these is used in salon A too, it finds something there.
    for mixed in [false, true] {
        for role in Role::ALL {
            let stranger = caller(&salons, &salons.a, role).await;
            for route in ROUTES.iter().filter(|route| route.access != Access::Public && route.access.allows(role)) {
                for request in foreign(&salons, &document, route, mixed) {
                    let what = format!("{} {} as {}", request.method, request.path, role.as_str());
                    let before = rows_of(&superuser, tenant).await;
                    let reply = salons.send(&stranger, &request).await;
                    finds_nothing(&reply, mixed, &what);
                    assert_eq!(rows_of(&superuser, tenant).await, before, "{what} has changed another salon");
                    walked += 1;
                }
            }
        }
    }
    assert!(walked > 100, "{walked} requests");
    each_request_is_one_that_the_salon_itself_can_make(&salons, &document).await;
}

/// With nothing but foreign ids; or mixed, with one foreign id among own ones, for each id of the request.
fn foreign(salons: &Salons, document: &Value, route: &Route, mixed: bool) -> Vec<Request> {
    if !mixed {
        let wholly = Request::of(route, document, &salons.ids_of_b, &salons.ids_of_b);
        return Vec::from_iter(Some(wholly).filter(|request| request.ids > 0));
    }
    let with_one = |(name, id): (&&'static str, &String)| {
        let mut ids = salons.ids_of_a.clone();
        ids.insert(name, id.clone());
        let request = Request::of(route, document, &ids, &ids);
        let says_it = request.path.contains(id) || has(request.body.as_ref(), id);
        Some(request).filter(|request| says_it && request.ids > 1)
    };
    salons.ids_of_b.iter().filter_map(with_one).collect()
}

fn has(body: Option<&Value>, id: &str) -> bool {
    body.is_some_and(|body| body.to_string().contains(id))
}

/// Of a request that is not wholly foreign, what belongs to the own salon may have an effect there.
fn finds_nothing(reply: &Reply, mixed: bool, what: &str) {
    assert!(!reply.text.contains(MARK), "{what} tells of another salon: {}", reply.text);
    assert!(reply.status < 500, "{what}: {}", reply.text);
    if !mixed {
        let empty = ["[]", r#"{"data":[],"nextCursor":null}"#].contains(&reply.text.as_str());
        // 422 as for ids that nobody has: that each of these requests is valid in itself, the end of the walk shows.
        let refused = matches!(reply.status, 403 | 404 | 422);
        assert!(refused || (reply.status == 200 && empty), "{what}: {} {}", reply.status, reply.text);
    }
}

/// Otherwise its refusal would prove nothing.
async fn each_request_is_one_that_the_salon_itself_can_make(salons: &Salons, document: &Value) {
    let mut callers = BTreeMap::new();
    for role in [Role::Owner, Role::Service] {
        callers.insert(role.as_str(), caller(salons, &salons.b, role).await);
    }
    // What is deleted is not there for what comes later.
    let (last, first): (Vec<&Route>, Vec<&Route>) = ROUTES.iter().partition(|route| route.verb == Verb::Delete);
    for route in first.into_iter().chain(last).filter(|route| route.access != Access::Public) {
        let request = Request::of(route, document, &salons.ids_of_b, &salons.ids_of_b);
        let role = if route.access.allows(Role::Owner) { Role::Owner } else { Role::Service };
        let reply = salons.send(&callers[role.as_str()], &request).await;
        // A conflict is with the state that an earlier request has left.
        assert!(
            matches!(reply.status, 200..=299 | 409),
            "{} {}: the walk can't make a valid request of it by itself ({} {}). Give what it names to `Salons::ids`, and \
             the values of its fields to `request::field`: {:?}",
            route.verb.as_str(),
            route.path,
            reply.status,
            reply.text,
            request.body
        );
    }
}

async fn caller(salons: &Salons, salon: &Salon, role: Role) -> Salon {
    match role {
        Role::Owner | Role::Manager | Role::Staff => {
            salons.server.member_of(salon, salons.dir.path(), role.as_str()).await
        }
        Role::Customer | Role::Service | Role::Operator => salons.as_role(salon, role.as_str()),
    }
}

/// Count and hash of the tenant's rows in each table of the catalogue.
async fn rows_of(superuser: &Client, tenant: Uuid) -> Vec<(String, String)> {
    let tables = "select c.oid::regclass::text from pg_class c
        join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped
        where c.relnamespace in ('public'::regnamespace, 'app_private'::regnamespace)
        and c.relkind in ('r', 'p') and not c.relispartition and c.relname <> all ($1) order by 1";
    let tables: Vec<String> =
        superuser.query(tables, &[&OWN_NOTES.as_slice()]).await.unwrap().iter().map(|row| row.get(0)).collect();
    assert!(tables.len() > 20, "{tables:?}");
    let hash = "count(*) || ' ' || coalesce(md5(string_agg(t::text, '|' order by t::text)), '')";
    let each = tables.iter().map(|table| format!("select '{table}', {hash} from {table} t where tenant_id = $1"));
    let mut all: Vec<String> = each.collect();
    all.push(format!("select 'tenants', {hash} from tenants t where id = $1"));
    let rows = superuser.query(&all.join(" union all "), &[&tenant]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}
