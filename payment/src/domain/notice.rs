//! What the provider tells unasked.

/// What became of a charge, told by the provider without being asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The money is taken.
    Taken {
        /// The provider's own id of the charge.
        reference: String,
    },
    /// No money is taken.
    Declined {
        /// Why, in the provider's words.
        code: String,
    },
    /// The charge is cancelled: no money is taken, and none will be.
    Cancelled,
    /// All the money is given back.
    GivenBack {
        /// The provider's own id of the refund.
        refund_reference: String,
    },
}
