//! Which problems each operation answers with.
//!
//! Most follow from what an operation takes: whatever reads a JSON body refuses what is no JSON, whatever needs a token
//! refuses requests without one. The rest, an operation's own problems, are listed by its service. The test client holds every
//! answer of the services' tests against the result (`test::documented`).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use utoipa::openapi::path::{Operation, Parameter, ParameterIn};
use utoipa::openapi::{
    AllOfBuilder, Content, ContentBuilder, ObjectBuilder, OpenApi, Ref, RefOr, Response, ResponseBuilder,
    Type, example::ExampleBuilder,
};
use utoipa::{PartialSchema, ToSchema};

use crate::idempotency::HEADER as IDEMPOTENCY_KEY;
use crate::problem::{CONTENT_TYPE, Code, ProblemBody};

/// The problems of operations that do not follow from what they take, by operation id.
pub type OwnProblems<'a> = &'a [(&'a str, &'a [Code])];

/// The name of the problem's schema.
const SCHEMA: &str = "Problem";

/// What any request may be answered with, on its way or by its service.
const ANY: [Code; 8] = [
    Code::BadRequest,
    Code::RateLimited,
    Code::HeadersTooLarge,
    Code::Internal,
    Code::BadGateway,
    Code::Unavailable,
    Code::Overloaded,
    Code::GatewayTimeout,
];

/// Names the problems of each operation: a response for each status, with the codes it may have. What an operation says itself
/// of a status stays as the response's description.
pub fn name_problems(document: &mut OpenApi, own: OwnProblems<'_>) {
    let mut shared = BTreeMap::new();
    for item in document.paths.paths.values_mut() {
        let operations = [
            (false, &mut item.get),
            (true, &mut item.post),
            (true, &mut item.put),
            (true, &mut item.patch),
            (true, &mut item.delete),
        ];
        for (takes_body, operation) in operations {
            if let Some(operation) = operation {
                name(operation, takes_body, own, &mut shared);
            }
        }
    }
    debug_assert_eq!(unknown(document, own), None, "there is no such operation");
    let components = document.components.get_or_insert_default();
    components.responses.extend(shared);
    let mut schemas = vec![(SCHEMA.to_owned(), ProblemBody::schema())];
    ProblemBody::schemas(&mut schemas);
    components.schemas.extend(schemas);
}

/// An operation that is listed and does not exist.
fn unknown<'a>(document: &OpenApi, own: OwnProblems<'a>) -> Option<&'a str> {
    let known: BTreeSet<&str> = document
        .paths
        .paths
        .values()
        .flat_map(|item| [&item.get, &item.post, &item.put, &item.patch, &item.delete])
        .filter_map(|operation| operation.as_ref()?.operation_id.as_deref())
        .collect();
    own.iter().map(|(id, _)| *id).find(|id| !known.contains(id))
}

fn name(
    operation: &mut Operation,
    takes_body: bool,
    own: OwnProblems<'_>,
    shared: &mut BTreeMap<String, RefOr<Response>>,
) {
    let mut by_status = BTreeMap::<u16, Vec<Code>>::new();
    for code in codes(operation, takes_body, own) {
        by_status.entry(code.status().as_u16()).or_default().push(code);
    }
    let responses = &mut operation.responses.responses;
    for (status, codes) in by_status {
        let component = codes
            .iter()
            .map(|code| code.as_str())
            .collect::<Vec<_>>()
            .join("-or-");
        let mut reference = Ref::from_response_name(&component);
        let told = match responses.remove(&status.to_string()) {
            // says something else with this status besides
            Some(RefOr::T(mut response)) if !is_problem(&response) => {
                response
                    .content
                    .insert(CONTENT_TYPE.to_owned(), content(&codes).into());
                RefOr::T(response)
            }
            Some(RefOr::T(response)) => {
                shared.insert(component, respond(&codes).into());
                let said = response.description.trim_end_matches('.');
                reference.description = format!("{said}. {}", meanings(&codes));
                RefOr::Ref(reference)
            }
            Some(RefOr::Ref(_)) | None => {
                shared.insert(component, respond(&codes).into());
                RefOr::Ref(reference)
            }
        };
        responses.insert(status.to_string(), told);
    }
}

/// The codes of an operation, in the order of the catalogue.
fn codes(operation: &Operation, takes_body: bool, own: OwnProblems<'_>) -> Vec<Code> {
    let mut found: Vec<Code> = ANY.to_vec();
    let mut when = |applies: bool, codes: &[Code]| {
        if applies {
            found.extend_from_slice(codes);
        }
    };
    let parameters = operation.parameters.iter().flatten();
    let parameters: Vec<&Parameter> = parameters
        .filter_map(|parameter| match parameter {
            RefOr::T(parameter) => Some(parameter),
            RefOr::Ref(_) => None,
        })
        .collect();
    let has = |place: &ParameterIn| parameters.iter().any(|one| one.parameter_in == *place);
    let named = |name: &str| parameters.iter().any(|one| one.name.eq_ignore_ascii_case(name));
    when(needs_token(operation), &[Code::Unauthenticated]);
    when(has(&ParameterIn::Path), &[Code::NotFound]);
    when(has(&ParameterIn::Query), &[Code::InvalidQuery]);
    when(named("cursor"), &[Code::InvalidCursor]);
    when(named(IDEMPOTENCY_KEY), &[Code::IdempotencyMismatch]);
    when(takes_body, &[Code::RequestTimeout, Code::PayloadTooLarge]);
    when(
        reads_json(operation),
        &[Code::MalformedJson, Code::UnsupportedMediaType, Code::Validation],
    );
    let id = operation.operation_id.as_deref();
    for (_, codes) in own.iter().filter(|(own, _)| Some(*own) == id) {
        when(true, codes);
    }
    let listed = |code: &&Code| found.contains(code);
    Code::ALL.iter().filter(listed).copied().collect()
}

