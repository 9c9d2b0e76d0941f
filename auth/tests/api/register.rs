use serde_json::{Value, json};

use crate::harness::{Auth, PASSWORD};

#[tokio::test]
async fn a_customer_registers_and_it_is_announced() {
    let auth = Auth::start().await;
    let body = json!({"email": "Ada@Example.org", "password": PASSWORD, "display_name": "Ada"});
    let answer = auth.post("/auth/register", &body).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let user_id = answer.text("user_id");
    assert_eq!(
        answer.body,
        json!({"user_id": user_id, "email": "ada@example.org", "role": "customer"})
    );
    let announced = auth.announced("user.registered").await;
    assert_eq!(
        announced,
        [json!({"user_id": user_id, "email": "ada@example.org", "display_name": "Ada"})]
    );
}

#[tokio::test]
async fn an_address_is_taken_once_however_it_is_written() {
    let auth = Auth::start().await;
    assert_eq!(auth.register("ada@example.org").await.status, 201);
    for twin in [
        "ADA@example.ORG",
        "\u{ff41}da@example.org",
        "ada\u{ff20}example.org",
        "\u{1d41a}da@example.org",
    ] {
        auth.register(twin).await.is_problem(409, "email-taken");
    }
    assert_eq!(auth.announced("user.registered").await.len(), 1);
}

#[tokio::test]
async fn of_parallel_registrations_one_wins() {
    let auth = Auth::start().await;
    let answers = futures::future::join_all((0..8).map(|_| auth.register("ada@example.org"))).await;
    // whoever asks again is told the same each time
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status == 409).collect();
    let told = |answer: &crate::harness::Answer| {
        let mut body = answer.body.clone();
        body.as_object_mut().unwrap().remove("trace_id");
        body
    };
    assert!(
        refused.iter().all(|answer| told(answer) == told(refused[0])),
        "{refused:?}"
    );
    let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409, 409, 409, 409, 409]);
    assert_eq!(auth.announced("user.registered").await.len(), 1);
}

#[tokio::test]
async fn what_is_wrong_is_pointed_at_and_nothing_is_stored() {
    let auth = Auth::start().await;
    let good = || json!({"email": "ada@example.org", "password": PASSWORD});
    let with = |member: &str, value: Value| {
        let mut body = good();
        body[member] = value;
        body
    };
    for (body, pointer) in [
        (with("email", json!("ada")), "/email"),
        (with("email", json!("àda@example.org")), "/email"),
        (with("email", json!(7)), "/email"),
        (with("password", json!("elevenchars")), "/password"),
        (with("password", json!("x".repeat(129))), "/password"),
        (with("display_name", json!("")), "/display_name"),
        (with("display_name", json!("x".repeat(101))), "/display_name"),
        (with("display_name", json!("a\u{0}b")), "/display_name"),
        (with("display_name", json!("nimda\u{202e}")), "/display_name"),
        (with("role", json!("admin")), "/role"),
        (with("user_id", json!("x")), "/user_id"),
    ] {
        auth.post("/auth/register", &body).await.points_at(pointer);
    }
    auth.post("/auth/register", &json!({"email": "ada@example.org"}))
        .await
        .is_problem(422, "validation");
    assert_eq!(auth.count("select count(*) from users").await, 0);
    assert!(auth.announced("user.registered").await.is_empty());
}

#[tokio::test]
async fn what_is_no_json_is_refused() {
    let auth = Auth::start().await;
    let send = |content_type: &'static str, body: String| auth.post_raw("/auth/register", content_type, body);
    send("application/json", "{".to_owned())
        .await
        .is_problem(400, "malformed-json");
    send("text/plain", "{}".to_owned())
        .await
        .is_problem(415, "unsupported-media-type");
    let long = json!({"email": "ada@example.org", "password": "x".repeat(300_000)}).to_string();
    send("application/json", long)
        .await
        .is_problem(413, "payload-too-large");
}

#[tokio::test]
async fn the_password_is_stored_as_argon2id_alone() {
    let auth = Auth::start().await;
    auth.register("ada@example.org").await;
    let hashed = "select count(*) from users where password_hash like '$argon2id$v=19$m=19456,t=2,p=1$%'";
    assert_eq!(auth.count(hashed).await, 1);
}
