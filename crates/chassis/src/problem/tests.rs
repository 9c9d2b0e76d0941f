use std::collections::HashSet;

use actix_web::ResponseError;
use actix_web::body::to_bytes;
use actix_web::http::header;
use serde_json::{Value, json};

use super::{Code, Problem};

async fn rendered(problem: &Problem) -> (u16, Value) {
    let response = problem.error_response();
    assert_eq!(
        response.headers().get(header::CONTENT_TYPE).unwrap(),
        "application/problem+json"
    );
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body()).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

#[actix_web::test]
async fn a_validation_problem_points_at_what_is_wrong() {
    let problem = Problem::invalid("/items/0/quantity", "must be at least 1").error("/sku", "is unknown");
    let (status, body) = rendered(&problem).await;
    assert_eq!(status, 422);
    assert_eq!(
        body,
        json!({
            "type": "https://quadrille.dev/problems/validation",
            "title": "The body is not valid",
            "status": 422,
            "errors": [
                {"pointer": "/items/0/quantity", "detail": "must be at least 1"},
                {"pointer": "/sku", "detail": "is unknown"},
            ],
        })
    );
}

#[actix_web::test]
async fn a_server_error_does_not_show_its_cause() {
    let problem = Problem::internal(anyhow::anyhow!("relation \"users\" does not exist"));
    let (status, body) = rendered(&problem).await;
    assert_eq!(status, 500);
    assert!(!body.to_string().contains("users"), "{body}");
}

#[test]
fn written_down_it_says_its_cause_and_shows_no_backtrace() {
    let problem = Problem::unavailable(anyhow::anyhow!("no slot").context("no connection"));
    assert!(problem.source.is_some());
    let written = format!("{problem:?}");
    assert!(written.contains("no connection: no slot"), "{written}");
    assert!(
        !written.contains("backtrace") && !written.contains('\n'),
        "{written}"
    );
}

#[actix_web::test]
async fn an_unavailable_part_says_when_to_come_back() {
    let problem = Problem::unavailable(anyhow::anyhow!("down"));
    assert_eq!(
        problem
            .error_response()
            .headers()
            .get(header::RETRY_AFTER)
            .unwrap(),
        "1"
    );
}

#[test]
fn codes_are_kebab_case_and_unique() {
    let codes: HashSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(codes.len(), Code::ALL.len());
    assert!(
        codes
            .iter()
            .all(|code| code.chars().all(|c| c.is_ascii_lowercase() || c == '-'))
    );
    assert!(Code::ALL.iter().all(|code| code.status().as_u16() >= 400));
}

#[test]
fn a_database_that_goes_away_is_no_fault_of_ours() {
    use diesel::result::{DatabaseErrorKind as Kind, Error};
    let of = |kind, message: &str| {
        let error = Error::DatabaseError(kind, Box::new(message.to_owned()));
        Problem::from(error).code()
    };
    for (kind, message) in [
        (Kind::UnableToSendCommand, "connection closed"),
        (
            Kind::SerializationFailure,
            "aggregate 1 was changed by somebody else",
        ),
        (
            Kind::Unknown,
            "[57P01] terminating connection due to administrator command",
        ),
        (
            Kind::Unknown,
            "[57014] storniere Anfrage wegen Zeitüberschreitung der Anfrage",
        ),
    ] {
        assert_eq!(of(kind, message), Code::Unavailable, "{message}");
    }
    assert_eq!(of(Kind::Unknown, "[22012] division by zero"), Code::Internal);
    assert_eq!(of(Kind::CheckViolation, "orders_check"), Code::Internal);
    assert_eq!(Problem::from(Error::NotFound).code(), Code::Internal);
}

#[test]
fn the_path_of_each_type_is_an_anchor_of_the_catalogue() {
    let page = super::catalogue();
    for code in Code::ALL {
        let uri = code.type_uri();
        let path = uri.strip_prefix("https://quadrille.dev/").unwrap();
        assert_eq!(
            page.matches(&format!("<a id=\"{path}\"></a>")).count(),
            1,
            "{path}"
        );
        assert!(
            page.contains(&format!("(#{path}) | {}", code.status().as_u16())),
            "{path}"
        );
        for text in [code.meaning(), code.advice()] {
            assert!(text.len() > 10 && text.ends_with('.'), "{path}: {text:?}");
            assert!(page.contains(text), "{path}: {text:?}");
        }
    }
}
