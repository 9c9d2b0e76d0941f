//! `throttle.*`

use anyhow::ensure;
use chrono::TimeDelta;
use ipnet::IpNet;
use serde::Deserialize;

use crate::domain::throttle::Policy;

/// The policy that counts an account's failures, by its name.
pub(crate) const LOGIN_ACCOUNT: &str = "login-account";
/// The policy that counts a client address's failures, by its name.
pub(crate) const LOGIN_ADDRESS: &str = "login-address";

/// What failed logins cost.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThrottleSettings {
    /// Failures of one account without any wait.
    pub account_free: u32,
    /// The first wait of an account, in milliseconds; each further failure doubles it.
    pub account_delay_ms: u32,
    /// The longest wait of an account, in seconds.
    pub account_delay_max_s: u32,
    /// Failures from one client address without any wait.
    pub address_free: u32,
    /// The first wait of an address, in milliseconds.
    pub address_delay_ms: u32,
    /// The longest wait of an address, in seconds.
    pub address_delay_max_s: u32,
    /// How long after the last one failures are forgotten, in seconds.
    pub forget_s: u32,
    /// Networks of those who may say on whose behalf they call.
    pub trusted_proxies: Vec<IpNet>,
}

impl ThrottleSettings {
    /// The policy of accounts.
    #[must_use]
    pub fn account(&self) -> Policy {
        Policy {
            name: LOGIN_ACCOUNT,
            free: self.account_free,
            delay: TimeDelta::milliseconds(self.account_delay_ms.into()),
            delay_max: TimeDelta::seconds(self.account_delay_max_s.into()),
            memory: TimeDelta::seconds(self.forget_s.into()),
        }
    }

    /// The policy of client addresses.
    #[must_use]
    pub fn address(&self) -> Policy {
        Policy {
            name: LOGIN_ADDRESS,
            free: self.address_free,
            delay: TimeDelta::milliseconds(self.address_delay_ms.into()),
            delay_max: TimeDelta::seconds(self.address_delay_max_s.into()),
            memory: TimeDelta::seconds(self.forget_s.into()),
        }
    }

    pub(super) fn validate(&self) -> anyhow::Result<()> {
        ensure!(
            self.account_delay_ms > 0 && self.address_delay_ms > 0,
            "throttle.account_delay_ms and throttle.address_delay_ms: must be at least 1"
        );
        ensure!(
            self.account_free > 0 && self.address_free > 0,
            "throttle.account_free and throttle.address_free: must be at least 1"
        );
        Ok(())
    }
}
