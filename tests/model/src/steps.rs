//! What can happen next to one order's saga. A crash is in here without a step of its own wherever it changes nothing
//! that is stored: what was committed stays, what was not is done again, and what was sent may still arrive.

use chrono::TimeDelta;
use contracts::{Step, Topic};
use order::domain::{Status as OrderStatus, cancel, expire};
use payment::domain::{is_wanted, on_charge_corrected};

use crate::cast::{METHOD, OTHER_METHOD, Part};
use crate::desk::{Progress, Service, slot};
use crate::errand::{Errand, Kind, Phase};
use crate::flaw::Flaw;
use crate::provider::{Told, Verdict};
use crate::react::Rejected;
use crate::saga::{Road, Saga};

/// Something that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Move {
    /// The relay: Kafka has the fact. That it dies before it deletes the row, and its successor sends the same event
    /// again, is a delivery more, and of these there may be any number.
    Publish(Topic),
    /// Kafka will never take the fact as it is: the relay sets it aside as a dead letter.
    Refuse(Topic),
    /// An operator puts it back into the outbox.
    Resend(Topic),
    /// The consumer takes the fact in, or finds that it has been taken in: in any order, any number of times. Memory of
    /// the event, new state, facts and actions commit together; a crash before that has done nothing, a crash after it
    /// and before the offset is committed is one more delivery.
    Deliver(Service, Topic),
    /// The fact's handler fails at its first attempt, and the fact is parked.
    Park(Service, Topic),
    /// The oldest parked fact is taken in at last.
    Retry(Service),
    /// The oldest parked fact has failed too often: it is a dead letter.
    Bury(Service),
    /// An operator replays a dead letter.
    Replay(Service, Topic),
    /// The dispatcher claims an action, and sends the request if the payment still asks for it.
    Call(Kind),
    /// The row of an action that was found to be unwanted is deleted.
    Drop(Kind),
    /// The request arrives and is answered.
    Land(Kind, Verdict),
    /// The call fails, its time runs out, the answer is lost, its lease runs out, or the process dies: the action is due
    /// again, and the provider may or may not have done it.
    Lose(Kind),
    /// A request that nobody waits for any more arrives.
    Linger(Kind, Verdict),
    /// The answer is applied; its reaction, facts and actions commit with the end of the action.
    Record(Kind),
    /// The provider tells unasked what happened in its books: before the answer to the call that caused it, long after
    /// it, or never, and any number of times.
    Hear(Told),
    /// A charge that was refused takes the money after all.
    Turn,
    /// The provider tells of that, and does not cease to: nobody asks any more.
    Learn,
    /// The action has failed too often: it is a dead letter.
    Abandon(Kind),
    /// An operator replays a dead action.
    Revive(Kind),
    /// An operator corrects a dead charge: another payment method, under a key of its own.
    Correct,
    /// Whoever performs the corrected charge voids the earlier one, and is dead or has lost the way before it goes on.
    Fence,
    /// The request of before the correction arrives.
    LingerBefore(Verdict),
    /// The customer cancels.
    Cancel,
    /// The order's deadline passes.
    Overdue,
    /// The order service's timer judges the overdue order.
    Expire,
    /// Only with [`Flaw::DedupeApart`]: the event is remembered, and the process dies before the reaction.
    Forget(Service, Topic),
}

/// Why it happens; decides what it costs and what follows from its absence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nature {
    /// It happens in the end by itself, if nothing is broken any more.
    Progress,
    /// It happens in the end because an operator sees the dead letter.
    Operator,
    /// It may happen or not.
    Choice,
    /// Something breaks.
    Fault,
}

impl Move {
    /// Why it happens.
    pub(crate) fn nature(self) -> Nature {
        match self {
            Self::Publish(_)
            | Self::Deliver(..)
            | Self::Retry(_)
            | Self::Call(_)
            | Self::Drop(_)
            | Self::Land(..)
            | Self::Record(_)
            | Self::Learn
            | Self::Overdue
            | Self::Expire => Nature::Progress,
            Self::Replay(..) | Self::Resend(_) | Self::Revive(_) | Self::Correct => Nature::Operator,
            Self::Cancel | Self::Hear(_) => Nature::Choice,
            Self::Refuse(_)
            | Self::Park(..)
            | Self::Bury(_)
            | Self::Lose(_)
            | Self::Linger(..)
            | Self::LingerBefore(_)
            | Self::Fence
            | Self::Turn
            | Self::Abandon(_)
            | Self::Forget(..) => Nature::Fault,
        }
    }
}

impl Saga {
    /// Each thing that can happen now and changes anything, with what comes of it.
    pub(crate) fn moves(&self, part: &Part, flaw: Option<Flaw>) -> Vec<(Move, Self)> {
        self.candidates(part, flaw)
            .into_iter()
            .map(|step| (step, self.after(part, step, flaw)))
            .filter(|(_, after)| after != self)
            .collect()
    }

