//! Access tokens for tests, shaped as the auth service makes them, and the key set they verify with.

use std::net::{SocketAddr, TcpListener};

use actix_web::{App, HttpResponse, HttpServer, web};
use contracts::UserId;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::auth::Role;
use crate::clock;

/// Name of the published key.
const KEY_ID: &str = "test-key";
/// How long tokens live, in seconds.
const LIFETIME_S: i64 = 900;

/// What stands before an Ed25519 seed in its PKCS #8 form (RFC 8410).
const PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];
/// The key pair that everybody knows from RFC 8037, appendix A.1: no service trusts it unless a test tells it to.
const SEED: [u8; 32] = [
    0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4, 0x44,
    0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
];
const PUBLIC_KEY: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
/// A key that is not published.
const FOREIGN_SEED: [u8; 32] = [7; 32];

/// Signs access tokens and serves its key set on 127.0.0.1 until the test's runtime ends.
#[derive(Debug)]
pub struct TestIssuer {
    address: SocketAddr,
}

impl TestIssuer {
    /// Starts serving the key set on a free port.
    ///
    /// # Errors
    /// When no port can be had.
    #[expect(
        clippy::disallowed_methods,
        reason = "the server ends with the test's runtime"
    )]
    pub fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let server = HttpServer::new(|| App::new().route("/.well-known/jwks.json", web::get().to(jwks)));
        tokio::spawn(server.workers(1).disable_signals().listen(listener)?.run());
        Ok(Self { address })
    }

    /// What belongs into `token.jwks_url`.
    #[must_use]
    pub fn jwks_url(&self) -> String {
        format!("http://{}/.well-known/jwks.json", self.address)
    }

    /// A customer's token.
    ///
    /// # Errors
    /// When it cannot be signed: a bug.
    pub fn customer(&self, user: UserId) -> anyhow::Result<String> {
        self.token(&claims(user, Role::Customer))
    }

    /// An admin's token.
    ///
    /// # Errors
    /// When it cannot be signed: a bug.
    pub fn admin(&self, user: UserId) -> anyhow::Result<String> {
        self.token(&claims(user, Role::Admin))
    }

    /// A token with the claims of the test's own: take those of [`claims`] and spoil them.
    ///
    /// # Errors
    /// When it cannot be signed: a bug.
    pub fn token(&self, claims: &Value) -> anyhow::Result<String> {
        signed(claims, SEED)
    }

    /// A token under the published key's name, signed by somebody else.
    ///
    /// # Errors
    /// When it cannot be signed: a bug.
    pub fn forged(&self, claims: &Value) -> anyhow::Result<String> {
        signed(claims, FOREIGN_SEED)
    }
}

/// The claims of a good token.
#[must_use]
pub fn claims(user: UserId, role: Role) -> Value {
    let now = clock::now().timestamp();
    json!({
        "iss": "quadrille", "aud": "quadrille-api", "sub": user, "sid": clock::new_id(), "jti": clock::new_id(),
        "roles": [role], "iat": now, "nbf": now, "exp": now + LIFETIME_S,
    })
}

async fn jwks() -> HttpResponse {
    HttpResponse::Ok().json(json!({"keys": [
        {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": KEY_ID, "x": PUBLIC_KEY},
    ]}))
}

fn signed(claims: &Value, seed: [u8; 32]) -> anyhow::Result<String> {
    let mut header = Header::new(Algorithm::EdDSA);
    header.typ = Some("at+jwt".to_owned());
    header.kid = Some(KEY_ID.to_owned());
    let key = EncodingKey::from_ed_der(&[&PKCS8_PREFIX[..], &seed].concat());
    Ok(jsonwebtoken::encode(&header, claims, &key)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{KeySource, TokenVerifier};
    use crate::settings::TokenSettings;

    #[tokio::test]
    async fn its_tokens_verify_with_its_key_set_and_a_forged_one_does_not() {
        let issuer = TestIssuer::start().unwrap();
        let settings = TokenSettings {
            jwks_url: issuer.jwks_url(),
            issuer: "quadrille".to_owned(),
            audience: "quadrille-api".to_owned(),
            jwks_refresh_s: 300,
            jwks_refetch_s: 30,
            jwks_stale_s: 3_600,
            leeway_s: 5,
            length_max_bytes: 8_192,
            lifetime_max_s: 3_600,
            cache_entries: 100.try_into().unwrap(),
            cache_age_s: 60,
        };
        let verifier = TokenVerifier::new(&settings, KeySource::url(issuer.jwks_url()).unwrap());
        let user = UserId::new(clock::new_id());
        let customer = verifier.verify(&issuer.customer(user).unwrap()).await.unwrap();
        assert_eq!((customer.user_id, customer.is_admin()), (user, false));
        let admin = verifier.verify(&issuer.admin(user).unwrap()).await.unwrap();
        assert!(admin.is_admin());
        let forged = issuer.forged(&claims(user, Role::Admin)).unwrap();
        assert!(verifier.verify(&forged).await.is_err());
    }
}
