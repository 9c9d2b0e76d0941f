use std::collections::BTreeSet;

use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::test::TestRequest;
use actix_web::{FromRequest, dev::Payload};
use garde::Validate;
use proptest::prelude::*;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{BodyLimit, Json, parse};
use crate::problem::{Code, FieldError, Problem};

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
struct Order {
    #[garde(length(min = 1, max = 2), dive)]
    items: Vec<Item>,
    #[garde(skip)]
    #[serde(default)]
    note: Option<String>,
    #[garde(skip)]
    #[serde(default)]
    urgency: Urgency,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Urgency {
    #[default]
    Low,
    High,
}

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
struct Item {
    #[garde(length(min = 1))]
    sku: String,
    #[garde(range(min = 1, max = 10))]
    quantity: i32,
}

async fn extract(request: TestRequest) -> Result<Order, Problem> {
    let (request, mut payload): (_, Payload) = request.app_data(BodyLimit(256)).to_http_parts();
    Json::<Order>::from_request(&request, &mut payload)
        .await
        .map(Json::into_inner)
}

async fn send(body: &str) -> Result<Order, Problem> {
    extract(
        TestRequest::post()
            .insert_header((CONTENT_TYPE, "application/json"))
            .set_payload(body.to_owned()),
    )
    .await
}

async fn refused(body: &str) -> (Code, Vec<FieldError>) {
    let problem = send(body).await.unwrap_err();
    (problem.code(), problem.errors().to_vec())
}

async fn refused_at(body: &str) -> (Code, String) {
    let (code, errors) = refused(body).await;
    assert_eq!(errors.len(), 1, "{errors:?}");
    (code, errors[0].pointer.clone())
}

#[actix_web::test]
async fn a_good_body_is_taken() {
    let order = send(r#"{"items": [{"sku": "tea", "quantity": 2}], "note": "hi"}"#)
        .await
        .unwrap();
    assert_eq!((order.items[0].sku.as_str(), order.items[0].quantity), ("tea", 2));
    assert_eq!(order.note.as_deref(), Some("hi"));
}

#[actix_web::test]
async fn text_that_no_database_keeps_is_refused_wherever_it_is() {
    for (body, pointer) in [
        (
            r#"{"items": [{"sku": "te\u0000a", "quantity": 2}]}"#,
            "/items/0/sku",
        ),
        (
            r#"{"items": [{"sku": "tea", "quantity": 2}], "note": "\u0000"}"#,
            "/note",
        ),
    ] {
        assert_eq!(refused_at(body).await, (Code::Validation, pointer.to_owned()));
    }
    let escaped = r#"{"items": [{"sku": "\\u0000", "quantity": 2}]}"#;
    assert_eq!(send(escaped).await.unwrap().items[0].sku, r"\u0000");
}

#[actix_web::test]
async fn what_is_not_json_is_400() {
    for body in [
        "",
        "{",
        "{]",
        "nonsense",
        r#"{"items": []} x"#,
        "\u{0}",
        &"[".repeat(200),
    ] {
        assert_eq!(refused(body).await.0, Code::MalformedJson, "{body}");
    }
}

#[actix_web::test]
async fn an_unknown_member_is_422_and_named() {
    let at = refused_at(r#"{"items": [{"sku": "tea", "quantity": 1, "price": 0}]}"#).await;
    assert_eq!(at, (Code::Validation, "/items/0/price".to_owned()));
    let at = refused_at(r#"{"total": 1, "items": []}"#).await;
    assert_eq!(at, (Code::Validation, "/total".to_owned()));
}

#[actix_web::test]
async fn a_wrong_type_is_422_with_its_pointer() {
    for quantity in ["1.5", "\"1\"", "2147483648", "null", "[]", "1e99"] {
        let at = refused_at(&format!(
            r#"{{"items": [{{"sku": "tea", "quantity": {quantity}}}]}}"#
        ))
        .await;
        assert_eq!(
            at,
            (Code::Validation, "/items/0/quantity".to_owned()),
            "{quantity}"
        );
    }
    assert_eq!(refused("[]").await.0, Code::Validation);
}

#[actix_web::test]
async fn an_array_does_not_pass_for_an_object() {
    assert_eq!(
        refused_at(r#"[[{"sku": "tea", "quantity": 1}], null]"#).await,
        (Code::Validation, String::new())
    );
}

#[actix_web::test]
async fn a_missing_or_repeated_member_is_422() {
    assert_eq!(refused("{}").await.0, Code::Validation);
    assert_eq!(refused(r#"{"items": [], "items": []}"#).await.0, Code::Validation);
}

/// What is missing is told at once, wherever it is, beside what does not fit.
#[actix_web::test]
async fn every_missing_member_is_listed_with_its_pointer() {
    let told = async |body: &str| {
        let (code, errors) = refused(body).await;
        assert_eq!(code, Code::Validation);
        let told = errors.into_iter().map(|error| (error.pointer, error.detail));
        told.collect::<Vec<_>>()
    };
    let missing = |pointer: &str| (pointer.to_owned(), "is missing".to_owned());
    assert_eq!(told("{}").await, [missing("/items")]);
    assert_eq!(
        told(r#"{"items": [{}, {"sku": "tea"}]}"#).await,
        [
            missing("/items/0/sku"),
            missing("/items/0/quantity"),
            missing("/items/1/quantity"),
        ]
    );
    let wrong = (
        "/items/0/quantity".to_owned(),
        "must be a whole number".to_owned(),
    );
    assert_eq!(
        told(r#"{"items": [{"quantity": "2"}, {"sku": "tea"}]}"#).await,
        [wrong, missing("/items/0/sku"), missing("/items/1/quantity")]
    );
    assert_eq!(
        told(r#"{"items": []}"#).await,
        [("/items".to_owned(), "must contain at least one item".to_owned())]
    );
}

/// A body that would have to be decoded is refused as that, and not as broken JSON.
#[actix_web::test]
async fn an_encoded_body_is_415() {
    for coding in ["gzip", "br", "deflate", "zstd", "identity, gzip", "GZIP"] {
        let request = TestRequest::post()
            .insert_header((CONTENT_TYPE, "application/json"))
            .insert_header(("content-encoding", coding))
            .set_payload(&b"\x1f\x8b\x08"[..]);
        let problem = extract(request).await.unwrap_err();
        assert_eq!(problem.code(), Code::UnsupportedMediaType, "{coding}");
        use actix_web::ResponseError;
        let response = problem.error_response();
        assert_eq!(response.headers().get("accept-encoding").unwrap(), "identity");
    }
    let plain = TestRequest::post()
        .insert_header((CONTENT_TYPE, "application/json"))
        .insert_header(("content-encoding", "identity"))
        .set_payload(r#"{"items": [{"sku": "tea", "quantity": 2}]}"#);
    assert!(extract(plain).await.is_ok());
}

#[actix_web::test]
async fn every_broken_rule_is_listed() {
    let (code, errors) = refused(r#"{"items": [{"sku": "", "quantity": 0}]}"#).await;
    let pointers: BTreeSet<_> = errors.iter().map(|error| error.pointer.as_str()).collect();
    assert_eq!(code, Code::Validation);
    assert_eq!(pointers, BTreeSet::from(["/items/0/sku", "/items/0/quantity"]));
}

#[actix_web::test]
async fn another_content_type_is_415() {
    for request in [
        TestRequest::post().set_payload("{}"),
        TestRequest::post()
            .insert_header((CONTENT_TYPE, "text/plain"))
            .set_payload("{}"),
        TestRequest::post()
            .insert_header((CONTENT_TYPE, "application/jsonx"))
            .set_payload("{}"),
    ] {
        assert_eq!(
            extract(request).await.unwrap_err().code(),
            Code::UnsupportedMediaType
        );
    }
}

#[actix_web::test]
async fn a_charset_is_no_reason_to_refuse() {
    let request = TestRequest::post()
        .insert_header((CONTENT_TYPE, "application/json; charset=utf-8"))
        .set_payload(r#"{"items": [{"sku": "tea", "quantity": 2}]}"#);
    assert!(extract(request).await.is_ok());
}

#[actix_web::test]
async fn a_body_over_the_limit_is_413() {
    let body = format!(r#"{{"note": "{}"}}"#, "x".repeat(256));
    assert_eq!(refused(&body).await.0, Code::PayloadTooLarge);
    let declared = TestRequest::post()
        .set_payload("{}")
        .insert_header((CONTENT_TYPE, "application/json"))
        .insert_header((CONTENT_LENGTH, "257"));
    assert_eq!(extract(declared).await.unwrap_err().code(), Code::PayloadTooLarge);
}

#[actix_web::test]
async fn a_name_that_is_no_string_is_told_with_its_place() {
    let order =
        |urgency: &str| format!(r#"{{"items": [{{"sku": "tea", "quantity": 2}}], "urgency": {urgency}}}"#);
    for urgency in ["null", "7", "[]", "true", "\"soon\""] {
        assert_eq!(
            refused_at(&order(urgency)).await,
            (Code::Validation, "/urgency".to_owned()),
            "{urgency}"
        );
    }
    assert!(matches!(
        send(&order("\"high\"")).await.unwrap().urgency,
        Urgency::High
    ));
}

#[actix_web::test]
async fn a_number_beyond_all_floats_is_told_as_that() {
    let (code, errors) = refused(r#"{"items": [{"sku": "tea", "quantity": 1e999}]}"#).await;
    assert_eq!(code, Code::Validation);
    assert_eq!(
        (errors[0].pointer.as_str(), errors[0].detail.as_str()),
        ("/items/0/quantity", "is out of range")
    );
}

#[actix_web::test]
async fn an_array_is_no_object_at_any_depth() {
    let (code, pointer) = refused_at(r#"{"items": [["tea", 1]]}"#).await;
    assert_eq!((code, pointer.as_str()), (Code::Validation, "/items/0"));
    assert_eq!(
        refused(r#"[[{"sku": "tea", "quantity": 1}]]"#).await.0,
        Code::Validation
    );
}

/// A good body, of which some bytes are others, or missing.
fn spoiled() -> impl Strategy<Value = Vec<u8>> {
    let good = br#"{"items": [{"sku": "te\u00e9", "quantity": 2}], "note": "hi", "urgency": "high"}"#;
    let change = (any::<prop::sample::Index>(), prop::option::of(any::<u8>()));
    prop::collection::vec(change, 1..6).prop_map(move |changes| {
        let mut body = good.to_vec();
        for (at, byte) in changes {
            let at = at.index(body.len());
            match byte {
                Some(byte) => body[at] = byte,
                None => body.truncate(at.max(1)),
            }
        }
        body
    })
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic_and_what_is_taken_keeps_the_rules(
        body in prop_oneof![prop::collection::vec(any::<u8>(), 0..100), spoiled()],
    ) {
        match parse::<Order>(&body) {
            Ok(order) => {
                prop_assert!((1..=2).contains(&order.items.len()));
                prop_assert!(order.items.iter().all(|item| !item.sku.is_empty() && (1..=10).contains(&item.quantity)));
                prop_assert!(std::str::from_utf8(&body).is_ok_and(|text| serde_json::from_str::<serde_json::Value>(text).is_ok()));
            }
            Err(problem) => prop_assert!(matches!(problem.code(), Code::MalformedJson | Code::Validation)),
        }
    }
}
