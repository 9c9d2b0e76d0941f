//! The whole list against a platform of its own, with everything known that a case may need.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a panic in a test is its report"
)]

use attacks::{Arena, Insider, Stop, Target, cases, run};
use stack::platform::Builder;
use stack::{Service, Stack};

#[tokio::test]
async fn the_platform_withstands_every_attack() {
    let stack = Box::pin(builder().build()).await.expect("the platform starts");
    let own = |service| {
        stack
            .service_url(service)
            .trim_start_matches("http://")
            .to_owned()
    };
    let keys = stack.directory().join("keys.json");
    let insider = Insider::of(&keys, stack.database_url(Service::Auth))
        .await
        .expect("the signing key opens");
    let target = Target {
        gateway: own(Service::Gateway),
        tls: None,
        admin: Some((stack.admin().email.clone(), stack.admin().password.clone())),
        services: Service::ALL
            .map(|service| (service.name().to_owned(), own(service)))
            .to_vec(),
        insider: Some(insider),
    };
    let arena = Arena::prepare(target).await.unwrap_or_else(|stop| match stop {
        Stop::Failed(how) => panic!("{how}"),
        Stop::Skipped(why) => panic!("{why}"),
    });
    let report = run(&arena, "", &mut |line| println!("{line}")).await;
    assert!(
        report.skipped.is_empty() && report.failed.is_empty(),
        "everything a case may need is known: {report:#?}"
    );
    assert_eq!(report.passed, cases().len());
}

/// Limits that nobody meets who does not mean to: high, yet such that a request can be seen to count. An idle connection is
/// kept for a moment only: a case waits for its end.
fn builder() -> Builder {
    let limits = [
        "PER_ADDRESS_PER_MINUTE",
        "PER_USER_PER_MINUTE",
        "LOGIN_PER_MINUTE",
    ];
    let builder = Stack::builder().service_env(Service::Gateway, "QUADRILLE__HTTP__KEEP_ALIVE_S", "5");
    limits.into_iter().fold(builder, |builder, limit| {
        builder.service_env(
            Service::Gateway,
            format!("QUADRILLE__RATE_LIMIT__{limit}"),
            "1200",
        )
    })
}

#[test]
fn each_case_has_an_id_of_its_own_and_a_law() {
    let cases = cases();
    let mut ids: Vec<_> = cases.iter().map(|case| case.id).collect();
    ids.dedup();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), cases.len());
    assert!(ids.len() >= 60, "fewer cases than promised");
    assert!(cases.iter().all(|case| !case.law.is_empty()));
}
