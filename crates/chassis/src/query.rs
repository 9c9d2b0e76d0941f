//! A strict query string.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use garde::Validate;
use serde::de::DeserializeOwned;

use crate::problem::{Code, Problem};

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
    T: DeserializeOwned + Validate,
    T::Context: Default,
{
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        ready(parse(request.query_string()).map(Self))
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
    let value = web::Query::<T>::from_query(text)
        .map_err(|error| Problem::new(Code::InvalidQuery).detail(error.to_string()))?
        .into_inner();
    value.validate().map_err(|report| {
        Problem::new(Code::InvalidQuery).detail(report.to_string().trim().replace('\n', "; "))
    })?;
    Ok(value)
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
    }

    #[test]
    fn what_fits_is_taken() {
        assert_eq!(parse::<List>("limit=7").unwrap().limit, Some(7));
        assert_eq!(parse::<List>("").unwrap().limit, None);
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
