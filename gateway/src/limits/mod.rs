//! How often one address and one user may call.

mod store;

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use contracts::UserId;
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::{Quota, RateLimiter};

use crate::config::RateLimitSettings;
use crate::domain::client_address::{ClientAddress, Networks};
use store::BoundedStore;

/// Quotas are given per minute.
const WINDOW: Duration = Duration::from_secs(60);

type Limiter<K> = RateLimiter<K, BoundedStore<K>, DefaultClock, StateInformationMiddleware>;

/// Which limit a decision is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limit {
    /// All requests of one address.
    Address,
    /// All requests of one user.
    User,
    /// All requests of one admin.
    Admin,
    /// Attempts on passwords from one address.
    Login,
}

/// What is left of a quota after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The limit.
    pub limit: Limit,
    /// Requests a minute.
    pub quota: u32,
    /// Requests that would pass now.
    pub remaining: u32,
    /// After a request that passed: until the whole quota is back. After one that did not: until one passes.
    pub wait: Duration,
}

/// All limiters of the process, shared by its workers.
#[derive(Debug)]
pub struct Limits {
    address: Limiter<ClientAddress>,
    login: Limiter<ClientAddress>,
    user: Limiter<UserId>,
    admin: Limiter<UserId>,
    exempt: Networks,
}

impl Limit {
    /// Every limit.
    pub const ALL: [Self; 4] = [Self::Address, Self::User, Self::Admin, Self::Login];

    /// The limit's name in headers and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::User => "user",
            Self::Admin => "admin",
            Self::Login => "login",
        }
    }
}

impl Standing {
    /// The tighter of two standings.
    #[must_use]
    pub fn tighter(self, other: Self) -> Self {
        if other.remaining < self.remaining {
            other
        } else {
            self
        }
    }

    /// Value of the `RateLimit-Policy` header (draft-ietf-httpapi-ratelimit-headers-11).
    #[must_use]
    pub fn policy(&self) -> String {
        format!(
            "\"{}\";q={};w={}",
            self.limit.name(),
            self.quota,
            WINDOW.as_secs()
        )
    }

    /// Value of the `RateLimit` header (draft-ietf-httpapi-ratelimit-headers-11).
    #[must_use]
    pub fn state(&self) -> String {
        format!(
            "\"{}\";r={};t={}",
            self.limit.name(),
            self.remaining,
            self.wait_s()
        )
    }

    /// [`Self::wait`] in whole seconds, rounded up: whoever waits so long is not turned away again.
    #[must_use]
    pub fn wait_s(&self) -> u64 {
        self.wait.as_secs() + u64::from(self.wait.subsec_nanos() > 0)
    }
}

impl Limits {
    /// Limiters as configured, each with room for the same number of keys.
    #[must_use]
    pub fn new(settings: &RateLimitSettings) -> Self {
        let keys_max = settings.max_keys.get();
        Self {
            address: limiter(settings.per_address_per_minute, keys_max),
            login: limiter(settings.login_per_minute, keys_max),
            user: limiter(settings.per_user_per_minute, keys_max),
            admin: limiter(
                settings
                    .per_admin_per_minute
                    .unwrap_or(settings.per_user_per_minute),
                keys_max,
            ),
            exempt: settings.exempt_networks.clone(),
        }
    }

    /// Whether an address is not counted: an operator's own load driver, or a probe.
    #[must_use]
    pub fn exempts(&self, address: IpAddr) -> bool {
        self.exempt.contain(address)
    }

    /// Counts a request of an address.
    ///
    /// # Errors
    /// The standing of an address that must wait.
    pub fn address(&self, address: ClientAddress) -> Result<Standing, Standing> {
        check(&self.address, Limit::Address, &address)
    }

    /// Counts an attempt on a password from an address.
    ///
    /// # Errors
    /// The standing of an address that must wait.
    pub fn login(&self, address: ClientAddress) -> Result<Standing, Standing> {
        check(&self.login, Limit::Login, &address)
    }

    /// Counts a request of a user.
    ///
    /// # Errors
    /// The standing of a user who must wait.
    pub fn user(&self, user: UserId) -> Result<Standing, Standing> {
        check(&self.user, Limit::User, &user)
    }

    /// Counts a request of an admin.
    ///
    /// # Errors
    /// The standing of an admin who must wait.
    pub fn admin(&self, user: UserId) -> Result<Standing, Standing> {
        check(&self.admin, Limit::Admin, &user)
    }

    /// Forgets everybody whose quota is whole again.
    pub fn forget_the_idle(&self) {
        self.address.retain_recent();
        self.login.retain_recent();
        self.user.retain_recent();
        self.admin.retain_recent();
    }
}

fn limiter<K: std::hash::Hash + Eq + Clone>(per_minute: NonZeroU32, keys_max: usize) -> Limiter<K> {
    RateLimiter::new(
        Quota::per_minute(per_minute),
        BoundedStore::new(keys_max),
        DefaultClock::default(),
    )
}

fn check<K: std::hash::Hash + Eq + Clone>(
    limiter: &Limiter<K>,
    limit: Limit,
    key: &K,
) -> Result<Standing, Standing> {
    match limiter.check_key(key) {
        Ok(snapshot) => {
            let quota = snapshot.quota();
            let remaining = snapshot.remaining_burst_capacity();
            let spent = quota.burst_size().get().saturating_sub(remaining);
            let wait = quota.replenish_interval() * spent;
            Ok(Standing {
                limit,
                quota: quota.burst_size().get(),
                remaining,
                wait,
            })
        }
        Err(denied) => {
            let quota = denied.quota().burst_size().get();
            let wait = denied.wait_time_from(limiter.clock().now());
            Err(Standing {
                limit,
                quota,
                remaining: 0,
                wait,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(per_minute: u32) -> Limits {
        let quota = NonZeroU32::new(per_minute).unwrap();
        Limits::new(&RateLimitSettings {
            per_address_per_minute: quota,
            per_user_per_minute: quota,
            per_admin_per_minute: None,
            login_per_minute: quota,
            max_keys: 100.try_into().unwrap(),
            clean_s: 5.try_into().unwrap(),
            exempt_networks: Networks::default(),
        })
    }

    #[test]
    fn the_standing_counts_down_and_says_how_long_to_wait() {
        let limits = limits(3);
        let address = ClientAddress::V4([192, 0, 2, 1]);
        let left: Vec<_> = (0..3)
            .map(|_| limits.address(address).unwrap().remaining)
            .collect();
        assert_eq!(left, [2, 1, 0]);
        let denied = limits.address(address).unwrap_err();
        assert_eq!(denied.policy(), r#""address";q=3;w=60"#);
        assert!((19..=20).contains(&denied.wait_s()), "{denied:?}");
        assert_eq!(denied.state(), format!(r#""address";r=0;t={}"#, denied.wait_s()));
    }

    #[test]
    fn limits_do_not_count_for_each_other() {
        let limits = limits(1);
        let address = ClientAddress::V4([192, 0, 2, 1]);
        assert!(limits.address(address).is_ok());
        assert!(limits.login(address).is_ok());
        assert!(limits.user(UserId::new(uuid::Uuid::nil())).is_ok());
        assert!(limits.address(ClientAddress::V4([192, 0, 2, 2])).is_ok());
        assert!(limits.address(address).is_err());
    }
}
