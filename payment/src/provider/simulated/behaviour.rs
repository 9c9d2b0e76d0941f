//! How the simulated provider behaves: by the payment method, unless it is forced.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How payments are forced to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = SimulatorMode)]
pub enum Mode {
    /// Approved.
    Approve,
    /// Declined with `card_declined`.
    Decline,
    /// The provider fails.
    Error,
    /// The money is taken, but the answer never comes.
    Timeout,
}

impl Mode {
    /// Its name in rows.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Decline => "decline",
            Self::Error => "error",
            Self::Timeout => "timeout",
        }
    }

    /// The mode of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Approve, Self::Decline, Self::Error, Self::Timeout]
            .into_iter()
            .find(|mode| mode.as_str() == name)
    }
}

/// How the provider is forced to behave, whatever the payment method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// How the next payments end.
    pub mode: Mode,
    /// How many of them; none means all, until it is changed; 0 means that payments behave by their method.
    pub remaining: Option<u32>,
    /// How late the answer to a charge is, in milliseconds; it is asked for again at no such cost.
    pub latency_ms: u32,
}

impl Setting {
    /// What an audit tells of it.
    pub(super) fn audited(self) -> serde_json::Value {
        serde_json::json!({
            "mode": self.mode.as_str(),
            "remaining": self.remaining,
            "latency_ms": self.latency_ms,
        })
    }

    /// Forces nothing: payments behave by their method, without delay. In force until somebody says otherwise.
    pub const NOTHING: Self = Self {
        mode: Mode::Approve,
        remaining: Some(0),
        latency_ms: 0,
    };
}

/// A setting, told apart from those before and after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InForce {
    pub(super) setting: Setting,
    /// Grows with each change.
    pub(super) generation: i64,
}

/// The mode that a charge has used up, and the setting it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Forced {
    pub(super) mode: Mode,
    pub(super) generation: i64,
}

/// What one attempt does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behaviour {
    Approve,
    Decline(&'static str),
    /// Fails every time.
    Fail,
    /// Fails a few times, then approves.
    Flaky,
    Slow,
    Silent,
}

/// What one attempt does, and whether it uses up one of the payments to force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chosen {
    pub(super) behaviour: Behaviour,
    pub(super) uses_up: Option<Mode>,
}

/// A payment that was forced stays forced the same way at its retries, until the setting is changed.
pub(super) fn behaviour(now: &InForce, before: Option<Forced>, method: &str) -> Chosen {
    let before = before.filter(|before| before.generation == now.generation);
    let setting = now.setting;
    let (behaviour, uses_up) = match (before, setting.remaining) {
        (Some(before), _) => (forced(before.mode), None),
        (None, None) => (forced(setting.mode), None),
        (None, Some(0)) => (by_method(method), None),
        (None, Some(_)) => (forced(setting.mode), Some(setting.mode)),
    };
    Chosen { behaviour, uses_up }
}

fn forced(mode: Mode) -> Behaviour {
    match mode {
        Mode::Approve => Behaviour::Approve,
        Mode::Decline => Behaviour::Decline("card_declined"),
        Mode::Error => Behaviour::Fail,
        Mode::Timeout => Behaviour::Silent,
    }
}

fn by_method(method: &str) -> Behaviour {
    match method {
        "pm_card_visa" => Behaviour::Approve,
        "pm_card_declined" => Behaviour::Decline("card_declined"),
        "pm_card_insufficient_funds" => Behaviour::Decline("insufficient_funds"),
        "pm_provider_error" => Behaviour::Fail,
        "pm_provider_flaky" => Behaviour::Flaky,
        "pm_provider_slow" => Behaviour::Slow,
        _ => Behaviour::Decline("unknown_payment_method"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(mode: Mode, remaining: Option<u32>, generation: i64) -> InForce {
        let setting = Setting {
            mode,
            remaining,
            latency_ms: 0,
        };
        InForce { setting, generation }
    }

    fn by_itself(behaviour: Behaviour) -> Chosen {
        Chosen {
            behaviour,
            uses_up: None,
        }
    }

    #[test]
    fn nothing_left_to_force_means_the_method_decides() {
        let by = |method| behaviour(&setting(Mode::Error, Some(0), 1), None, method);
        for (method, expected) in [
            ("pm_card_visa", Behaviour::Approve),
            ("pm_card_declined", Behaviour::Decline("card_declined")),
            (
                "pm_card_insufficient_funds",
                Behaviour::Decline("insufficient_funds"),
            ),
            ("pm_provider_error", Behaviour::Fail),
            ("pm_provider_flaky", Behaviour::Flaky),
            ("pm_provider_slow", Behaviour::Slow),
            ("pm_nonsense", Behaviour::Decline("unknown_payment_method")),
        ] {
            assert_eq!(by(method), by_itself(expected), "{method}");
        }
    }

    #[test]
    fn forcing_goes_before_the_method() {
        let chosen = behaviour(&setting(Mode::Approve, None, 1), None, "pm_card_declined");
        assert_eq!(chosen, by_itself(Behaviour::Approve));
        let chosen = behaviour(&setting(Mode::Decline, Some(2), 1), None, "pm_card_visa");
        assert_eq!(chosen.behaviour, Behaviour::Decline("card_declined"));
        assert_eq!(chosen.uses_up, Some(Mode::Decline));
    }

    #[test]
    fn a_forced_payment_stays_forced_at_its_retries_until_the_setting_changes() {
        let before = Some(Forced {
            mode: Mode::Error,
            generation: 1,
        });
        for remaining in [Some(0), Some(7), None] {
            let retry = behaviour(&setting(Mode::Error, remaining, 1), before, "pm_card_visa");
            assert_eq!(retry, by_itself(Behaviour::Fail));
        }
        let later = behaviour(&setting(Mode::Timeout, Some(0), 2), before, "pm_card_visa");
        assert_eq!(later, by_itself(Behaviour::Approve));
    }
}
