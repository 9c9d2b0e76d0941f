//! The body of a stream, in the format of server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use actix_web::web::Bytes;
use futures::Stream;
use futures::stream::unfold;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use super::{Following, Seat, Streams};
use crate::store::facts::StoredFact;

/// When a stream ends.
pub(crate) enum Ending {
    /// With what is known already.
    Now,
    /// With the order's life, or with the token's.
    Later {
        /// What is to come.
        following: Following,
        /// How long the token holds.
        token_holds: Duration,
    },
}

/// The body: `known` facts first, then what follows.
pub(crate) fn body(
    streams: &Streams,
    seat: Seat,
    known: &[StoredFact],
    ending: Ending,
) -> impl Stream<Item = Result<Bytes, Infallible>> + use<> {
    let first = chassis::event_stream::retry() + &written(known);
    let live = match ending {
        Ending::Now => None,
        Ending::Later {
            following,
            token_holds,
        } => Some(Live::new(streams, following, token_holds)),
    };
    let state = State {
        first: Some(first),
        live,
        _seat: seat,
    };
    unfold(state, async |mut state| {
        let text = state.next().await?;
        Some((Ok(Bytes::from(text)), state))
    })
}

/// Whether the order's life is told with these.
pub(crate) fn is_told(facts: &[StoredFact]) -> bool {
    let last = facts.last().map(|fact| fact.topic.as_str());
    matches!(last, Some("order.confirmed" | "order.cancelled"))
}

fn written(facts: &[StoredFact]) -> String {
    facts
        .iter()
        .map(|fact| {
            format!(
                "event: {}\nid: {}\ndata: {}\n\n",
                fact.topic, fact.sequence, fact.data
            )
        })
        .collect()
}

struct State {
    first: Option<String>,
    live: Option<Live>,
    _seat: Seat,
}

struct Live {
    following: Following,
    heartbeat: Interval,
    token_ends: Instant,
    draining: CancellationToken,
}

impl State {
    async fn next(&mut self) -> Option<String> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        let (text, told) = self.live.as_mut()?.next().await?;
        if told {
            self.live = None;
        }
        Some(text)
    }
}

impl Live {
    fn new(streams: &Streams, following: Following, token_holds: Duration) -> Self {
        let every = streams.settings().heartbeat();
        let mut heartbeat = interval_at(Instant::now() + every, every);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            following,
            heartbeat,
            token_ends: Instant::now() + token_holds,
            draining: streams.shared.draining.clone(),
        }
    }

    /// What is to be written next, and whether it is the last.
    async fn next(&mut self) -> Option<(String, bool)> {
        tokio::select! {
            biased;
            () = self.draining.cancelled() => None,
            () = tokio::time::sleep_until(self.token_ends) => None,
            facts = self.following.facts.recv() => facts.map(|facts| (written(&facts), is_told(&facts))),
            // also how the connection of a client that is gone is found out
            _ = self.heartbeat.tick() => Some((": heartbeat\n\n".to_owned(), false)),
        }
    }
}
