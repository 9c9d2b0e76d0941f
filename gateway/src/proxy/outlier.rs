//! Whether an endpoint answers requests of one class of routes, but with errors that others may not have: 502, 503 or 504 so
//! many times in a row.
//!
//! Others are asked before it for a while. It never makes a service unavailable, as an open breaker does: a service that says
//! it has too much to do, or that its database is away, answers for itself, and knows first when that is over.

use std::time::Duration;

use actix_web::http::StatusCode;
use tokio::time::Instant;

/// What an endpoint answered lately.
#[derive(Debug)]
pub(super) struct Outlier {
    failures_max: u32,
    pause: Duration,
    failures: u32,
    until: Option<Instant>,
}

impl Outlier {
    pub(super) const fn new(failures_max: u32, pause: Duration) -> Self {
        Self {
            failures_max,
            pause,
            failures: 0,
            until: None,
        }
    }

    /// Whether others are to be asked first.
    pub(super) fn is_out(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// Counts an answer. Returns whether others are asked first from now on.
    pub(super) fn answered(&mut self, status: StatusCode, now: Instant) -> bool {
        if !matches!(
            status,
            StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT
        ) {
            self.failures = 0;
            self.until = None;
            return false;
        }
        self.failures = self.failures.saturating_add(1);
        if self.failures < self.failures_max {
            return false;
        }
        let was_out = self.is_out(now);
        self.until = Some(now + self.pause);
        !was_out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(5);

    #[test]
    fn errors_in_a_row_put_others_first_for_a_while() {
        let now = Instant::now();
        let mut outlier = Outlier::new(3, PAUSE);
        let told: Vec<_> = (0..4)
            .map(|_| outlier.answered(StatusCode::SERVICE_UNAVAILABLE, now))
            .collect();
        assert_eq!(told, [false, false, true, false]);
        assert!(outlier.is_out(now));
        assert!(!outlier.is_out(now + PAUSE));
        // the next error after the pause counts at once
        assert!(outlier.answered(StatusCode::BAD_GATEWAY, now + PAUSE));
    }

    #[test]
    fn any_other_answer_ends_it() {
        let now = Instant::now();
        let mut outlier = Outlier::new(2, PAUSE);
        for status in [
            StatusCode::OK,
            StatusCode::NOT_FOUND,
            StatusCode::INTERNAL_SERVER_ERROR,
        ] {
            outlier.answered(StatusCode::GATEWAY_TIMEOUT, now);
            assert!(!outlier.answered(status, now), "{status}");
        }
        outlier.answered(StatusCode::BAD_GATEWAY, now);
        assert!(outlier.answered(StatusCode::GATEWAY_TIMEOUT, now));
        outlier.answered(StatusCode::OK, now);
        assert!(!outlier.is_out(now));
    }
}
