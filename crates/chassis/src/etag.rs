//! Entity tags: `ETag` and `If-None-Match`.

use actix_web::http::header::{ETAG, EntityTag, Header, IfNoneMatch};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;

/// 200 with the resource and its tag, or 304 when the client has this version already. `version` must change
/// whenever the representation does, for example the row's version number.
pub fn respond<T: Serialize>(request: &HttpRequest, version: impl ToString, resource: &T) -> HttpResponse {
    let tag = EntityTag::new_strong(version.to_string());
    if is_current(request, &tag) {
        return HttpResponse::NotModified()
            .insert_header((ETAG, tag.to_string()))
            .finish();
    }
    HttpResponse::Ok()
        .insert_header((ETAG, tag.to_string()))
        .json(resource)
}

fn is_current(request: &HttpRequest, tag: &EntityTag) -> bool {
    match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(items)) => items.iter().any(|item| item.weak_eq(tag)),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::IF_NONE_MATCH;
    use actix_web::test::TestRequest;

    use super::*;

    fn status(if_none_match: Option<&str>) -> u16 {
        let mut request = TestRequest::get();
        if let Some(value) = if_none_match {
            request = request.insert_header((IF_NONE_MATCH, value));
        }
        let response = respond(&request.to_http_request(), 7, &"resource");
        assert_eq!(response.headers().get(ETAG).unwrap(), "\"7\"");
        response.status().as_u16()
    }

    #[test]
    fn a_client_with_this_version_gets_304() {
        assert_eq!(status(None), 200);
        assert_eq!(status(Some("\"6\"")), 200);
        assert_eq!(status(Some("\"6\", W/\"7\"")), 304);
        assert_eq!(status(Some("*")), 304);
    }
}
