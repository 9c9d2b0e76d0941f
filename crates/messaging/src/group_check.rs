//! Which partitions the members of a consumer group have between them, as its broker tells. A group can be stable and have
//! left some to nobody: librdkafka's cooperative assignor does so after a member has vanished in the midst of a rebalance, and
//! nothing ever takes them up, since no member misses them.

use std::collections::{BTreeMap, BTreeSet};

use rdkafka::groups::GroupInfo;

/// The state in which a group has settled who has what.
const STABLE: &str = "Stable";

/// Partitions by topic.
type Partitions = BTreeMap<String, BTreeSet<i32>>;

/// A partition of `topics` (each with the number of its partitions) that no member has. None while the group is not
/// settled, or when what it says cannot be read.
pub(crate) fn nobodys(group: &GroupInfo, topics: &BTreeMap<String, usize>) -> Option<String> {
    if group.state() != STABLE {
        return None;
    }
    let mut had = Partitions::new();
    for member in group.members() {
        for (topic, partitions) in assignment(member.assignment().unwrap_or_default())? {
            had.entry(topic).or_default().extend(partitions);
        }
    }
    first_of_nobody(topics, &had)
}

fn first_of_nobody(topics: &BTreeMap<String, usize>, had: &Partitions) -> Option<String> {
    let missing = |(topic, count): (&String, &usize)| {
        let of_topic = had.get(topic);
        let mut all = 0..i32::try_from(*count).unwrap_or(i32::MAX);
        let nobodys = all.find(|partition| !of_topic.is_some_and(|had| had.contains(partition)))?;
        Some(format!("{topic}/{nobodys}"))
    };
    topics.iter().find_map(missing)
}

/// Reads what a member has, in the encoding of Kafka's consumer protocol: a version, then the topics, each with its
/// partitions; what follows is the assignor's own. Nothing at all is a member that has nothing. None when it is cut off.
fn assignment(bytes: &[u8]) -> Option<Partitions> {
    let mut rest = bytes;
    let mut assigned = Partitions::new();
    if rest.is_empty() {
        return Some(assigned);
    }
    let _version: [u8; 2] = take(&mut rest)?;
    for _ in 0..number(&mut rest)? {
        let length = usize::from(u16::from_be_bytes(take(&mut rest)?));
        let (name, after) = rest.split_at_checked(length)?;
        rest = after;
        let of_topic = assigned.entry(std::str::from_utf8(name).ok()?.to_owned());
        let of_topic = of_topic.or_default();
        for _ in 0..number(&mut rest)? {
            of_topic.insert(number(&mut rest)?);
        }
    }
    Some(assigned)
}

fn number(rest: &mut &[u8]) -> Option<i32> {
    take(rest).map(i32::from_be_bytes)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(topics: &[(&str, &[i32])]) -> Vec<u8> {
        let mut bytes = 1_i16.to_be_bytes().to_vec();
        let count = |count: usize| i32::try_from(count).unwrap().to_be_bytes();
        bytes.extend(count(topics.len()));
        for (topic, partitions) in topics {
            bytes.extend(u16::try_from(topic.len()).unwrap().to_be_bytes());
            bytes.extend(topic.as_bytes());
            bytes.extend(count(partitions.len()));
            bytes.extend(partitions.iter().flat_map(|partition| partition.to_be_bytes()));
        }
        bytes.extend((-1_i32).to_be_bytes());
        bytes
    }

    fn had(topics: &[(&str, &[i32])]) -> Partitions {
        assignment(&encoded(topics)).unwrap()
    }

    #[test]
    fn what_no_member_has_is_found() {
        let topics = BTreeMap::from([("a".to_owned(), 2), ("b".to_owned(), 3)]);
        let all = had(&[("a", &[0, 1]), ("b", &[2, 1, 0])]);
        assert_eq!(first_of_nobody(&topics, &all), None);
        let some = had(&[("a", &[0, 1]), ("b", &[2, 0]), ("another", &[1])]);
        assert_eq!(first_of_nobody(&topics, &some), Some("b/1".to_owned()));
        let none = had(&[("b", &[0, 1, 2])]);
        assert_eq!(first_of_nobody(&topics, &none), Some("a/0".to_owned()));
    }

    #[test]
    fn what_is_cut_off_is_not_read() {
        let whole = encoded(&[("order.created", &[0, 4, 5])]);
        assert_eq!(
            assignment(&whole).unwrap()["order.created"],
            BTreeSet::from([0, 4, 5])
        );
        assert_eq!(assignment(&[]), Some(Partitions::new()));
        // the last four bytes are the assignor's
        for length in 1..whole.len() - 4 {
            assert_eq!(assignment(&whole[..length]), None, "{length} bytes");
        }
    }
}
