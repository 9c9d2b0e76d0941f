//! How long the platform takes until everything is done that was there when a fault ended.

use std::time::{Duration, Instant};

use crate::books::topics;
use crate::error::Result;
use crate::platform::Stack;
use crate::postgres::connect;
use crate::service::Service;

const PAUSE: Duration = Duration::from_millis(100);

/// Waits until orders, outboxes, work and records of before this moment are done with. The load may go on. The error
/// says what is still there. An order whose charge the provider fails each time is not waited for.
///
/// # Errors
/// When something is left after `patience`.
pub async fn drained(stack: &Stack, patience: Duration) -> std::result::Result<Duration, String> {
    let begin = Instant::now();
    let before = match at_this_moment(stack).await {
        Ok(before) => before,
        Err(error) => return Err(crate::error::chain(&error)),
    };
    let mut ends = None;
    loop {
        let left = match left(stack, &before, &mut ends).await {
            Ok(None) => return Ok(begin.elapsed()),
            Ok(Some(left)) => left,
            Err(error) => crate::error::chain(&error),
        };
        if begin.elapsed() > patience {
            return Err(left);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn at_this_moment(stack: &Stack) -> Result<String> {
    let client = connect(&stack.admin_database_url(Service::Order)).await?;
    Ok(client.query_one("select now()::text", &[]).await?.try_get(0)?)
}

/// The first thing found that is not done yet.
async fn left(stack: &Stack, before: &str, ends: &mut Option<topics::Committed>) -> Result<Option<String>> {
    let older = format!("created_at < '{before}'");
    for service in Service::ALL {
        let client = connect(&stack.admin_database_url(service)).await?;
        for (what, rows) in [
            ("the outbox", "outbox where"),
            ("work", "work where state = 'pending' and"),
        ] {
            let sql = format!("select count(*) from {rows} {older}");
            let count: i64 = client.query_one(&sql, &[]).await?.try_get(0)?;
            if count > 0 {
                return Ok(Some(format!("{count} rows in {what} of {service}")));
            }
        }
        if service == Service::Order {
            // an order whose payment became a dead letter waits for its deadline
            let sql = format!(
                "select count(*) from orders
                 where status = 'pending' and payment_method <> 'pm_provider_error' and {older}"
            );
            let count: i64 = client.query_one(&sql, &[]).await?.try_get(0)?;
            if count > 0 {
                return Ok(Some(format!("{count} orders are pending")));
            }
        }
    }
    unread(stack.brokers(), ends).await
}

/// What consumers have not come to of that which was there when all of it had been published.
async fn unread(brokers: &str, ends: &mut Option<topics::Committed>) -> Result<Option<String>> {
    let layout = topics::layout(brokers).await?;
    let ends = match ends {
        Some(ends) => ends,
        none => none.insert(topics::ends(brokers, &layout).await?),
    };
    for (service, committed) in topics::all_committed(brokers, &layout).await? {
        for (place, end) in ends.iter().filter(|(_, end)| **end > 0) {
            let topic: Option<contracts::Topic> = place.0.parse().ok();
            let consumes = topic.is_some_and(|topic| ::books::consumers(topic).contains(&service.name()));
            if consumes && committed.get(place).is_none_or(|next| next < end) {
                return Ok(Some(format!(
                    "{service} has not read all of {}/{}",
                    place.0, place.1
                )));
            }
        }
    }
    Ok(None)
}
