//! Whether every consumer has what it should have: asked of Kafka, and of the services themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ::books::consumers;
use rdkafka::admin::AdminClient;
use rdkafka::client::DefaultClientContext;
use serde_json::Value;

use super::customer::Customer;
use crate::books::topics::{self, Layout};
use crate::error::Result;
use crate::kafka::{blocking, client};
use crate::platform::Stack;
use crate::service::Service;

const PATIENCE: Duration = Duration::from_secs(5);

/// Partitions by topic.
type Partitions = BTreeMap<String, BTreeSet<i32>>;

/// Looks at the consumer groups of a platform whose services run in one process each.
#[derive(Debug)]
pub struct Groups {
    brokers: String,
    admin: Customer,
}

/// What Kafka says of one group.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Group {
    state: String,
    assigned: Partitions,
}

impl Groups {
    /// Logs the first admin in, whom the services tell what they have.
    ///
    /// # Errors
    /// When the login fails.
    pub async fn of(stack: &Stack) -> Result<Self> {
        let admin = stack.admin();
        Ok(Self {
            brokers: stack.brokers().to_owned(),
            admin: Customer::log_in_as(&stack.url(), &admin.email, &admin.password).await?,
        })
    }

    /// What is not as it should be, by service: a group that is not `Stable` or does not exist, partitions that no member
    /// has, and partitions that the service does not know to be its own. Empty when every consumer reads all that it
    /// should.
    ///
    /// # Errors
    /// When Kafka does not answer.
    pub async fn missing(&self) -> Result<BTreeMap<Service, String>> {
        let layout = topics::layout(&self.brokers).await?;
        let groups = groups(&self.brokers).await?;
        let mut missing = BTreeMap::new();
        for service in Service::ALL {
            let wanted = wanted(service, &layout);
            if wanted.is_empty() {
                continue;
            }
            let fault = match groups.get(service.name()).unwrap_or(&Group::default()) {
                group if group.state != "Stable" => Some(format!("its group is {:?}", group.state)),
                group if group.assigned != wanted => Some(format!(
                    "{} of {} partitions are assigned to nobody",
                    without(&wanted, &group.assigned),
                    count(&wanted)
                )),
                _ => self.unknown_to(service, &wanted).await,
            };
            if let Some(fault) = fault {
                missing.insert(service, fault);
            }
        }
        Ok(missing)
    }

    /// What the service itself misses.
    async fn unknown_to(&self, service: Service, wanted: &Partitions) -> Option<String> {
        let status = match self.admin.read(status_path(service)).await {
            Ok(status) => status,
            Err(error) => {
                return Some(format!(
                    "it does not tell its status: {}",
                    crate::error::chain(&error)
                ));
            }
        };
        let told = status.get("assigned_partitions").and_then(Value::as_object);
        let known: Partitions = told
            .into_iter()
            .flatten()
            .map(|(topic, partitions)| {
                let partitions = partitions.as_array().into_iter().flatten();
                let ids = partitions.filter_map(|id| i32::try_from(id.as_i64()?).ok());
                (topic.clone(), ids.collect())
            })
            .collect();
        let left = without(wanted, &known);
        (left > 0).then(|| format!("it does not have {left} of {} partitions", count(wanted)))
    }
}

fn status_path(service: Service) -> &'static str {
    match service {
        Service::Gateway => "/gateway/events/status",
        Service::Auth => "/auth/events/status",
        Service::Order => "/orders/events/status",
        Service::Payment => "/payments/events/status",
        Service::Notification => "/notifications/events/status",
    }
}

fn wanted(service: Service, layout: &Layout) -> Partitions {
    let mut wanted = Partitions::new();
    for (topic, partition) in layout {
        if consumers(*topic).contains(&service.name()) {
            wanted
                .entry(topic.name().to_owned())
                .or_default()
                .insert(*partition);
        }
    }
    wanted
}

fn count(partitions: &Partitions) -> usize {
    partitions.values().map(BTreeSet::len).sum()
}

/// How many of `wanted` are not in `had`.
fn without(wanted: &Partitions, had: &Partitions) -> usize {
    let left = wanted.iter().map(|(topic, ids)| match had.get(topic) {
        Some(had) => ids.difference(had).count(),
        None => ids.len(),
    });
    left.sum()
}

/// All consumer groups by name.
async fn groups(brokers: &str) -> Result<BTreeMap<String, Group>> {
    let admin: AdminClient<DefaultClientContext> = client(brokers).create()?;
    blocking(move || {
        let list = admin.inner().fetch_group_list(None, PATIENCE)?;
        let group = |info: &rdkafka::groups::GroupInfo| {
            let mut assigned = Partitions::new();
            for member in info.members() {
                for (topic, ids) in member.assignment().and_then(assignment).unwrap_or_default() {
                    assigned.entry(topic).or_default().extend(ids);
                }
            }
            let state = info.state().to_owned();
            (info.name().to_owned(), Group { state, assigned })
        };
        Ok(list.groups().iter().map(group).collect())
    })
    .await?
}

/// What a member was assigned, in the encoding of the consumer protocol: a version, and an array of topics with an array
/// of partitions each. None where it ends early.
fn assignment(bytes: &[u8]) -> Option<Partitions> {
    let mut bytes = Bytes(bytes);
    let _version = bytes.i16()?;
    let mut partitions = Partitions::new();
    for _topic in 0..bytes.i32()? {
        let length = usize::try_from(bytes.i16()?).ok()?;
        let topic = String::from_utf8(bytes.take(length)?.to_vec()).ok()?;
        let ids = (0..bytes.i32()?).map(|_| bytes.i32()).collect::<Option<_>>()?;
        partitions.insert(topic, ids);
    }
    Some(partitions)
}

struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn i16(&mut self) -> Option<i16> {
        Some(i16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    fn i32(&mut self) -> Option<i32> {
        Some(i32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_is_read_as_kafka_writes_it_and_a_broken_one_is_none() {
        let bytes =
            b"\0\x01\0\0\0\x02\0\x01a\0\0\0\x02\0\0\0\0\0\0\0\x05\0\x02bc\0\0\0\x01\0\0\0\x03\0\0\0\0";
        let read = assignment(bytes).unwrap();
        let expected = [("a", vec![0, 5]), ("bc", vec![3])];
        let expected = expected.map(|(topic, ids)| (topic.to_owned(), ids.into_iter().collect()));
        assert_eq!(read, Partitions::from(expected));
        assert_eq!(assignment(&bytes[..20]), None);
    }

    #[test]
    fn what_nobody_has_is_counted() {
        let of = |ids: &[i32]| Partitions::from([("a".to_owned(), ids.iter().copied().collect())]);
        assert_eq!(without(&of(&[0, 1, 2]), &of(&[1, 7])), 2);
        assert_eq!(without(&of(&[0, 1]), &Partitions::new()), 2);
        assert_eq!(without(&of(&[0, 1]), &of(&[0, 1])), 0);
    }
}
