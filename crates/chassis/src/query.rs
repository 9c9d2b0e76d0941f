//! A strict query string.

use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use garde::Validate;
use serde::de::DeserializeOwned;

use crate::auth::decided;
use crate::problem::{Code, Problem};
use crate::wording;

/// Extracts the query string as `T`; 400 when it does not fit `T` or its `garde` rules, or has U+0000 in it, which
/// PostgreSQL keeps in no text. Give `T` `#[serde(deny_unknown_fields)]`.
#[derive(Debug, Clone)]
pub struct Query<T>(pub T);

impl<T> Query<T> {
    /// The parameters.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> FromRequest for Query<T>
where
    T: DeserializeOwned + Validate + 'static,
    T::Context: Default,
{
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            decided(&request).await;
            parse(request.query_string()).map(Self)
        })
    }
}

fn parse<T>(text: &str) -> Result<T, Problem>
where
    T: DeserializeOwned + Validate,
    T::Context: Default,
{
    if text.contains("%00") {
        let detail = "no parameter may contain the character U+0000";
        return Err(Problem::new(Code::InvalidQuery).detail(detail));
    }
    let parameters = serde_urlencoded::Deserializer::new(form_urlencoded::parse(text.as_bytes()));
    let value: T = serde_path_to_error::deserialize(parameters)
        .map_err(|error| unfit(&error.path().to_string(), &error.inner().to_string()))?;
    value.validate().map_err(|report| {
        let broken = report.iter().map(|(path, error)| {
            let words = wording::of_rule(error.message(), None);
            format!("{path} {words}")
        });
        Problem::new(Code::InvalidQuery).detail(broken.collect::<Vec<_>>().join("; "))
    })?;
    Ok(value)
}

/// What serde stopped at, by the parameter's name.
fn unfit(path: &str, message: &str) -> Problem {
    let named = wording::named(message).filter(|_| message.starts_with("missing field"));
    let name = named.unwrap_or(path);
    let words = wording::of_text(message);
    Problem::new(Code::InvalidQuery).detail(format!("{name} {words}"))
}

#[cfg(test)]
mod tests {
    use garde::Validate;
    use serde::Deserialize;

    use super::parse;
    use crate::problem::Code;

    #[derive(Debug, Deserialize, Validate)]
    #[serde(deny_unknown_fields)]
    struct List {
        #[garde(range(min = 1, max = 100))]
        limit: Option<u16>,
        #[garde(skip)]
        order_id: Option<uuid::Uuid>,
    }

    #[test]
    fn what_fits_is_taken() {
        assert_eq!(parse::<List>("limit=7").unwrap().limit, Some(7));
        let order = uuid::Uuid::from_u128(7);
        let asked = parse::<List>(&format!("order_id={order}"));
        assert_eq!(asked.unwrap().order_id, Some(order));
        assert_eq!(parse::<List>("").unwrap().limit, None);
    }

    #[test]
    fn the_parameter_is_named_in_plain_words() {
        for (text, told) in [
            ("limit=abc", "limit must be a whole number"),
            ("limit=", "limit must be a whole number"),
            ("limit=0", "limit must be at least 1"),
            ("limit=101", "limit must be at most 100"),
            ("limit=70000", "limit is out of range"),
            ("order_id=abc", "order_id must be a UUID"),
            ("offset=1", "offset is not known; known are limit, order_id"),
        ] {
            let problem = parse::<List>(text).unwrap_err();
            assert_eq!(problem.body().detail.as_deref(), Some(told));
        }
    }

    #[test]
    fn what_does_not_fit_is_400() {
        for text in [
            "limit=0",
            "limit=101",
            "limit=x",
            "limit=-1",
            "limit=",
            "offset=1",
            "limit=7%00",
        ] {
            assert_eq!(
                parse::<List>(text).unwrap_err().code(),
                Code::InvalidQuery,
                "{text}"
            );
        }
    }
}