/// Whether the operation is for those with a token only.
pub(super) fn needs_token(operation: &Operation) -> bool {
    operation.security.iter().flatten().next().is_some()
}

/// Whether the body is read into a type of ours; a body that is taken as it comes is judged by the operation itself.
fn reads_json(operation: &Operation) -> bool {
    let Some(RefOr::T(body)) = &operation.request_body else {
        return false;
    };
    let content = body.content.get("application/json");
    content.is_some_and(
        |content| matches!(content, RefOr::T(content) if matches!(content.schema, Some(RefOr::Ref(_)))),
    )
}

fn is_problem(response: &Response) -> bool {
    response.content.is_empty() || response.content.contains_key(CONTENT_TYPE)
}

fn respond(codes: &[Code]) -> Response {
    ResponseBuilder::new()
        .description(meanings(codes))
        .content(CONTENT_TYPE, content(codes))
        .build()
}

fn meanings(codes: &[Code]) -> String {
    let one = |code: &Code| format!("`{}`: {}", code.as_str(), code.meaning());
    codes.iter().map(one).collect::<Vec<_>>().join(" ")
}

/// A problem whose `type` is one of the codes'.
fn content(codes: &[Code]) -> Content {
    let types = codes.iter().map(|code| code.type_uri());
    let kind = ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(
            "The problems that this operation may answer with, with this status.",
        ))
        .enum_values(Some(types));
    let narrowed = ObjectBuilder::new().property("type", kind);
    let schema = AllOfBuilder::new()
        .item(Ref::from_schema_name(SCHEMA))
        .item(narrowed);
    let examples = codes.iter().map(|code| {
        let body = json!({"type": code.type_uri(), "title": code.title(), "status": code.status().as_u16()});
        let example = ExampleBuilder::new().summary(code.title()).value(Some(body));
        (code.as_str(), example)
    });
    ContentBuilder::new()
        .schema(Some(schema))
        .examples_from_iter(examples)
        .build()
}

#[cfg(test)]
mod tests {
    use utoipa::OpenApi as _;

    use super::*;

    #[derive(utoipa::ToSchema)]
    #[expect(dead_code, reason = "a shape for the document")]
    struct Thing {
        name: String,
    }

    /// Puts a thing.
    #[utoipa::path(put, path = "/things/{id}", security(("bearer" = [])), request_body = Thing,
        params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
        responses((status = 200, description = "It is there"), (status = 409, description = "It was there before")))]
    #[expect(dead_code, reason = "only documented")]
    fn put_thing() {}

    /// Lists things.
    #[utoipa::path(get, path = "/things", params(("cursor" = Option<String>, Query)), responses(
        (status = 200, description = "Things"), (status = 503, body = Thing, description = "Some are not there")))]
    #[expect(dead_code, reason = "only documented")]
    fn list_things() {}

    #[derive(utoipa::OpenApi)]
    #[openapi(paths(put_thing, list_things))]
    struct Documentation;

    fn named() -> serde_json::Value {
        let mut document = Documentation::openapi();
        name_problems(
            &mut document,
            &[("put_thing", &[Code::Forbidden, Code::Conflict])],
        );
        serde_json::to_value(document).unwrap()
    }

    /// The codes that an operation's response names.
    fn codes_of(document: &serde_json::Value, pointer: &str) -> Vec<String> {
        let mut response = document.pointer(pointer).unwrap();
        if let Some(target) = response["$ref"].as_str() {
            response = document.pointer(target.trim_start_matches('#')).unwrap();
        }
        let content = &response["content"]["application/problem+json"];
        let types = content["schema"]["allOf"][1]["properties"]["type"]["enum"]
            .as_array()
            .unwrap();
        assert_eq!(types.len(), content["examples"].as_object().unwrap().len());
        let code = |uri: &serde_json::Value| uri.as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        types.iter().map(code).collect()
    }

    #[test]
    fn problems_follow_from_what_an_operation_takes_and_from_what_its_service_lists() {
        let document = named();
        for (status, codes) in [
            ("400", &["malformed-json", "bad-request"][..]),
            ("401", &["unauthenticated"]),
            ("403", &["forbidden"]),
            ("404", &["not-found"]),
            ("409", &["conflict"]),
            ("422", &["validation", "idempotency-mismatch"]),
            ("503", &["unavailable", "overloaded"]),
        ] {
            let pointer = format!("/paths/~1things~1{{id}}/put/responses/{status}");
            assert_eq!(codes_of(&document, &pointer), codes, "{status}");
        }
        let listed = &document["paths"]["/things"]["get"]["responses"];
        for absent in ["401", "403", "404", "408", "413", "415", "422"] {
            assert!(listed[absent].is_null(), "{absent}");
        }
        let pointer = "/paths/~1things/get/responses/400";
        assert_eq!(
            codes_of(&document, pointer),
            ["bad-request", "invalid-query", "invalid-cursor"]
        );
    }

    #[test]
    fn what_an_operation_says_of_a_status_stays() {
        let document = named();
        let conflict = &document["paths"]["/things/{id}"]["put"]["responses"]["409"]["description"];
        assert!(
            conflict
                .as_str()
                .unwrap()
                .starts_with("It was there before. `conflict`: "),
            "{conflict}"
        );
        let partial = &document["paths"]["/things"]["get"]["responses"]["503"]["content"];
        assert!(
            partial["application/json"].is_object() && partial["application/problem+json"].is_object(),
            "{partial}"
        );
    }
}
