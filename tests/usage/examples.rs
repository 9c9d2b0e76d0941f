//! The examples of the OpenAPI documents: what Swagger UI proposes can be sent as it stands. What has to be live (an id
//! in the path, a refresh token, an address that can be called without a network) is put in here, and nowhere else.

use std::collections::BTreeMap;
use std::time::Duration;

use acceptance::customer::{Customer, uuid};
use acceptance::{turn, until};
use reqwest::Method;
use serde_json::{Value, json};
use stack::{Service, Stack};

const PATIENCE: Duration = Duration::from_secs(60);

/// Where the operators' endpoints are that are used here. They are the same in every service.
const LETTERS: &str = "/payments/dead-letters";

/// The bodies that the documents of a running platform propose, by method and path, until they were sent.
struct Proposed(BTreeMap<(String, String), Value>);

impl Proposed {
    async fn by(stack: &Stack) -> Self {
        let mut proposed = BTreeMap::new();
        for service in Service::ALL {
            let url = format!("{}/openapi.json", stack.service_url(service));
            let document: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
            for (path, item) in document["paths"].as_object().unwrap() {
                for (method, operation) in item.as_object().unwrap() {
                    let body = &operation["requestBody"]["content"]["application/json"];
                    if !body.is_null() {
                        let place = (method.to_uppercase(), path.clone());
                        proposed.insert(place, example(&document, body).clone());
                    }
                }
            }
        }
        Self(proposed)
    }

    fn take(&mut self, method: &Method, path: &str) -> Value {
        let taken = self.0.remove(&(method.to_string(), path.to_owned()));
        taken.unwrap_or_else(|| panic!("no example of {method} {path}, or it was taken before"))
    }

    /// Sends an example to where it belongs, with an id in the path where the document has a parameter, and these
    /// members put in.
    async fn send(&mut self, as_whom: &Customer, method: Method, path: &str, id: &str, live: Value) -> Value {
        let mut body = self.take(&method, path);
        for (member, value) in live.as_object().unwrap() {
            assert!(body.get(member).is_some(), "{path} has no {member}");
            body[member] = value.clone();
        }
        let parameter = path.find('{').map(|at| &path[at..=path.find('}').unwrap()]);
        let target = parameter.map_or_else(|| path.to_owned(), |parameter| path.replace(parameter, id));
        let answer = as_whom.send(method.clone(), &target, Some(&body)).await;
        assert!(
            (200..300).contains(&answer.status),
            "{method} {path} {body}: {} {}",
            answer.status,
            answer.body
        );
        answer.body
    }
}

fn example<'a>(document: &'a Value, body: &'a Value) -> &'a Value {
    let schema = &body["schema"];
    let named = schema["$ref"]
        .as_str()
        .unwrap_or_default()
        .trim_start_matches('#');
    let places = [
        body.get("example"),
        schema.get("example"),
        document.pointer(&format!("{named}/example")),
    ];
    places.into_iter().flatten().next().unwrap_or(&Value::Null)
}

#[tokio::test]
async fn every_example_of_a_body_can_be_sent_as_it_stands() {
    let _turn = turn().await;
    let private = "QUADRILLE__WEBHOOKS__ALLOW_PRIVATE_ADDRESSES";
    let stack = Stack::builder().service_env(Service::Notification, private, "true");
    let stack = Box::pin(stack.build()).await.unwrap();
    let mut proposed = Proposed::by(&stack).await;
    // who runs this has no key of Stripe's to sign with
    proposed.take(&Method::POST, "/payments/webhooks/stripe");

    let admin = Customer::admin(&stack).await;
    let (ada, ada_id, refresh_token) = logged_in(&stack, &mut proposed).await;
    orders(&ada, &admin, &mut proposed).await;
    notifications(&ada, &mut proposed).await;
    dead_letters(&ada, &admin, &mut proposed).await;

    let (put, patch, post) = (Method::PUT, Method::PATCH, Method::POST);
    let none = json!({});
    proposed
        .send(&admin, put.clone(), "/payments/simulator", "", none.clone())
        .await;
    proposed.send(&ada, put, "/auth/password", "", none.clone()).await;
    proposed
        .send(&admin, patch, "/auth/users/{id}", &ada_id, none)
        .await;
    let live = json!({"refresh_token": refresh_token});
    proposed.send(&ada, post, "/auth/logout", "", live).await;
    assert!(proposed.0.is_empty(), "nobody has sent {:?}", proposed.0.keys());
}

