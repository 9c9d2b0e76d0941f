//! What must be there so that a request about it can succeed.

use acceptance::customer::{Customer, an_order, uuid};
use acceptance::{PATIENCE, until};
use reqwest::Method;
use serde_json::{Map, Value, json};
use stack::Stack;
use uuid::Uuid;

/// Things by the operations that are about them: `METHOD /path`, or the beginning of a path; each with the path's
/// parameters. What an operation uses up is nobody else's.
pub(crate) struct Things {
    pub(crate) known: Map<String, Value>,
    /// E-mail address and password of somebody whose logins may end.
    pub(crate) guest: Value,
}

impl Things {
    /// Makes them.
    pub(crate) async fn make(stack: &Stack) -> Self {
        let admin = Customer::admin(stack).await;
        let (guest, _) = account(stack).await;
        let (_, changed) = account(stack).await;
        let mut things = Self {
            known: Map::new(),
            guest,
        };
        things.knows("/auth/users/{id}", changed);
        things.known.insert(
            "PUT /products/{sku}".to_owned(),
            json!({"sku": format!("CONTRACT-{}", Uuid::new_v4().simple())}),
        );
        things.order(&admin).await;
        things.dead_letters(&admin).await;
        things.webhooks(&admin).await;
        things
    }

    fn knows(&mut self, operation: &str, id: Uuid) {
        self.known.insert(operation.to_owned(), json!({"id": id}));
    }

    async fn order(&mut self, admin: &Customer) {
        let order = admin.place("pm_card_visa").await;
        admin.sees(order, "confirmed").await;
        let payment = admin.pays(order, "completed").await;
        let path = format!("/notifications?order_id={order}");
        let notification = until("a notification", PATIENCE, async || {
            admin.get(&path).await.items().first().cloned()
        })
        .await;
        // the gateway has heard of it, too
        let types = ["order.created", "payment.completed", "order.confirmed"];
        admin.reads_timeline(order, &types).await;
        self.knows("/orders/{id}", order);
        self.knows("/payments/{id}", uuid(&payment["id"]));
        self.knows("/notifications/{id}", uuid(&notification["id"]));
        let mut cancelled = admin
            .send(Method::POST, "/orders", Some(&an_order("pm_card_visa")))
            .await;
        cancelled = cancelled.expect(202);
        self.knows("POST /orders/{id}/cancel", cancelled.id());
    }

    async fn dead_letters(&mut self, admin: &Customer) {
        let beneath = |rest: &str| format!("/payments/dead-letters/{{id}}{rest}");
        for operation in [
            beneath(""),
            format!("POST {}", beneath("/replay")),
            format!("POST {}", beneath("/edit-and-replay")),
        ] {
            let order = admin.place("pm_provider_error").await;
            let path = format!("/payments/dead-letters?key={order}");
            let letter = until("a dead letter", PATIENCE, async || {
                admin.get(&path).await.items().first().cloned()
            })
            .await;
            self.knows(&operation, uuid(&letter["id"]));
        }
        let replay = json!({"filter": {"key": "nobody's"}, "reason": "there is nothing to replay"});
        for service in ["auth", "orders", "payments", "notifications", "gateway"] {
            let path = format!("/{service}/dead-letters/replay");
            let job = admin.send(Method::POST, &path, Some(&replay)).await.expect(202);
            self.knows(&format!("/{service}/dead-letters/jobs/{{id}}"), job.id());
        }
    }

    async fn webhooks(&mut self, admin: &Customer) {
        let hook = json!({"url": "https://127.0.0.1:9/hooks"});
        let one = async || {
            let made = admin
                .send(Method::POST, "/notifications/webhooks", Some(&hook))
                .await;
            made.expect(201).id()
        };
        let (kept, deleted) = (one().await, one().await);
        let path = format!("/notifications/webhooks/{kept}");
        let test = admin.send(Method::POST, &format!("{path}/test"), None).await;
        test.expect(202);
        let deliveries = admin.get(&format!("{path}/deliveries")).await;
        let delivery = uuid(&deliveries.items().first().expect("the test's")["id"]);
        self.knows("/notifications/webhooks/{id}", kept);
        self.knows("DELETE /notifications/webhooks/{id}", deleted);
        self.known.insert(
            "/notifications/webhooks/{id}/deliveries/{delivery}".to_owned(),
            json!({"id": kept, "delivery": delivery}),
        );
    }
}

/// Somebody new: how to log in, and the account's id.
async fn account(stack: &Stack) -> (Value, Uuid) {
    let email = format!("{}@quadrille.example", Uuid::new_v4().simple());
    let account = json!({"email": email, "password": "an oak, a birch, a yew"});
    let registered = Customer::stranger(stack)
        .send(Method::POST, "/auth/register", Some(&account))
        .await;
    (account, uuid(&registered.expect(201).body["user_id"]))
}
