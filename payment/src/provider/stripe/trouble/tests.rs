use hyper::body::Bytes;
use serde_json::{Value, json};

use super::*;

fn reply(status: u16, body: &str) -> Reply {
    Reply {
        status: StatusCode::from_u16(status).unwrap(),
        body: Bytes::from(body.to_owned()),
        request_id: "req_1".to_owned(),
        pause: std::time::Duration::ZERO,
    }
}

fn trouble(status: u16, error: &Value) -> Trouble {
    of(&reply(status, &json!({ "error": error }).to_string()))
}

fn setting(trouble: &Trouble) -> &str {
    let Trouble::Misconfigured { setting, .. } = trouble else {
        panic!("{trouble:?}");
    };
    setting
}

#[test]
fn a_refused_card_is_declined_with_its_code() {
    let error = json!({"type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds"});
    let declined = trouble(402, &error);
    assert!(matches!(&declined, Trouble::Declined(code) if code == "insufficient_funds"));
    for (error, expected) in [
        (
            json!({"code": "resource_missing", "param": "payment_method"}),
            "unknown_payment_method",
        ),
        (json!({"param": "payment_method"}), "invalid_payment_method"),
        (
            json!({"code": "amount_too_small", "param": "amount"}),
            "amount_too_small",
        ),
    ] {
        let declined = trouble(400, &error);
        assert!(
            matches!(&declined, Trouble::Declined(code) if code == expected),
            "{declined:?}"
        );
    }
}

#[test]
fn what_no_retry_heals_names_its_setting() {
    let shows_key = json!({"message": "Invalid API Key provided: sk_test_***1234"});
    let refused = trouble(401, &shows_key);
    assert_eq!(setting(&refused), "provider.stripe.secret_key");
    assert!(!refused.to_string().contains("1234"), "{refused}");
    assert_eq!(setting(&trouble(403, &json!({}))), "provider.stripe.secret_key");
    let foreign = json!({"code": "resource_missing", "param": "intent"});
    assert_eq!(setting(&trouble(404, &foreign)), "provider.stripe.secret_key");
    let version =
        json!({"type": "invalid_request_error", "message": "Invalid Stripe API version: 2099-01-01"});
    assert_eq!(setting(&trouble(400, &version)), "provider.stripe.api_version");
    assert_eq!(setting(&of(&reply(404, "<html>"))), "provider.stripe.base_url");
}

#[test]
fn what_may_have_been_done_is_unknown_and_a_kept_answer_is_told_apart() {
    for (status, error, is_kept) in [
        (500, json!({"type": "api_error"}), true),
        (503, json!({}), true),
        (409, json!({"code": "idempotency_key_in_use"}), false),
        (429, json!({"code": "lock_timeout"}), false),
        (400, json!({"type": "idempotency_error"}), true),
    ] {
        let unknown = trouble(status, &error);
        assert!(
            matches!(&unknown, Trouble::Unknown { kept, .. } if *kept == is_kept),
            "{status}: {unknown:?}"
        );
    }
    let bad_gateway = of(&reply(502, "<html>"));
    assert!(matches!(bad_gateway, Trouble::Unknown { kept: true, .. }));
    let limit = trouble(429, &json!({"code": "rate_limit"}));
    assert!(matches!(limit, Trouble::NotNow(_)));
    let state = trouble(400, &json!({"code": "payment_intent_unexpected_state"}));
    assert!(matches!(state, Trouble::State(_)));
    let refused = trouble(400, &json!({"code": "parameter_unknown"}));
    assert!(matches!(refused, Trouble::Refused(_)));
}
