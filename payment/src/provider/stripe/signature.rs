//! Whether a webhook is from Stripe: its signature.

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use thiserror::Error;

/// Signatures in one header at most; Stripe sends one for each secret that is in force.
const SIGNATURES_MAX: usize = 16;

/// Why a signature does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum BadSignature {
    /// It is not of the form `t=…,v1=…`.
    #[error("the signature header is malformed")]
    Malformed,
    /// It was made with another secret or for another body.
    #[error("no signature matches")]
    Mismatch,
    /// It was made too long ago, or in the future.
    #[error("the signature is too old or not of this time")]
    Stale,
}

/// Checks the header `Stripe-Signature` of a body exactly as it came.
///
/// # Errors
/// When the signature does not hold. The age is looked at last: nothing is learned about it without the secret.
pub(crate) fn verify(
    header: &str,
    body: &[u8],
    secret: &str,
    now: DateTime<Utc>,
    tolerance_s: u64,
) -> Result<(), BadSignature> {
    let (time, signatures) = parse(header).ok_or(BadSignature::Malformed)?;
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).map_err(|_no_key| BadSignature::Mismatch)?;
    let mac = mac
        .chain_update(time.as_bytes())
        .chain_update(b".")
        .chain_update(body);
    // each is compared, in constant time, whether one has matched or not
    let matches = signatures
        .iter()
        .map(|signature| mac.clone().verify_slice(signature).is_ok())
        .fold(false, |any, matches| any | matches);
    if !matches {
        return Err(BadSignature::Mismatch);
    }
    let signed_at: i64 = time.parse().map_err(|_no_number| BadSignature::Malformed)?;
    if now.timestamp().abs_diff(signed_at) > tolerance_s {
        return Err(BadSignature::Stale);
    }
    Ok(())
}

/// The time as it stands there, and the signatures of version 1.
fn parse(header: &str) -> Option<(&str, Vec<Vec<u8>>)> {
    let (mut time, mut signatures) = (None, Vec::new());
    for item in header.split(',') {
        let (name, value) = item.trim().split_once('=')?;
        match name {
            "t" if time.is_none() => time = Some(value),
            "t" => return None,
            "v1" if signatures.len() < SIGNATURES_MAX => signatures.extend(unhex(value)),
            _ => {}
        }
    }
    Some((time?, signatures))
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| {
        let digit = char::from(byte).to_digit(16)?;
        u8::try_from(digit).ok()
    };
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_test";
    const BODY: &[u8] = br#"{"id":"evt_1"}"#;
    const AT: i64 = 1_700_000_000;

    fn hex(time: i64, body: &[u8], secret: &str) -> String {
        let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        let mac = mac.chain_update(format!("{time}.")).chain_update(body).finalize();
        mac.into_bytes()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    fn verify_at(header: &str, now: i64) -> Result<(), BadSignature> {
        verify(
            header,
            BODY,
            SECRET,
            DateTime::from_timestamp(now, 0).unwrap(),
            300,
        )
    }

    #[test]
    fn a_known_signature_holds() {
        // made with `printf '1700000000.{"id":"evt_1"}' | openssl dgst -sha256 -hmac whsec_test`
        let known = "c89214b5b5da833daed6f0b8c5bb6bd58cea9022bd80ccc78230f3942d632925";
        assert_eq!(hex(AT, BODY, SECRET), known);
        assert_eq!(verify_at(&format!("t={AT},v1={known}"), AT), Ok(()));
    }

    #[test]
    fn one_of_several_is_enough() {
        let (good, other) = (hex(AT, BODY, SECRET), hex(AT, BODY, "whsec_old"));
        for header in [
            format!("t={AT},v1={other},v1={good}"),
            format!("t={AT}, v1={good}, v1={other}, v0=00"),
            format!("v1={good},t={AT}"),
        ] {
            assert_eq!(verify_at(&header, AT), Ok(()), "{header}");
        }
    }

    #[test]
    fn what_is_not_signed_so_is_refused() {
        let good = hex(AT, BODY, SECRET);
        let later = AT + 1;
        for header in [
            format!("t={AT},v1={}", hex(AT, BODY, "whsec_old")),
            format!("t={AT},v1={}", hex(AT, b"{}", SECRET)),
            format!("t={later},v1={good}"),
            format!("t={AT},v0={good}"),
            format!("t={AT},v1="),
            format!("t={AT},v1={}", good.get(..62).unwrap()),
            format!("t={AT}"),
        ] {
            assert_eq!(verify_at(&header, AT), Err(BadSignature::Mismatch), "{header}");
        }
        for header in ["", "t", "v1=00", &format!("t={AT},t={AT},v1={good}")] {
            assert_eq!(verify_at(header, AT), Err(BadSignature::Malformed), "{header}");
        }
    }

    #[test]
    fn an_old_signature_and_one_of_tomorrow_are_refused() {
        let header = format!("t={AT},v1={}", hex(AT, BODY, SECRET));
        for (now, expected) in [
            (AT + 300, Ok(())),
            (AT - 300, Ok(())),
            (AT + 301, Err(BadSignature::Stale)),
            (AT - 301, Err(BadSignature::Stale)),
        ] {
            assert_eq!(verify_at(&header, now), expected, "{now}");
        }
    }
}
