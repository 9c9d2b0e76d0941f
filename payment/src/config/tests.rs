use chassis::settings::Layers;

use super::*;

fn settings(with: &[(&str, &str)]) -> Settings {
    let variables = with.iter().map(|(key, value)| {
        let variable = format!("QUADRILLE__{}", key.replace('.', "__").to_ascii_uppercase());
        (variable, (*value).to_owned())
    });
    let layers = Layers::of::<crate::PaymentService>(None, variables).unwrap();
    layers.read().unwrap()
}

fn refusal(with: &[(&str, &str)]) -> String {
    let stripe = [
        ("provider.kind", "stripe"),
        ("provider.stripe.secret_key", "sk_test_1"),
    ];
    let with: Vec<_> = stripe.iter().chain(with).copied().collect();
    refused(&with)
}

fn refused(with: &[(&str, &str)]) -> String {
    let validated = settings(with).validate();
    validated.map_or_else(|error| format!("{error:#}"), |()| String::new())
}

#[test]
fn the_provider_is_waited_for_but_not_longer_than_the_kernel_waits() {
    for (key, most) in [
        ("provider.timeout_ms", 30_000),
        ("provider.books_timeout_ms", 7_500),
    ] {
        let with = |ms: u64| refused(&[(key, &ms.to_string())]);
        assert_eq!((with(1), with(most)), (String::new(), String::new()));
        assert!(with(0).contains(key) && with(most + 1).contains(key));
    }
}

#[test]
fn a_call_to_stripe_may_look_up_what_became_of_it() {
    let stripe = settings(&[]).provider.stripe;
    assert_eq!(stripe.patience(), Duration::from_secs(28));
    assert!(refusal(&[]).is_empty());
    let refused = refusal(&[("provider.stripe.timeout_ms", "7501")]);
    assert!(refused.contains("provider.stripe.timeout_ms"), "{refused}");
}

#[test]
fn a_refused_setting_is_named_and_a_secret_never_shown() {
    for (key, value) in [
        ("provider.stripe.secret_key", ""),
        ("provider.stripe.secret_key", "sk_test_1\n"),
        ("provider.stripe.base_url", "api.stripe.com"),
        ("provider.stripe.base_url", "http://api.stripe.com"),
        ("provider.stripe.base_url", "https://api.stripe.com/v1"),
        ("provider.stripe.api_version", ""),
        ("provider.stripe.connections_max", "0"),
        ("provider.stripe.webhook_tolerance_s", "0"),
    ] {
        let refused = refusal(&[(key, value)]);
        assert!(refused.contains(key), "{key}: {refused:?}");
        assert!(!refused.contains("sk_test"), "{refused}");
    }
    let plain = ("provider.stripe.base_url", "http://127.0.0.1:12111");
    assert!(refusal(&[plain]).is_empty());
    let live = ("provider.stripe.secret_key", "sk_live_1");
    assert!(refusal(&[plain, live]).contains("provider.stripe.base_url"));
    let shown = format!(
        "{:?}",
        settings(&[live, ("provider.stripe.webhook_secret", "whsec_1")])
    );
    assert!(!shown.contains("sk_live") && !shown.contains("whsec"), "{shown}");
}
