//! The management port: `/livez`, `/readyz`, `/metrics`. Never routed from outside.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpResponse, HttpServer, web};

use crate::head;
use crate::health::Health;
use crate::metrics::Metrics;
use crate::problem::Problem;
use crate::server::not_found;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Starts the management server on a listener of its own.
pub(crate) fn serve(listener: TcpListener, health: &Health, metrics: &Metrics) -> std::io::Result<Server> {
    let health = web::Data::new(health.clone());
    let metrics = web::Data::new(metrics.clone());
    let server = HttpServer::new(move || {
        App::new()
            .app_data(health.clone())
            .app_data(metrics.clone())
            .route("/livez", web::get().to(livez))
            .route("/readyz", web::get().to(readyz))
            .route("/metrics", web::get().to(encoded))
            .default_service(web::to(not_found))
            .wrap(from_fn(head::as_get))
    });
    Ok(server
        .workers(1)
        .disable_signals()
        .shutdown_timeout(1)
        .listen(listener)?
        .run())
}

async fn livez() -> HttpResponse {
    HttpResponse::Ok().body("ok")
}

async fn readyz(health: web::Data<Health>) -> HttpResponse {
    if health.is_ready().await {
        HttpResponse::Ok().body("ready")
    } else {
        HttpResponse::ServiceUnavailable().body("not ready")
    }
}

async fn encoded(metrics: web::Data<Metrics>) -> Result<HttpResponse, Problem> {
    let text = metrics.encode().map_err(Problem::internal)?;
    Ok(HttpResponse::Ok().content_type(OPENMETRICS).body(text))
}

/// Asks a process on this machine whether it is ready: what `healthcheck` does.
pub(crate) async fn ask_ready(socket: SocketAddr) -> anyhow::Result<()> {
    let host = if socket.ip().is_unspecified() {
        "127.0.0.1".to_owned()
    } else {
        socket.ip().to_string()
    };
    let url = format!("http://{host}:{}/readyz", socket.port());
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(3))
        .no_proxy()
        .build()?;
    client.get(url).send().await?.error_for_status()?;
    Ok(())
}
