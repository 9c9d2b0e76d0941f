//! What the books do not know of: promises to customers that left no row behind, and events and actions that were given
//! up though only the infrastructure was at fault.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use super::Placed;
use crate::error::{Error, Result};
use crate::platform::Stack;
use crate::postgres::connect;
use crate::service::Service;

/// What a service has given up. Nothing may become a dead letter but for a fault of its own, and the only one that the
/// load makes is a charge that the provider fails each time.
///
/// # Errors
/// When the dead letters cannot be read.
pub async fn wrongly_dead(stack: &Stack) -> Result<Vec<String>> {
    let mut dead = Vec::new();
    let sql = "select kind || ' ' || name, event_id::text, error_class, error_message from work
               where state = 'dead' and case when kind = 'action' and name = 'charge'
                   then convert_from(payload, 'UTF8')::jsonb->>'payment_method' end
                   is distinct from 'pm_provider_error'";
    for service in Service::ALL {
        let client = connect(&stack.admin_database_url(service)).await?;
        for row in client.query(sql, &[]).await? {
            let text = |column| {
                row.try_get::<_, Option<&str>>(column)
                    .map(Option::unwrap_or_default)
            };
            dead.push(format!(
                "{service} gave up {} {}: {}: {}",
                text(0)?,
                text(1)?,
                text(2)?,
                text(3)?
            ));
        }
    }
    Ok(dead)
}

impl Placed {
    /// Every promise that was not kept. It is for the load that placed all the orders of the platform.
    ///
    /// # Errors
    /// When the orders cannot be read.
    pub async fn broken_promises(&self, stack: &Stack) -> Result<Vec<String>> {
        let client = connect(stack.database_url(Service::Order)).await?;
        let mut orders = HashMap::new();
        for row in client.query("select id::text, status from orders", &[]).await? {
            let id: &str = row.try_get(0)?;
            let id: Uuid = id
                .parse()
                .map_err(|error| Error::Invalid(format!("an order is called {id}: {error}")))?;
            let status: String = row.try_get(1)?;
            orders.insert(id, status);
        }
        Ok(self.compare(&orders))
    }

    fn compare(&self, orders: &HashMap<Uuid, String>) -> Vec<String> {
        let known: HashSet<Uuid> = orders.keys().copied().collect();
        let lost = self.accepted.difference(&known);
        let mut broken: Vec<String> = lost
            .map(|id| format!("order {id} was accepted, and is not there"))
            .collect();
        if self.unanswered.is_empty() {
            // a key that was sent again must not have placed another one
            let untold = known.difference(&self.accepted);
            broken.extend(untold.map(|id| format!("order {id} is there, and no customer was told of it")));
        }
        for id in &self.cancelled {
            let status = orders.get(id).map(String::as_str);
            if status != Some("cancelled") {
                broken.push(format!("order {id} was taken back, and is {status:?}"));
            }
        }
        broken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_there_once_and_what_was_taken_back_is_cancelled() {
        let [kept, taken_back, lost, second] = [1, 2, 3, 4].map(Uuid::from_u128);
        let placed = Placed {
            accepted: [kept, taken_back, lost].into(),
            cancelled: [taken_back].into(),
            ..Placed::default()
        };
        let mut orders: HashMap<Uuid, String> = [kept, taken_back, second]
            .map(|id| (id, "confirmed".to_owned()))
            .into();
        assert_eq!(placed.compare(&orders).len(), 3);
        orders.insert(taken_back, "cancelled".to_owned());
        orders.insert(lost, "pending".to_owned());
        orders.remove(&second);
        assert_eq!(placed.compare(&orders), Vec::<String>::new());
    }
}
