use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::harness::{Auth, PASSWORD};

#[tokio::test]
async fn users_are_listed_by_page_to_admins_alone() {
    let auth = Auth::start().await;
    let customer = auth.customer("ada@example.org").await.text("access_token");
    let admin = auth.admin("root@example.org").await.text("access_token");
    auth.register("bob@example.org").await;
    auth.get("/auth/users", None)
        .await
        .is_problem(401, "unauthenticated");
    auth.get("/auth/users", Some(&customer))
        .await
        .is_problem(403, "forbidden");
    let first = auth.get("/auth/users?limit=2", Some(&admin)).await;
    assert_eq!(first.status, 200, "{first:?}");
    assert_eq!(first.body["items"].as_array().map(Vec::len), Some(2));
    let link = first.headers["link"].to_str().unwrap().to_owned();
    let next = link.strip_prefix('<').unwrap().split_once('>').unwrap().0;
    let second = auth.get(next, Some(&admin)).await;
    assert_eq!(second.body["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(second.body["next_cursor"], Value::Null);
    let emails: Vec<_> = [&first, &second]
        .iter()
        .flat_map(|page| page.body["items"].as_array().unwrap())
        .map(|user| user["email"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(emails, ["bob@example.org", "root@example.org", "ada@example.org"]);
    for query in ["limit=0", "limit=101", "limit=x", "cursor=x", "offset=1"] {
        assert_eq!(
            auth.get(&format!("/auth/users?{query}"), Some(&admin))
                .await
                .status,
            400,
            "{query}"
        );
    }
}

#[tokio::test]
async fn a_user_is_found_by_what_is_known_of_them() {
    let auth = Auth::start().await;
    let admin = auth.admin("root@example.org").await.text("access_token");
    let ada = auth.register("ada@example.org").await.text("user_id");
    let bob = auth.register("bob@example.org").await.text("user_id");
    let path = format!("/auth/users/{bob}");
    auth.patch(&path, &admin, &json!({"disabled": true})).await;
    let found = async |query: &str| {
        let page = auth.get(&format!("/auth/users?{query}"), Some(&admin)).await;
        assert_eq!(page.status, 200, "{query}: {page:?}");
        let items = page.body["items"].as_array().unwrap().clone();
        let email = |user: &Value| {
            user["email"]
                .as_str()
                .unwrap()
                .split('@')
                .next()
                .unwrap()
                .to_owned()
        };
        items.iter().map(email).collect::<Vec<_>>()
    };
    assert_eq!(found("email=ADA%40Example.org").await, ["ada"]);
    assert_eq!(found("email=nobody%40example.org").await, [""; 0]);
    assert_eq!(found("email=no-address").await, [""; 0]);
    assert_eq!(found(&format!("ids={ada},{bob}")).await, ["bob", "ada"]);
    assert_eq!(found("role=admin").await, ["root"]);
    assert_eq!(found("disabled=true").await, ["bob"]);
    assert_eq!(found("disabled=false").await, ["ada", "root"]);
    assert_eq!(found("from=2000-01-01T00:00:00Z&limit=1").await, ["bob"]);
    assert_eq!(found("to=2000-01-01T00:00:00Z").await, [""; 0]);
    let many = vec![ada.as_str(); 101].join(",");
    for query in [
        format!("ids={many}"),
        "ids=ada".to_owned(),
        "ids=".to_owned(),
        "role=root".to_owned(),
    ] {
        let refused = auth.get(&format!("/auth/users?{query}"), Some(&admin)).await;
        refused.is_problem(400, "invalid-query");
    }
}

#[tokio::test]
async fn what_an_admin_changed_of_a_user_is_in_the_audit() {
    let auth = Auth::start().await;
    let root = auth.admin("root@example.org").await;
    let admin = root.text("access_token");
    let ada = auth.register("ada@example.org").await.text("user_id");
    let path = format!("/auth/users/{ada}");
    for change in [
        json!({"role": "admin"}),
        json!({"disabled": true}),
        json!({"disabled": true}),
    ] {
        assert_eq!(auth.patch(&path, &admin, &change).await.status, 200);
    }
    let me = auth.get("/auth/me", Some(&admin)).await;
    let audit = auth.get("/auth/dead-letters/audit", Some(&admin)).await;
    let entries = audit.body["items"].as_array().unwrap();
    let told = |entry: &Value| (entry["before"].clone(), entry["after"].clone());
    let [customer, raised, out] = [("customer", false), ("admin", false), ("admin", true)]
        .map(|(role, disabled)| json!({"role": role, "disabled": disabled}));
    // what changes nothing is not there
    let expected = [(raised.clone(), out), (customer, raised)];
    assert_eq!(entries.iter().map(told).collect::<Vec<_>>(), expected);
    for entry in entries {
        assert_eq!(
            (&entry["action"], &entry["resource"]),
            (&json!("change-user"), &json!(path))
        );
        assert_eq!(entry["actor"], me.body["user_id"]);
        assert_eq!(
            (&entry["subject"], &entry["reason"]),
            (&Value::Null, &Value::Null)
        );
    }
}

#[tokio::test]
async fn a_disabled_user_is_out() {
    let auth = Auth::start().await;
    let admin = auth.admin("root@example.org").await.text("access_token");
    let user_id = auth.register("ada@example.org").await.text("user_id");
    let login = auth.login("ada@example.org").await;
    let path = format!("/auth/users/{user_id}");
    let changed = auth.patch(&path, &admin, &json!({"disabled": true})).await;
    assert_eq!(
        (changed.status, &changed.body["disabled"]),
        (200, &json!(true)),
        "{changed:?}"
    );
    auth.login("ada@example.org")
        .await
        .is_problem(401, "invalid-credentials");
    auth.refresh(&login.text("refresh_token"))
        .await
        .is_problem(401, "invalid-refresh-token");
    auth.get("/auth/me", Some(&login.text("access_token")))
        .await
        .is_problem(401, "unauthenticated");
    let announced = auth.announced("session.revoked").await;
    assert_eq!(announced.len(), 1);
    assert_eq!(
        (&announced[0]["reason"], &announced[0]["session_id"]),
        (&json!("account_changed"), &Value::Null)
    );
    assert_eq!(
        auth.patch(&path, &admin, &json!({"disabled": false}))
            .await
            .status,
        200
    );
    assert_eq!(auth.login("ada@example.org").await.status, 200);
}

#[tokio::test]
async fn a_role_is_given_and_taken() {
    let auth = Auth::start().await;
    let root = auth.admin("root@example.org").await.text("access_token");
    let user_id = auth.register("ada@example.org").await.text("user_id");
    let path = format!("/auth/users/{user_id}");
    assert_eq!(
        auth.patch(&path, &root, &json!({"role": "admin"})).await.body["role"],
        "admin"
    );
    let token = auth.login("ada@example.org").await.text("access_token");
    assert_eq!(auth.get("/auth/users", Some(&token)).await.status, 200);
    assert_eq!(
        auth.patch(&path, &root, &json!({"role": "customer"}))
            .await
            .status,
        200
    );
    let token = auth.login("ada@example.org").await.text("access_token");
    auth.get("/auth/users", Some(&token))
        .await
        .is_problem(403, "forbidden");
}

#[tokio::test]
async fn a_change_that_cannot_be_is_refused() {
    let auth = Auth::start().await;
    let admin = auth.admin("root@example.org").await.text("access_token");
    let own_id = auth.get("/auth/me", Some(&admin)).await.text("user_id");
    let own = format!("/auth/users/{own_id}");
    auth.patch(&own, &admin, &json!({"disabled": true}))
        .await
        .is_problem(409, "conflict");
    auth.patch(&own, &admin, &json!({"role": "customer"}))
        .await
        .is_problem(409, "conflict");
    auth.patch(&own, &admin, &json!({"role": "owner"}))
        .await
        .points_at("/role");
    auth.patch(&own, &admin, &json!({"email": "x"}))
        .await
        .points_at("/email");
    let nobody = "/auth/users/01990000-0000-7000-8000-000000000001";
    auth.patch(nobody, &admin, &json!({"disabled": true}))
        .await
        .is_problem(404, "not-found");
    auth.patch("/auth/users/1", &admin, &json!({}))
        .await
        .is_problem(404, "not-found");
}

fn create_admin(auth: &Auth, password: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_auth"));
    command.args(["create-admin", "--email", "root@example.org"]);
    command.env("QUADRILLE__DATABASE__URL", auth.database_url());
    command.env_remove("QUADRILLE_ADMIN_PASSWORD");
    if let Some(password) = password {
        command.env("QUADRILLE_ADMIN_PASSWORD", password);
    }
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

#[tokio::test]
async fn the_first_admin_gets_a_password_printed_once() {
    let auth = Auth::start().await;
    let printed: Value = serde_json::from_slice(&create_admin(&auth, None).stdout).unwrap();
    assert_eq!(printed["email"], "root@example.org");
    let login = auth.post("/auth/login", &printed).await;
    assert_eq!(login.status, 200, "{login:?}");
    assert_eq!(
        auth.get("/auth/users", Some(&login.text("access_token")))
            .await
            .status,
        200
    );
    assert!(
        create_admin(&auth, None).stdout.is_empty(),
        "it exists, and keeps its password"
    );
    assert_eq!(auth.post("/auth/login", &printed).await.status, 200);
}

#[tokio::test]
async fn an_account_that_exists_is_promoted_and_gets_the_password() {
    let auth = Auth::start().await;
    auth.register("root@example.org").await;
    auth.execute("update users set disabled = true").await;
    let password = "another horse battery";
    assert!(create_admin(&auth, Some(password)).stdout.is_empty());
    let login = auth
        .post(
            "/auth/login",
            &json!({"email": "root@example.org", "password": password}),
        )
        .await;
    assert_eq!(
        auth.get("/auth/users", Some(&login.text("access_token")))
            .await
            .status,
        200,
        "{login:?}"
    );
    let old = auth
        .post(
            "/auth/login",
            &json!({"email": "root@example.org", "password": PASSWORD}),
        )
        .await;
    old.is_problem(401, "invalid-credentials");
}
