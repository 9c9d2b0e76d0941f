//! What all documents have in common, added in one place.

use utoipa::openapi::path::Operation;
use utoipa::openapi::{ContactBuilder, OpenApi, RefOr, ServerBuilder};

use super::glossary;
use super::problems::needs_token;
use super::schemas;

/// A document with everything that the services' have in common: the servers, a contact, who may call each operation, and the
/// meaning of members that mean the same everywhere. To be called last, with the problems named.
#[must_use]
pub fn complete(mut document: OpenApi) -> OpenApi {
    document.servers = Some(vec![
        ServerBuilder::new()
            .url("/")
            .description(Some(
                "Where this document comes from: the gateway, or the service itself",
            ))
            .build(),
        ServerBuilder::new()
            .url("http://127.0.0.1:5000")
            .description(Some("The gateway of a platform on this machine"))
            .build(),
    ]);
    document.info.contact = Some(
        ContactBuilder::new()
            .name(Some("Quadrille"))
            .url(Some("https://quadrille.dev"))
            .build(),
    );
    for item in document.paths.paths.values_mut() {
        let operations = [
            &mut item.get,
            &mut item.post,
            &mut item.put,
            &mut item.patch,
            &mut item.delete,
        ];
        operations.into_iter().flatten().for_each(describe);
    }
    schemas::share(&mut document);
    schemas::describe(&mut document);
    schemas::prune(&mut document);
    document
}

fn describe(operation: &mut Operation) {
    let access = access(operation);
    let summary = operation.summary.take().unwrap_or_default();
    let (summary, rest) = first_sentence(&summary);
    let description = operation.description.take().unwrap_or_default();
    let paragraphs = [rest, description.trim(), access].into_iter();
    let paragraphs: Vec<&str> = paragraphs.filter(|paragraph| !paragraph.is_empty()).collect();
    operation.description = Some(paragraphs.join("\n\n"));
    operation.summary = Some(summary.to_owned());
    // what needs no token says so
    operation.security.get_or_insert_default();
    for parameter in operation.parameters.iter_mut().flatten() {
        if let RefOr::T(parameter) = parameter
            && parameter.description.is_none()
        {
            parameter.description = glossary::meaning(&parameter.name).map(str::to_owned);
        }
    }
}

/// Who may call. An operation that says itself whom it refuses is for everybody else.
fn access(operation: &Operation) -> &'static str {
    let forbidden = operation.responses.responses.get("403");
    let forbids = matches!(forbidden, Some(RefOr::Ref(target)) if target.description.is_empty());
    match (needs_token(operation), forbids) {
        (false, _) => "Needs no access token.",
        (true, false) => "Needs an access token.",
        (true, true) => "Needs the access token of an admin.",
    }
}

/// A first sentence without its full stop, and what follows it.
fn first_sentence(text: &str) -> (&str, &str) {
    let text = text.trim();
    let ends = |(at, _): &(usize, &str)| {
        text.get(at + 1..)
            .is_some_and(|rest| rest.starts_with([' ', '\n']))
    };
    match text.match_indices('.').find(ends) {
        Some((at, _)) => {
            let (first, rest) = text.split_at(at);
            (first, rest.trim_start_matches('.').trim_start())
        }
        None => (text.trim_end_matches('.'), ""),
    }
}

#[cfg(test)]
mod tests {
    use super::first_sentence;

    #[test]
    fn a_summary_is_one_sentence() {
        for (text, first, rest) in [
            ("Gets it.", "Gets it", ""),
            ("Gets it", "Gets it", ""),
            ("Gets it. Or not.", "Gets it", "Or not."),
            (
                "Gets `a.b`, twice\nover. Or\nnot.",
                "Gets `a.b`, twice\nover",
                "Or\nnot.",
            ),
            ("", "", ""),
        ] {
            assert_eq!(first_sentence(text), (first, rest));
        }
    }
}
