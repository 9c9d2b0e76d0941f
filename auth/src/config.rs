//! The settings of the auth service, one file a section.

mod keys;
mod password;
mod session;
mod throttle;

use anyhow::ensure;
use chassis::settings::TokenSettings;
use messaging::MessagingSettings;
use serde::Deserialize;

pub use keys::KeySettings;
pub use password::PasswordSettings;
pub use session::SessionSettings;
pub use throttle::ThrottleSettings;
pub(crate) use throttle::{LOGIN_ACCOUNT, LOGIN_ADDRESS};

/// The service's own sections.
#[derive(Debug, Clone, Deserialize)]
pub struct AuthSettings {
    /// What passwords must be like, and how they are hashed.
    pub password: PasswordSettings,
    /// How long logins live.
    pub session: SessionSettings,
    /// How the keys that sign access tokens are sealed and follow each other.
    pub keys: KeySettings,
    /// What failed logins cost.
    pub throttle: ThrottleSettings,
    /// The messaging kernel's limits.
    #[serde(default)]
    pub messaging: MessagingSettings,
}

impl AuthSettings {
    /// Checks what the types do not say.
    pub(crate) fn validate(&self, token: &TokenSettings) -> anyhow::Result<()> {
        self.password.validate()?;
        self.throttle.validate()?;
        let (life, longest) = (self.session.access_ttl_s, token.lifetime_max_s);
        ensure!(
            life <= longest,
            "session.access_ttl_s: must not be over token.lifetime_max_s ({longest} s): nobody takes a token that lives longer"
        );
        let grace = self.session.retry_grace_s;
        ensure!(
            grace <= life,
            "session.retry_grace_s: must not be over session.access_ttl_s ({life} s): the access token of an answer that is \
             repeated would have expired"
        );
        let (lead, seen) = (self.keys.lead_s, self.keys.seen_after_s(token));
        ensure!(
            lead > seen,
            "keys.lead_s: must be over {seen} s: keys.jwks_max_age_s + token.jwks_refresh_s + \
             keys.reload_interval_s may pass before a new key is known everywhere"
        );
        Ok(())
    }
}
