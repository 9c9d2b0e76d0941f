//! Why a card was refused, as it is told to the customer.

use super::wire::ErrorBody;

/// The code where Stripe gives none that may be told.
const DECLINED: &str = "card_declined";
/// The customer would have to prove who they are, and is not there to do so.
pub(super) const AUTHENTICATION_REQUIRED: &str = "authentication_required";
/// Longest code that is passed on, in bytes.
const CODE_MAX: usize = 64;

/// What an issuer says that helps the customer. All else (a lost or stolen card, a suspicion of fraud) is nothing to tell,
/// as Stripe asks.
const TELLING: [&str; 12] = [
    AUTHENTICATION_REQUIRED,
    "card_not_supported",
    "card_velocity_exceeded",
    "currency_not_supported",
    "duplicate_transaction",
    "expired_card",
    "incorrect_cvc",
    "incorrect_number",
    "incorrect_zip",
    "insufficient_funds",
    "processing_error",
    "withdrawal_count_limit_exceeded",
];

/// The failure code of a payment that Stripe refused for this.
pub(crate) fn code_of(error: &ErrorBody) -> String {
    let code = error.code.as_deref().filter(|code| is_code(code));
    let from_issuer = error
        .decline_code
        .as_deref()
        .filter(|code| TELLING.contains(code));
    from_issuer.or(code).unwrap_or(DECLINED).to_owned()
}

fn is_code(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    (1..=CODE_MAX).contains(&text.len()) && text.bytes().all(is_letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_customer_learns_what_helps_and_no_suspicion() {
        let of = |code: Option<&str>, decline_code: Option<&str>| {
            code_of(&ErrorBody {
                code: code.map(str::to_owned),
                decline_code: decline_code.map(str::to_owned),
                ..ErrorBody::default()
            })
        };
        for (decline_code, told) in [
            (Some("insufficient_funds"), "insufficient_funds"),
            (Some("generic_decline"), "card_declined"),
            (Some("stolen_card"), "card_declined"),
            (Some("fraudulent"), "card_declined"),
            (None, "card_declined"),
        ] {
            assert_eq!(of(Some("card_declined"), decline_code), told);
        }
        assert_eq!(of(Some("expired_card"), None), "expired_card");
        assert_eq!(of(Some("Not a code!"), None), "card_declined");
        assert_eq!(of(None, None), "card_declined");
    }
}
