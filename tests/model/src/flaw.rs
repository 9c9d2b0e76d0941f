//! Mistakes that the model must not miss: each is a bug that a reaction, the kernel or the provider could have.

/// What is broken on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// The kernel forgets which events it has taken charge of.
    NoDedupe,
    /// The kernel remembers an event in one transaction and reacts in a second: a crash in between loses it.
    DedupeApart,
    /// The dispatcher performs actions that the payment no longer asks for.
    NoGuard,
    /// The payment ignores a charge's approval that comes after the cancellation.
    LateApprovalIgnored,
    /// The same, and it ignores as well that its void came too late.
    LateCaptureIgnored,
    /// The payment forgets that it was cancelled before it heard of the order.
    EarlyCancellationIgnored,
    /// The order comes back to life when it is paid after its cancellation.
    PaidOrderRevived,
    /// The payment announces as completed what it has announced as failed.
    FailedAndCompleted,
    /// The timer cancels an overdue order without having read what was said before its deadline.
    JudgedUnread,
    /// The timer cancels an overdue order although a message about it is parked.
    JudgedParked,
    /// The order refuses to hear of a refund before it has heard of the failure.
    EarlyRefundRefused,
    /// The provider voids what it has seen, but does not keep a later charge of the key from taking the money.
    VoidNotFenced,
    /// The charge that an operator has corrected is made anew without the earlier one being voided.
    EarlierChargeNotVoided,
    /// It is made anew although the earlier one was found to have taken the money.
    EarlierCaptureIgnored,
    /// The payment takes what the provider tells of the earlier charge for the current one's.
    EarlierNoticeHeard,
    /// The provider takes the money each time that it is asked.
    ChargeNotKeyed,
}
