//! Each dispute against what was announced about it, and what lost ones took back.

use std::collections::{BTreeMap, HashSet};

use contracts::events::DisputeOutcome;
use contracts::{Event, Topic};
use uuid::Uuid;

use crate::Kind;
use crate::facts::{ROW_IS_RIGHT, absent};
use crate::index::Index;
use crate::orders::differs;
use crate::reading::{Amount, Dispute, Fact, PaymentStatus};
use crate::report::{Findings, Mismatch, OpenDispute};

/// What a fact says of a dispute.
struct Said<'a> {
    fact: &'a Fact,
    dispute: Uuid,
    payment: Uuid,
    customer: Uuid,
    amount: Amount,
    /// How it ended; none: it was opened.
    outcome: Option<DisputeOutcome>,
}

impl<'a> Said<'a> {
    fn of(fact: &'a Fact) -> Option<Self> {
        let (dispute, payment, customer, amount, outcome) = match &fact.event {
            Event::PaymentDisputed(said) => (
                said.dispute_id,
                said.payment_id,
                said.customer_id,
                said.amount,
                None,
            ),
            Event::PaymentDisputeClosed(said) => (
                said.dispute_id,
                said.payment_id,
                said.customer_id,
                said.amount,
                Some(said.outcome),
            ),
            Event::OrderCreated(_)
            | Event::OrderConfirmed(_)
            | Event::OrderCancelled(_)
            | Event::PaymentCompleted(_)
            | Event::PaymentFailed(_)
            | Event::PaymentRefunded(_)
            | Event::UserRegistered(_)
            | Event::SessionRevoked(_) => return None,
        };
        Some(Self {
            fact,
            dispute: dispute.uuid(),
            payment: payment.uuid(),
            customer: customer.uuid(),
            amount: amount.into(),
            outcome,
        })
    }
}

/// What was announced of one order's disputes, each in the order of its facts.
fn said<'a>(index: &Index<'a>, order: Uuid) -> BTreeMap<Uuid, Vec<Said<'a>>> {
    let mut by_dispute: BTreeMap<Uuid, Vec<Said<'a>>> = BTreeMap::new();
    for said in index.facts_of(order).iter().filter_map(|fact| Said::of(fact)) {
        by_dispute.entry(said.dispute).or_default().push(said);
    }
    by_dispute
}

pub(crate) fn check(index: &Index<'_>, found: &mut Findings) {
    for dispute in &index.reading.disputes {
        let order = dispute.order_id;
        if !index.is_still(order) {
            continue;
        }
        if !index.payments.contains_key(&order) {
            without_payment(index, dispute, found);
            continue;
        }
        let said = said(index, order).remove(&dispute.id).unwrap_or_default();
        announced(index, dispute, &said, found);
        for said in &said {
            details(index, dispute, said, found);
        }
    }
    unfounded(index, found);
}

/// Where there is a window, disputes of payments before it are read too.
fn without_payment(index: &Index<'_>, dispute: &Dispute, found: &mut Findings) {
    if index.desks_are_hidden() {
        return;
    }
    found.push(Mismatch::of_order(
        Kind::PaymentMissing,
        dispute.order_id,
        format!(
            "dispute {} is of payment {}, which is not there",
            dispute.id, dispute.payment_id
        ),
        "the payment that is disputed",
        "restore its row from a backup of the payment database; the provider's charge tells what it was",
    ));
}

/// The facts of a dispute alternate: it is opened, it ends, and where it goes on or is decided otherwise that is said again.
/// The last of them is what the row says.
fn announced(index: &Index<'_>, dispute: &Dispute, said: &[Said<'_>], found: &mut Findings) {
    let order = dispute.order_id;
    let judged = index.after_horizon(Some(dispute.created_at));
    let is = format!("dispute {} is {}", dispute.id, dispute.status);
    for (one, next) in said.iter().zip(said.iter().skip(1)) {
        if one.outcome == next.outcome {
            let ids = format!("{} and {}", one.fact.id, next.fact.id);
            found.push(Mismatch::of_order(
                Kind::FactRepeated,
                order,
                format!(
                    "{} of dispute {} was announced as {ids}",
                    next.fact.topic(),
                    dispute.id
                ),
                format!("{} once", next.fact.topic()),
                "find out who announced it again: whoever follows disputes has counted it twice",
            ));
        }
    }
    if judged && said.first().is_none_or(|first| first.outcome.is_some()) {
        found.push(absent(index, order, Topic::PaymentDisputed, &is));
    }
    let last = said.last();
    match (dispute.outcome(), last.and_then(|last| last.outcome)) {
        (Some(_), None) => {
            if judged || last.is_some() {
                found.push(absent(index, order, Topic::PaymentDisputeClosed, &is));
            }
        }
        (row, Some(outcome)) if row != Some(outcome) => {
            if let Some(last) = last {
                let kind = if row.is_none() {
                    Kind::FactUnfounded
                } else {
                    Kind::FactDiffers
                };
                found.push(Mismatch::of_fact(
                    kind,
                    last.fact,
                    is,
                    format!("a dispute that is {}, as announced", outcome.as_str()),
                    "ask the provider how the dispute stands; set the row to that, and announce it when it is not what was \
                     announced last",
                ));
            }
        }
        (_, _) => {}
    }
}

