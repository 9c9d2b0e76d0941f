//! The table of problem codes: code → status → title. Codes are part of the interface and never change.

use actix_web::http::StatusCode;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $status:ident, $title:literal;)*) => {
        /// A stable kind of problem.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            $($(#[$doc])* $name,)*
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
        }
    };
}

codes! {
    /// The body is not JSON at all.
    MalformedJson = "malformed-json", BAD_REQUEST, "The body is not well-formed JSON";
    /// A header, query parameter or the request itself cannot be understood.
    BadRequest = "bad-request", BAD_REQUEST, "The request cannot be understood";
    /// A query parameter is unknown or out of range.
    InvalidQuery = "invalid-query", BAD_REQUEST, "A query parameter is not valid";
    /// A cursor that this list did not hand out.
    InvalidCursor = "invalid-cursor", BAD_REQUEST, "The cursor is not valid";
    /// No token, or one that does not hold.
    Unauthenticated = "unauthenticated", UNAUTHORIZED, "A valid access token is required";
    /// E-mail and password do not match.
    InvalidCredentials = "invalid-credentials", UNAUTHORIZED, "E-mail or password is wrong";
    /// A refresh token that does not hold.
    InvalidRefreshToken = "invalid-refresh-token", UNAUTHORIZED, "The refresh token is not valid";
    /// The caller is known and may not do this.
    Forbidden = "forbidden", FORBIDDEN, "This is not allowed";
    /// Not there, or not the caller's.
    NotFound = "not-found", NOT_FOUND, "There is no such resource";
    /// The resource does not have this method.
    MethodNotAllowed = "method-not-allowed", METHOD_NOT_ALLOWED, "The resource does not allow this method";
    /// The client took too long.
    RequestTimeout = "request-timeout", REQUEST_TIMEOUT, "The request took too long to arrive";
    /// The resource's state forbids it.
    Conflict = "conflict", CONFLICT, "The current state forbids this";
    /// Someone has this e-mail already.
    EmailTaken = "email-taken", CONFLICT, "This e-mail address is already registered";
    /// The same idempotency key is being worked on.
    IdempotencyInFlight = "idempotency-in-flight", CONFLICT, "A request with this idempotency key is in flight";
    /// The body is over the limit.
    PayloadTooLarge = "payload-too-large", PAYLOAD_TOO_LARGE, "The body is too large";
    /// The body is not declared as JSON.
    UnsupportedMediaType = "unsupported-media-type", UNSUPPORTED_MEDIA_TYPE, "The body must be application/json";
    /// Well-formed JSON that says something that cannot be.
    Validation = "validation", UNPROCESSABLE_ENTITY, "The body is not valid";
    /// The same idempotency key came with another body.
    IdempotencyMismatch = "idempotency-mismatch", UNPROCESSABLE_ENTITY,
        "This idempotency key was used with another body";
    /// Too many requests.
    RateLimited = "rate-limited", TOO_MANY_REQUESTS, "Too many requests";
    /// Headers are over the limit.
    HeadersTooLarge = "headers-too-large", REQUEST_HEADER_FIELDS_TOO_LARGE, "The headers are too large";
    /// A bug or a broken part; the trace id finds it.
    Internal = "internal", INTERNAL_SERVER_ERROR, "Something went wrong on our side";
    /// Behind the gateway, a service answered nonsense or not at all.
    BadGateway = "bad-gateway", BAD_GATEWAY, "A service behind the gateway failed";
    /// Something this service needs is not there right now.
    Unavailable = "unavailable", SERVICE_UNAVAILABLE, "The service is not available right now";
    /// More work than this service takes at once.
    Overloaded = "overloaded", SERVICE_UNAVAILABLE, "The service has too much to do right now";
    /// Behind the gateway, a service took too long.
    GatewayTimeout = "gateway-timeout", GATEWAY_TIMEOUT, "A service behind the gateway took too long";
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
