//! What `/health` must say before somebody is told that the platform is ready: the first order is not to wait for a
//! consumer that has no assignment yet.

use serde_json::Value;

/// The gateway's answer, which tells of all services.
pub fn of_platform(health: &Value) -> Result<(), String> {
    is_ok(health)?;
    let services = health.get("services").and_then(Value::as_object);
    for (name, service) in services.into_iter().flatten() {
        consumes(service).map_err(|reason| format!("{name}: {reason}"))?;
    }
    Ok(())
}

/// A service's answer about itself.
pub fn of_process(health: &Value) -> Result<(), String> {
    is_ok(health)?;
    consumes(health)
}

fn is_ok(health: &Value) -> Result<(), String> {
    match health.get("status").and_then(Value::as_str) {
        Some("ok") => Ok(()),
        Some(_) | None => Err(health.to_string()),
    }
}

/// One that consumes nothing has no consumer.
fn consumes(health: &Value) -> Result<(), String> {
    let Some(consumer) = health.get("consumer").filter(|consumer| !consumer.is_null()) else {
        return Ok(());
    };
    match consumer.get("state").and_then(Value::as_str) {
        Some("assigned" | "standby") => Ok(()),
        Some(_) | None => Err(format!("its consumer is not ready: {consumer}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn platform(state: &str) -> Value {
        let order = json!({"status": "ok", "consumer": {"status": "ok", "state": state}});
        json!({"status": "ok", "services": {"auth": {"status": "ok", "consumer": null}, "order": order}})
    }

    #[test]
    fn a_platform_whose_consumers_wait_is_not_ready_although_it_is_well() {
        assert_eq!(of_platform(&platform("assigned")), Ok(()));
        assert_eq!(of_platform(&platform("standby")), Ok(()));
        let waiting = of_platform(&platform("waiting")).unwrap_err();
        assert!(
            waiting.starts_with("order: its consumer is not ready"),
            "{waiting}"
        );
        assert!(of_process(&platform("waiting")["services"]["order"]).is_err());
        assert!(of_platform(&json!({"status": "degraded"})).is_err());
    }
}