    fn candidates(&self, part: &Part, flaw: Option<Flaw>) -> Vec<Move> {
        let mut moves = Vec::with_capacity(16);
        moves.extend(
            self.facts_at(Road::Outbox)
                .flat_map(|topic| [Move::Publish(topic), Move::Refuse(topic)]),
        );
        moves.extend(self.facts_at(Road::SetAside).map(Move::Resend));
        for service in Service::ALL {
            self.of_inbox(service, flaw, &mut moves);
        }
        for kind in Kind::ALL {
            self.of_errand(part, kind, &mut moves);
        }
        moves.extend(self.book.tellable().map(|told| match told {
            Told::Taken if self.book.turned => Move::Learn,
            Told::Taken
            | Told::Declined
            | Told::Cancelled
            | Told::GivenBack
            | Told::EarlierDeclined
            | Told::EarlierCancelled => Move::Hear(told),
        }));
        moves.extend([Move::Turn, Move::Cancel, Move::Overdue]);
        if self.may_be_judged(flaw) {
            moves.push(Move::Expire);
        }
        self.of_correction(part, &mut moves);
        moves
    }

    /// One correction: a second one would only be a third charge of the same kind.
    fn of_correction(&self, part: &Part, moves: &mut Vec<Move>) {
        let charge = self.errand(Kind::Charge);
        if self.book.corrected.is_none() {
            let corrected = part.charge_by(OTHER_METHOD);
            let is_asked_for = |code| is_wanted(&part.payments.get(code), &corrected);
            if charge.phase == Phase::Dead && self.payment.is_some_and(is_asked_for) {
                moves.push(Move::Correct);
            }
            return;
        }
        if charge.sent {
            moves.push(Move::Fence);
        }
        if self.sent_before {
            let verdicts = self.book.verdicts(&part.charge_by(METHOD));
            moves.extend(verdicts.iter().map(|verdict| Move::LingerBefore(*verdict)));
        }
    }

    fn of_inbox(&self, service: Service, flaw: Option<Flaw>, moves: &mut Vec<Move>) {
        let desk = self.desk(service);
        for topic in self
            .facts_at(Road::Published)
            .filter(|topic| self.reads(service, *topic))
        {
            match desk.progress(topic) {
                Progress::Unseen => {
                    moves.push(Move::Deliver(service, topic));
                    if !desk.is_waiting() {
                        moves.push(Move::Park(service, topic));
                    }
                    if flaw == Some(Flaw::DedupeApart) {
                        moves.push(Move::Forget(service, topic));
                    }
                }
                Progress::Dead => moves.push(Move::Replay(service, topic)),
                Progress::Waiting => {}
                Progress::Applied if flaw == Some(Flaw::NoDedupe) => {
                    moves.push(Move::Deliver(service, topic));
                }
                Progress::Applied => {}
            }
        }
        if desk.is_waiting() {
            moves.extend([Move::Retry(service), Move::Bury(service)]);
        }
    }

    fn of_errand(&self, part: &Part, kind: Kind, moves: &mut Vec<Move>) {
        let errand = self.errand(kind);
        let Some(action) = errand.action.map(|code| part.actions.get(code)) else {
            return;
        };
        let verdicts = self.book.verdicts(&action);
        match errand.phase {
            Phase::Unasked | Phase::Done => {}
            Phase::Due => moves.extend([Move::Call(kind), Move::Abandon(kind)]),
            Phase::Called => {
                moves.extend(verdicts.iter().map(|verdict| Move::Land(kind, *verdict)));
                moves.push(Move::Lose(kind));
            }
            Phase::Unwanted => moves.extend([Move::Drop(kind), Move::Lose(kind)]),
            Phase::Answered(_) => moves.extend([Move::Record(kind), Move::Lose(kind)]),
            Phase::Dead => moves.push(Move::Revive(kind)),
        }
        if errand.sent {
            moves.extend(verdicts.iter().map(|verdict| Move::Linger(kind, *verdict)));
        }
    }

    fn after(&self, part: &Part, step: Move, flaw: Option<Flaw>) -> Self {
        let mut saga = *self;
        match step {
            Move::Publish(topic) => saga.send(topic, Road::Published),
            Move::Refuse(topic) => saga.send(topic, Road::SetAside),
            Move::Resend(topic) => saga.send(topic, Road::Outbox),
            Move::Deliver(service, topic) => saga.deliver(part, service, topic, flaw),
            Move::Park(service, topic) => saga.desk_mut(service).park(topic),
            Move::Retry(service) => {
                let topic = saga.desk(service).head().expect("something waits");
                saga.take_in(part, service, topic, flaw);
            }
            Move::Bury(service) => {
                let topic = saga.desk(service).head().expect("something waits");
                saga.desk_mut(service).bury(topic);
            }
            Move::Replay(service, topic) => saga.desk_mut(service).replay(topic),
            Move::Forget(service, topic) => saga.desk_mut(service).apply(topic),
            Move::Call(kind) => saga.call(part, kind, flaw),
            Move::Drop(kind) => saga.errand_mut(kind).phase = Phase::Done,
            Move::Land(kind, verdict) => saga.land(part, kind, verdict, flaw),
            Move::Lose(kind) | Move::Revive(kind) => saga.errand_mut(kind).phase = Phase::Due,
            Move::Linger(kind, verdict) => saga.linger(part, kind, verdict, flaw),
            Move::Record(kind) => saga.record(part, kind, flaw),
            Move::Hear(told) => saga.hear(part, told, flaw),
            Move::Turn => saga.book.turn(),
            Move::Learn => saga.hear(part, Told::Taken, flaw),
            Move::Abandon(kind) => saga.errand_mut(kind).phase = Phase::Dead,
            Move::Correct => saga.correct(part),
            Move::Fence => saga.book.fence(flaw),
            Move::LingerBefore(verdict) => {
                let before = part.charge_by(METHOD);
                saga.wrongs.refused |= saga.book.perform(part, &before, verdict, flaw).is_err();
            }
            Move::Cancel => saga.cancel(part),
            Move::Overdue => saga.pass_deadline(),
            Move::Expire => saga.expire(part),
        }
        saga.settle_deadline(part);
        saga
    }