/// Somebody who registered and logged in with the examples, the account's id, and the login's latest refresh token.
async fn logged_in(stack: &Stack, proposed: &mut Proposed) -> (Customer, String, String) {
    let (anybody, post) = (Customer::stranger(stack), Method::POST);
    let account = proposed
        .send(&anybody, post.clone(), "/auth/register", "", json!({}))
        .await;
    let login = proposed
        .send(&anybody, post.clone(), "/auth/login", "", json!({}))
        .await;
    let live = json!({"refresh_token": login["refresh_token"]});
    let login = proposed.send(&anybody, post, "/auth/refresh", "", live).await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let ada = anybody.with_token(&text(&login["access_token"]));
    (ada, text(&account["user_id"]), text(&login["refresh_token"]))
}

async fn orders(ada: &Customer, admin: &Customer, proposed: &mut Proposed) {
    let placed = proposed.send(ada, Method::POST, "/orders", "", json!({})).await;
    ada.sees(uuid(&placed["id"]), "confirmed").await;
    proposed
        .send(admin, Method::PUT, "/products/{sku}", "KEYBOARD-TKL", json!({}))
        .await;
}

async fn notifications(ada: &Customer, proposed: &mut Proposed) {
    let hooks = "/notifications/webhooks";
    proposed
        .send(ada, Method::PUT, "/notifications/preferences", "", json!({}))
        .await;
    let here = json!({"url": "https://localhost/hooks/quadrille"});
    let hook = proposed.send(ada, Method::POST, hooks, "", here).await;
    let id = hook["id"].as_str().unwrap();
    proposed
        .send(ada, Method::PATCH, &format!("{hooks}/{{id}}"), id, json!({}))
        .await;
}

/// What is proposed to the other services' operators has the form of what is sent to the payments, and is about a dead letter that
/// they may have; a bulk replay, which only counts as it is proposed, is sent to each.
async fn dead_letters(ada: &Customer, admin: &Customer, proposed: &mut Proposed) {
    let at = |path: &str| format!("{LETTERS}{path}");
    let operators: Vec<(String, String)> = proposed.0.keys().cloned().collect();
    for (method, path) in operators {
        if let Some((service, action)) = path.split_once("/dead-letters")
            && service != "/payments"
        {
            let payments = members(&proposed.0[&(method.clone(), at(action))]);
            assert_eq!(
                members(&proposed.0[&(method.clone(), path.clone())]),
                payments,
                "{path}"
            );
            if action == "/replay" {
                let dry = proposed.send(admin, Method::POST, &path, "", json!({})).await;
                assert_eq!(dry["state"], "dry_run", "{path}");
            } else {
                proposed.0.remove(&(method, path));
            }
        }
    }
    let [first, second, third] = three_letters(ada, admin).await;
    let (post, none) = (Method::POST, json!({}));
    for (path, letter) in [
        ("/{id}/replay", &first),
        ("/{id}/discard", &third),
        ("/{id}/restore", &third),
    ] {
        proposed
            .send(admin, post.clone(), &at(path), letter, none.clone())
            .await;
    }
    // the order and what it costs are the letter's, and no example can know them
    let letter = admin.get(&format!("{LETTERS}/{second}")).await.expect(200).body;
    let mut payload = letter["payload"].clone();
    payload["payment_method"] = json!("pm_card_visa");
    let live = json!({ "payload": payload });
    proposed
        .send(admin, post.clone(), &at("/{id}/edit-and-replay"), &second, live)
        .await;
    let mut many = proposed.0[&("POST".to_owned(), at("/replay"))].clone();
    let dry = proposed
        .send(admin, post.clone(), &at("/replay"), "", none.clone())
        .await;
    assert_eq!(dry["state"], "dry_run");
    many["dry_run"] = json!(false);
    let job = admin
        .send(post.clone(), &at("/replay"), Some(&many))
        .await
        .expect(202);
    let job = job.body["id"].as_str().unwrap();
    proposed
        .send(admin, post, &at("/jobs/{id}/stop"), job, none)
        .await;
}

/// The names of a body's members.
fn members(body: &Value) -> Vec<String> {
    body.as_object().unwrap().keys().cloned().collect()
}

/// Letters of three payments that were given up.
async fn three_letters(ada: &Customer, admin: &Customer) -> [String; 3] {
    for _ in 0..3 {
        ada.place("pm_provider_error").await;
    }
    until("three dead letters", PATIENCE, async || {
        let letters = admin.get(&format!("{LETTERS}?state=open")).await;
        let ids = letters
            .items()
            .iter()
            .map(|letter| letter["id"].as_str().unwrap().to_owned());
        ids.collect::<Vec<_>>().try_into().ok()
    })
    .await
}
