//! What an error says about a record: that it will never be taken, that its topic does not take records for now, that
//! something in its batch was bad, or nothing, because the broker is away.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::Failure;

/// How far a refusal reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The record will never be taken.
    Record(Failure),
    /// Nothing is known about the record, because the broker judged the whole batch that it was in.
    Batch,
    /// The topic does not take records; it may in a while.
    Topic(Failure),
}

impl Refusal {
    /// What `error`, in a delivery report, says about a record. None: nothing, the broker is away.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a hundred codes, of which these are refusals"
    )]
    pub(super) fn reported(error: &KafkaError) -> Option<Self> {
        Some(match error.rdkafka_error_code()? {
            // the broker names no record, or librdkafka does not hand the name on: a batch is refused whole
            RDKafkaErrorCode::MessageSizeTooLarge
            | RDKafkaErrorCode::InvalidRecord
            | RDKafkaErrorCode::InvalidDifferentRecord
            | RDKafkaErrorCode::InvalidTimestamp
            | RDKafkaErrorCode::InvalidMessage => Self::Batch,
            _ => return Self::alone(error),
        })
    }

    /// The same of a record that was in a batch by itself, or that librdkafka did not take.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a hundred codes, of which these are refusals"
    )]
    pub(super) fn alone(error: &KafkaError) -> Option<Self> {
        let failure = |class| Failure::new(class, error);
        Some(match error.rdkafka_error_code()? {
            RDKafkaErrorCode::MessageSizeTooLarge => Self::Record(failure("record-too-large")),
            RDKafkaErrorCode::InvalidTopic => Self::Record(failure("invalid-topic")),
            RDKafkaErrorCode::InvalidRecord
            | RDKafkaErrorCode::InvalidDifferentRecord
            | RDKafkaErrorCode::InvalidTimestamp => Self::Record(failure("invalid-record")),
            RDKafkaErrorCode::UnknownTopic
            | RDKafkaErrorCode::UnknownTopicOrPartition
            | RDKafkaErrorCode::UnknownTopicId
            | RDKafkaErrorCode::UnknownPartition => Self::Topic(failure("unknown-topic")),
            RDKafkaErrorCode::TopicAuthorizationFailed => Self::Topic(failure("topic-not-authorized")),
            // spoilt on its way, not by whoever wrote it
            RDKafkaErrorCode::InvalidMessage => Self::Topic(failure("corrupt-message")),
            // librdkafka retries these by itself for as long as they last, and hands them on only when it gives up
            RDKafkaErrorCode::LeaderNotAvailable
            | RDKafkaErrorCode::NotLeaderForPartition
            | RDKafkaErrorCode::ReplicaNotAvailable
            | RDKafkaErrorCode::NotEnoughReplicas
            | RDKafkaErrorCode::NotEnoughReplicasAfterAppend
            | RDKafkaErrorCode::KafkaStorageError => Self::Topic(failure("topic-unavailable")),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: RDKafkaErrorCode) -> KafkaError {
        KafkaError::MessageProduction(code)
    }

    #[test]
    fn a_batch_is_judged_again_record_by_record() {
        for code in [
            RDKafkaErrorCode::MessageSizeTooLarge,
            RDKafkaErrorCode::InvalidRecord,
            RDKafkaErrorCode::InvalidDifferentRecord,
            RDKafkaErrorCode::InvalidTimestamp,
        ] {
            assert_eq!(Refusal::reported(&error(code)), Some(Refusal::Batch));
            let alone = Refusal::alone(&error(code));
            assert!(matches!(alone, Some(Refusal::Record(_))), "{code:?}: {alone:?}");
        }
    }

    #[test]
    fn what_may_pass_is_never_final() {
        for code in [
            RDKafkaErrorCode::UnknownTopic,
            RDKafkaErrorCode::UnknownTopicOrPartition,
            RDKafkaErrorCode::InvalidMessage,
            RDKafkaErrorCode::NotEnoughReplicas,
            RDKafkaErrorCode::NotEnoughReplicasAfterAppend,
            RDKafkaErrorCode::LeaderNotAvailable,
        ] {
            let alone = Refusal::alone(&error(code));
            assert!(matches!(alone, Some(Refusal::Topic(_))), "{code:?}: {alone:?}");
        }
    }

    #[test]
    fn an_absent_broker_refuses_nothing() {
        for code in [
            RDKafkaErrorCode::BrokerTransportFailure,
            RDKafkaErrorCode::AllBrokersDown,
            RDKafkaErrorCode::Fatal,
        ] {
            assert_eq!(Refusal::reported(&error(code)), None);
        }
        assert_eq!(Refusal::reported(&KafkaError::Canceled), None);
    }
}