    /// The payment learns of the key in the transaction that puts the corrected action in the dead one's place.
    fn correct(&mut self, part: &Part) {
        let payment = part.payments.get(self.payment.expect("who asks exists"));
        let corrected = on_charge_corrected(payment, part.charge_by(OTHER_METHOD), part.letter());
        let (payment, action) = corrected.expect("it is a charge of the order");
        self.payment = Some(part.payments.code(&payment));
        self.book.correct();
        let action = part.actions.code(&action);
        let charge = self.errand_mut(Kind::Charge);
        let sent = charge.sent;
        *charge = Errand {
            action: Some(action),
            phase: Phase::Due,
            sent: false,
        };
        self.sent_before = sent;
    }

    /// A customer who is told that it is too late has changed nothing.
    fn cancel(&mut self, part: &Part) {
        let refused = |_| Step::Unchanged;
        let _ = self.move_order::<Rejected>(part, |order| {
            Ok(cancel(Some(order), Some(part.customer), &part.context()).unwrap_or_else(refused))
        });
    }

    fn expire(&mut self, part: &Part) {
        let unread = self.is_said_and_unread();
        let _ = self.move_order::<Rejected>(part, |order| {
            Ok(expire(Some(order), TimeDelta::zero(), &part.context()))
        });
        let expired = part.orders.get(self.order).status != OrderStatus::Pending;
        self.wrongs.judged_unread |= expired && unread;
    }

    fn send(&mut self, topic: Topic, road: Road) {
        if let Some(announced) = &mut self.facts[slot(topic)] {
            announced.road = road;
        }
    }

    fn deliver(&mut self, part: &Part, service: Service, topic: Topic, flaw: Option<Flaw>) {
        self.wrongs.taken_twice |= self.desk(service).progress(topic) != Progress::Unseen;
        if self.desk(service).is_waiting() {
            self.desk_mut(service).park(topic);
        } else {
            self.take_in(part, service, topic, flaw);
        }
    }

    fn take_in(&mut self, part: &Part, service: Service, topic: Topic, flaw: Option<Flaw>) {
        let progress = self.desk(service).progress(topic);
        match self.react(part, service, topic, flaw) {
            Ok(()) => self.desk_mut(service).apply(topic),
            Err(_) if progress == Progress::Unseen => self.desk_mut(service).park(topic),
            Err(_) => {}
        }
    }

    fn call(&mut self, part: &Part, kind: Kind, flaw: Option<Flaw>) {
        let payment = part.payments.get(self.payment.expect("who asks exists"));
        let action = part
            .actions
            .get(self.errand(kind).action.expect("it was asked for"));
        let wanted = is_wanted(&payment, &action);
        if !wanted && flaw != Some(Flaw::NoGuard) {
            self.errand_mut(kind).phase = Phase::Unwanted;
            return;
        }
        self.wrongs.unwanted_charge |= kind == Kind::Charge && !wanted;
        let errand = self.errand_mut(kind);
        (errand.phase, errand.sent) = (Phase::Called, true);
    }

    fn land(&mut self, part: &Part, kind: Kind, verdict: Verdict, flaw: Option<Flaw>) {
        let action = part
            .actions
            .get(self.errand(kind).action.expect("it was asked for"));
        match self.book.perform(part, &action, verdict, flaw) {
            Ok(answer) => self.errand_mut(kind).phase = Phase::Answered(part.answers.code(&answer)),
            Err(_) => {
                self.wrongs.refused = true;
                self.errand_mut(kind).phase = Phase::Due;
            }
        }
    }

    fn linger(&mut self, part: &Part, kind: Kind, verdict: Verdict, flaw: Option<Flaw>) {
        let action = part
            .actions
            .get(self.errand(kind).action.expect("it was asked for"));
        self.wrongs.refused |= self.book.perform(part, &action, verdict, flaw).is_err();
    }

    fn record(&mut self, part: &Part, kind: Kind, flaw: Option<Flaw>) {
        let Phase::Answered(code) = self.errand(kind).phase else {
            return;
        };
        let answer = part.answers.get(code);
        let phase = match self.react_to_answer(part, &answer, flaw) {
            Ok(()) => Phase::Done,
            Err(_) => Phase::Due,
        };
        self.errand_mut(kind).phase = phase;
    }
}
