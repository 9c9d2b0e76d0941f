//! A saga is one trace, and a collector gets it.

use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use acceptance::customer::Customer;
use acceptance::{PATIENCE, records, turn, until};
use actix_web::web::{Bytes, Data};
use actix_web::{App, HttpResponse, HttpServer, web};
use stack::{Service, Stack};

/// Exports as they came: protobuf, in which ids and names stand as they are.
type Exports = Arc<Mutex<Vec<Bytes>>>;

#[actix_web::test]
async fn a_collector_gets_the_spans_of_every_service_under_one_trace() {
    let _turn = turn().await;
    let exports = Exports::default();
    let stack = Stack::builder()
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector(exports.clone()))
        .env("OTEL_BSP_SCHEDULE_DELAY", "200");
    let stack = Box::pin(stack.build()).await.unwrap();
    let customer = Customer::register(&stack).await;
    let order = customer.place("pm_card_visa").await;
    customer.sees(order, "confirmed").await;

    let records = records::all(stack.brokers()).await;
    let created = records.iter().find(|record| record.key == Some(order)).unwrap();
    let trace = created.header("traceparent").split('-').nth(1).unwrap();
    let trace = u128::from_str_radix(trace, 16).unwrap().to_be_bytes();
    for service in [
        Service::Gateway,
        Service::Order,
        Service::Payment,
        Service::Notification,
    ] {
        until(&format!("spans of {service}"), PATIENCE, async || {
            let exports = exports.lock().unwrap();
            exports
                .iter()
                .any(|export| holds(export, &trace) && holds(export, service.name().as_bytes()))
                .then_some(())
        })
        .await;
    }
    // nobody's data travels along
    let exports = exports.lock().unwrap();
    assert!(!exports.iter().any(|export| holds(export, b"@quadrille.example")));
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// A collector that keeps what it gets; its URL.
fn collector(exports: Exports) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = HttpServer::new(move || {
        App::new()
            .app_data(Data::new(exports.clone()))
            .app_data(web::PayloadConfig::new(16 * 1024 * 1024))
            .route("/v1/traces", web::post().to(keep))
    });
    #[expect(
        clippy::disallowed_methods,
        reason = "the server ends with the test's runtime"
    )]
    actix_web::rt::spawn(
        server
            .workers(1)
            .disable_signals()
            .listen(listener)
            .unwrap()
            .run(),
    );
    url
}

async fn keep(exports: Data<Exports>, body: Bytes) -> HttpResponse {
    exports.lock().unwrap().push(body);
    HttpResponse::Ok().finish()
}
