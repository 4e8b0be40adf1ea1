use std::time::{Duration, Instant};

use codeccloud::clock::SystemIds;
use codeccloud_actors::ports::Ids;

use crate::support::{Salon, Server, TestDir, token_of};

use super::succeeds;

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_users_tokens_are_void_and_later_ones_are_not() {
    let dir = TestDir::new();
    let server = Server::start(dir.path());
    server.ready().await;
    let salon = server.salon(dir.path()).await;
    for role in ["manager", "service"] {
        let (user, other) = (SystemIds.uuid(), SystemIds.uuid());
        let holding = |user| Salon { token: token_of(dir.path(), &salon.tenant_id, role, user), ..salon.clone() };
        let (revoked, spared) = (holding(user), holding(other));
        for holder in [&revoked, &spared] {
            assert_eq!(server.get(holder, "/v1/services").await.status, 200);
        }
        let page = async |holder: &Salon| {
            let asking = server.client.get(format!("{}/admin", server.url));
            let cookie = format!("codeccloud_admin={}", holder.token);
            asking.header("Cookie", cookie).send().await.unwrap().url().path().to_owned()
        };
        assert_eq!(page(&revoked).await, "/admin");

        let revoke = ["token", "--tenant", &salon.tenant_id, "--revoke-user", &user.to_string()];
        assert_eq!(succeeds(dir.path(), &revoke), "");
        let deadline = Instant::now() + Duration::from_secs(2);
        while server.get(&revoked, "/v1/services").await.status != 401 {
            assert!(Instant::now() < deadline, "the server does not learn of it");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(page(&revoked).await, "/admin/login");
        assert_eq!(server.get(&spared, "/v1/services").await.status, 200, "somebody else's");
        // Tokens are made for whole seconds.
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(server.get(&holding(user), "/v1/services").await.status, 200, "a later one");
    }
}