fn details(index: &Index<'_>, dispute: &Dispute, said: &Said<'_>, found: &mut Findings) {
    let payment = index.payments.get(&dispute.order_id);
    let differences = [
        differs("amount", &dispute.amount, &said.amount),
        differs("payment", &dispute.payment_id, &said.payment),
        payment.and_then(|payment| differs("customer", &payment.customer_id, &said.customer)),
    ];
    for (is, should) in differences.into_iter().flatten() {
        let is = format!("dispute {}: {is}", dispute.id);
        found.push(Mismatch::of_fact(
            Kind::FactDiffers,
            said.fact,
            is,
            should,
            ROW_IS_RIGHT,
        ));
    }
}

/// Facts of disputes that no row knows.
fn unfounded(index: &Index<'_>, found: &mut Findings) {
    let known: HashSet<Uuid> = index.reading.disputes.iter().map(|dispute| dispute.id).collect();
    for order in index.facts.keys() {
        // of a payment that is missing that is said
        if !index.is_still(*order) || !index.payments.contains_key(order) {
            continue;
        }
        for (dispute, said) in said(index, *order) {
            if known.contains(&dispute) {
                continue;
            }
            for said in said {
                found.push(Mismatch::of_fact(
                    Kind::FactUnfounded,
                    said.fact,
                    format!("it was announced, and the payment has no dispute {dispute}"),
                    "the dispute that was announced",
                    "facts never change: restore the dispute's row from a backup of the payment database, or from the provider",
                ));
            }
        }
    }
}

/// What lost disputes took back, by what the rows say.
pub(crate) fn charged_back<'i>(index: &'i Index<'_>) -> impl Iterator<Item = &'i Dispute> {
    index.reading.disputes.iter().filter(|dispute| {
        dispute.outcome() == Some(DisputeOutcome::Lost)
            && index.payments.contains_key(&dispute.order_id)
            && index.is_still(dispute.order_id)
    })
}

/// The same by what was announced: of each dispute its last fact. What was announced of a dispute that began before the
/// records that are left is taken from its row.
pub(crate) fn written_off(index: &Index<'_>) -> Vec<Amount> {
    let mut amounts = Vec::new();
    for order in index.payments.keys().filter(|order| index.is_still(**order)) {
        for said in said(index, *order).into_values() {
            let last = said.into_iter().next_back();
            let lost = last.filter(|last| last.outcome == Some(DisputeOutcome::Lost));
            amounts.extend(lost.map(|lost| lost.amount));
        }
    }
    let untold = charged_back(index).filter(|dispute| {
        !index.after_horizon(Some(dispute.created_at))
            && !said(index, dispute.order_id).contains_key(&dispute.id)
    });
    amounts.extend(untold.map(|dispute| dispute.amount.clone()));
    amounts
}

/// The disputes that are open, the one to be answered first in front, each with what to do about it.
pub(crate) fn open(index: &Index<'_>) -> Vec<OpenDispute> {
    let disputes = index.reading.disputes.iter();
    let mut open: Vec<OpenDispute> = disputes
        .filter(|dispute| dispute.outcome().is_none())
        .map(|dispute| OpenDispute {
            dispute_id: dispute.id,
            payment_id: dispute.payment_id,
            order_id: dispute.order_id,
            amount: dispute.amount.clone(),
            status: dispute.status.clone(),
            reason: dispute.reason.clone(),
            respond_by: dispute.respond_by,
            provider_reference: dispute.provider_reference.clone(),
            action: action(index, dispute),
        })
        .collect();
    open.sort_by_key(|dispute| {
        (
            dispute.respond_by.is_none(),
            dispute.respond_by,
            dispute.dispute_id,
        )
    });
    open
}

fn action(index: &Index<'_>, dispute: &Dispute) -> String {
    if !dispute.status.ends_with("needs_response") {
        return "none: it is answered, and the bank decides; payment.dispute_closed will tell".to_owned();
    }
    let deadline = match dispute.respond_by {
        Some(by) if by < index.reading.begun_at => {
            format!("its deadline {by} has passed: see at the provider whether it can still be answered")
        }
        Some(by) => {
            format!("answer it with evidence at the provider by {by}, or accept it: unanswered it is lost")
        }
        None => "answer it with evidence at the provider, or accept it: see there until when".to_owned(),
    };
    let payment = index.payments.get(&dispute.order_id);
    match payment.map(|payment| payment.status) {
        Some(PaymentStatus::Refunded) => {
            format!("{deadline}; the payment was given back: the refund is the evidence")
        }
        Some(PaymentStatus::Refunding) => {
            format!(
                "{deadline}; the payment is being given back, which the provider may refuse while it is disputed"
            )
        }
        Some(
            PaymentStatus::Processing
            | PaymentStatus::Completed
            | PaymentStatus::Failed
            | PaymentStatus::Voided,
        )
        | None => deadline,
    }
}
