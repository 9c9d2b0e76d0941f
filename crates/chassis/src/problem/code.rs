//! The table of problem codes: code → status → title → what to do; the comment is its
//! meaning. docs/ERRORS.md is made of it. Codes are part of the interface and never change.

use actix_web::http::StatusCode;

macro_rules! codes {
    ($($(#[doc = $meaning:literal])* $name:ident = $code:literal, $status:ident, $title:literal, $advice:literal;)*) => {
        /// A stable kind of problem.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            $($(#[doc = $meaning])* $name,)*
        }

        impl Code {
            /// Every code, for documentation and tests.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The code as in the `type` URI.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)*
                }
            }

            /// Its HTTP status.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self {
                    $(Self::$name => StatusCode::$status,)*
                }
            }

            /// Its title, the same for every occurrence.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self {
                    $(Self::$name => $title,)*
                }
            }

            /// What it means.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($meaning),*).trim(),)*
                }
            }

            /// What a client does about it.
            #[must_use]
            pub const fn advice(self) -> &'static str {
                match self {
                    $(Self::$name => $advice,)*
                }
            }
        }
    };
}

codes! {
    /// The body is not JSON at all.
    MalformedJson = "malformed-json", BAD_REQUEST, "The body is not well-formed JSON",
        "Send a body that a JSON parser takes; the detail says where this one breaks off.";
    /// A header, query parameter or the request itself cannot be understood.
    BadRequest = "bad-request", BAD_REQUEST, "The request cannot be understood",
        "Read the detail: it names the header, the part of the path or of the request that is wrong. The same request will not succeed.";
    /// A query parameter is unknown or out of range.
    InvalidQuery = "invalid-query", BAD_REQUEST, "A query parameter is not valid",
        "Read the detail: it names the parameter. The service's OpenAPI document lists those that the list knows, and their range.";
    /// A cursor that this list did not hand out.
    InvalidCursor = "invalid-cursor", BAD_REQUEST, "The cursor is not valid",
        "Take `next_cursor` as it was given and keep the filters that it was given with; or begin at the first page, without a cursor.";
    /// No token, or one that does not hold.
    Unauthenticated = "unauthenticated", UNAUTHORIZED, "A valid access token is required",
        "Log in, or exchange the refresh token at `POST /auth/refresh`, and send `Authorization: Bearer <access_token>`.";
    /// E-mail and password do not match.
    InvalidCredentials = "invalid-credentials", UNAUTHORIZED, "E-mail or password is wrong",
        "Ask the user again. The answer does not tell which of the two is wrong, nor whether the account exists or is disabled.";
    /// A refresh token that does not hold.
    InvalidRefreshToken = "invalid-refresh-token", UNAUTHORIZED, "The refresh token is not valid",
        "Log in again. Keep the newest refresh token: the one before it is answered with the same successor for a minute, as long as that is unused; then it ends the login.";
    /// The caller is known and may not do this.
    Forbidden = "forbidden", FORBIDDEN, "This is not allowed",
        "Use an account that has the role; the operations are for admins. A new role counts from the next login or refresh.";
    /// Not there, or not the caller's.
    NotFound = "not-found", NOT_FOUND, "There is no such resource",
        "Check the path and the id. What belongs to somebody else answers the same.";
    /// The resource does not have this method.
    MethodNotAllowed = "method-not-allowed", METHOD_NOT_ALLOWED, "The resource does not allow this method",
        "Use one of the methods in the header `Allow`.";
    /// The client took too long.
    RequestTimeout = "request-timeout", REQUEST_TIMEOUT, "The request took too long to arrive",
        "Send the request again, faster; with its `Idempotency-Key` where it has one.";
    /// The resource's state forbids it.
    Conflict = "conflict", CONFLICT, "The current state forbids this",
        "Read the resource again and decide anew; the detail says what stands in the way.";
    /// Someone has this e-mail already.
    EmailTaken = "email-taken", CONFLICT, "This e-mail address is already registered",
        "Log in with this address, or register another.";
    /// The same idempotency key is being worked on.
    IdempotencyInFlight = "idempotency-in-flight", CONFLICT, "A request with this idempotency key is in flight",
        "Wait a moment and send the same request with the same key again: it then gets the first one's answer.";
    /// The body is over the limit.
    PayloadTooLarge = "payload-too-large", PAYLOAD_TOO_LARGE, "The body is too large",
        "Send less at once; the limit is `http.body_limit_bytes`.";
    /// The body is not declared as JSON, or has a `Content-Encoding`.
    UnsupportedMediaType = "unsupported-media-type", UNSUPPORTED_MEDIA_TYPE, "The body must be application/json, as it is",
        "Send `Content-Type: application/json`, and no `Content-Encoding`.";
    /// Well-formed JSON that says something that cannot be.
    Validation = "validation", UNPROCESSABLE_ENTITY, "The body is not valid",
        "Read `errors`: each has a JSON pointer to a member and what is wrong with it. Members that are not known are refused.";
    /// The same idempotency key came with another body.
    IdempotencyMismatch = "idempotency-mismatch", UNPROCESSABLE_ENTITY,
        "This idempotency key was used with another body",
        "Use a new key for a new request; the same key is for sending the same request again.";
    /// Too many requests.
    RateLimited = "rate-limited", TOO_MANY_REQUESTS, "Too many requests",
        "Wait for as many seconds as `Retry-After` says; `RateLimit` headers tell what is left.";
    /// Headers are over the limit.
    HeadersTooLarge = "headers-too-large", REQUEST_HEADER_FIELDS_TOO_LARGE, "The headers are too large",
        "Send fewer or shorter headers; cookies are not needed.";
    /// A bug or a broken part; the trace id finds it.
    Internal = "internal", INTERNAL_SERVER_ERROR, "Something went wrong on our side",
        "Try again later, with the same `Idempotency-Key`. If it stays, give the operator the `trace_id`: the cause is in the log under it.";
    /// Behind the gateway, a service answered nonsense or not at all.
    BadGateway = "bad-gateway", BAD_GATEWAY, "A service behind the gateway failed",
        "Read requests, and those with an `Idempotency-Key`, may be sent again. Operators: `GET /health` names the service.";
    /// Something this service needs is not there right now.
    Unavailable = "unavailable", SERVICE_UNAVAILABLE, "The service is not available right now",
        "Wait for as many seconds as `Retry-After` says, and send the request again, with its `Idempotency-Key` where it has one.";
    /// More work than this service takes at once or gets done in time.
    Overloaded = "overloaded", SERVICE_UNAVAILABLE, "The service has too much to do right now",
        "Wait for as many seconds as `Retry-After` says, and come back with fewer requests at once.";
    /// Behind the gateway, a service took too long.
    GatewayTimeout = "gateway-timeout", GATEWAY_TIMEOUT, "A service behind the gateway took too long",
        "It may or may not have happened: look, or send it again with the same `Idempotency-Key`.";
}

impl Code {
    /// The `type` URI.
    #[must_use]
    pub fn type_uri(self) -> String {
        format!("https://quadrille.dev/problems/{}", self.as_str())
    }

    /// The general code for a status that something else than us chose.
    #[must_use]
    pub fn for_status(status: StatusCode) -> Self {
        match status.as_u16() {
            401 => Self::Unauthenticated,
            403 => Self::Forbidden,
            404 => Self::NotFound,
            405 => Self::MethodNotAllowed,
            408 => Self::RequestTimeout,
            409 => Self::Conflict,
            413 => Self::PayloadTooLarge,
            415 => Self::UnsupportedMediaType,
            422 => Self::Validation,
            429 => Self::RateLimited,
            431 => Self::HeadersTooLarge,
            502 => Self::BadGateway,
            503 => Self::Unavailable,
            504 => Self::GatewayTimeout,
            400..=499 => Self::BadRequest,
            _ => Self::Internal,
        }
    }
}
