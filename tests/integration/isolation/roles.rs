//! Everybody at every route, with ids that nothing has.

use codeccloud::clock::SystemIds;
use codeccloud::http::{Access, ROUTES, Route};
use codeccloud::postgres::embedded::superuser_url_of;
use codeccloud_actors::envelope::Role;
use codeccloud_actors::ports::Ids;
use reqwest::Method;
use serde_json::json;

use crate::support::{Mode, Salon, Server, TestDir, connect, in_both_modes, key, token, token_of};

const NOWHERE: &str = "00000000-0000-4000-8000-0000000000ff";

async fn status(server: &Server, caller: &Salon, route: &Route) -> (u16, String) {
    let path = route.path_parameters().fold(route.path.to_owned(), |path, name| {
        let id = if name == "date" { "2031-06-02" } else { NOWHERE };
        path.replace(&format!("{{{name}}}"), id)
    });
    let method: Method = route.verb.as_str().parse().unwrap();
    let reply = server.send(method, caller, &path, Some(&key()), Some(&json!({}))).await.unwrap();
    (reply.status, format!("{} {}: {}", route.verb.as_str(), route.path, reply.text))
}

in_both_modes!(
    each_role_passes_where_the_table_lets_it_and_nowhere_else,
    without_a_token_and_without_a_membership_nothing_but_public_routes_is_open,
);

async fn each_role_passes_where_the_table_lets_it_and_nowhere_else(mode: Mode) {
    let dir = TestDir::new();
    let server = mode.start(dir.path());
    server.ready().await;
    let salon = server.salon(dir.path()).await;
    for role in Role::ALL {
        let caller = match role {
            Role::Owner | Role::Manager | Role::Staff => server.member_of(&salon, dir.path(), role.as_str()).await,
            Role::Customer | Role::Service | Role::Operator => {
                Salon { token: token(dir.path(), &salon.tenant_id, role.as_str()), ..salon.clone() }
            }
        };
        for route in ROUTES {
            let (status, what) = status(&server, &caller, route).await;
            assert_eq!(!matches!(status, 401 | 403), route.access.allows(role), "{} {what}", role.as_str());
        }
    }
}

async fn without_a_token_and_without_a_membership_nothing_but_public_routes_is_open(mode: Mode) {
    let dir = TestDir::new();
    let server = mode.start(dir.path());
    server.ready().await;
    let salon = server.salon(dir.path()).await;
    let nobody = Salon { token: String::new(), ..salon.clone() };
    for route in ROUTES {
        let (status, what) = status(&server, &nobody, route).await;
        assert_eq!(status == 401, route.access != Access::Public, "without a token {what}");
    }

    // The tokens are good for a day; who has left the salon is out at once, whatever a token says.
    let superuser = connect(&superuser_url_of(dir.path()).unwrap()).await;
    for role in ["owner", "manager", "staff"] {
        let user = SystemIds.uuid();
        let former = Salon { token: token_of(dir.path(), &salon.tenant_id, role, user), ..salon.clone() };
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
        let wait = async |status: u16| {
            while server.get(&former, "/v1/bookings").await.status != status {
                assert!(std::time::Instant::now() < deadline, "the server does not learn of it");
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        wait(200).await;
        superuser.execute("update tenant_members set revoked_at = now() where user_id = $1", &[&user]).await.unwrap();
        wait(403).await;
        for route in ROUTES {
            let (status, what) = status(&server, &former, route).await;
            assert_eq!(status == 403, route.access != Access::Public, "a former {role} {what}");
        }
    }
}
