use crate::support::{Salon, Server, TestDir, connect};

use super::succeeds;

#[tokio::test(flavor = "multi_thread")]
async fn the_token_of_a_new_member_works_at_once() {
    let dir = TestDir::new();
    let server = Server::start(dir.path());
    server.ready().await;
    let salon = server.salon(dir.path()).await;
    let url = codeccloud::postgres::embedded::superuser_url_of(dir.path()).unwrap();
    let superuser = connect(&url).await;
    for round in 0..5 {
        // Nobody tells the server, and it finds out by itself once a second only.
        let deafen =
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN codeccloud_reference%'";
        superuser.execute(deafen, &[]).await.unwrap();
        let printed = succeeds(dir.path(), &["token", "--tenant", &salon.tenant_id, "--role", "owner"]);
        let owner = Salon { token: printed.trim().to_owned(), ..salon.clone() };
        let reply = server.get(&owner, "/v1/staff").await;
        assert_eq!(reply.status, 200, "round {round}: {}", reply.text);
    }
    let tenant = succeeds(dir.path(), &["tenant", "create", "--slug", "new", "--name", "New"]).trim().to_owned();
    let printed = succeeds(dir.path(), &["token", "--tenant", "new", "--role", "manager"]);
    let manager = Salon { tenant_id: tenant, token: printed.trim().to_owned(), ..salon.clone() };
    assert_eq!(server.get(&manager, "/v1/staff").await.status, 200);
}
