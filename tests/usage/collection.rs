//! docs/quadrille.http: every request in it is one that the interfaces have.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{BASE, repository};

/// A request of the collection.
struct Request {
    /// Its line, from 1.
    line: usize,
    method: String,
    path: String,
    headers: Vec<String>,
    body: String,
}

/// The methods and path templates of all OpenAPI documents.
fn operations() -> Vec<(String, String)> {
    let mut operations = Vec::new();
    for name in ["auth", "gateway", "notification", "order", "payment"] {
        let path = repository(&format!("docs/contracts/openapi/{name}.json"));
        let document: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        for (path, item) in document["paths"].as_object().unwrap() {
            for method in item.as_object().unwrap().keys() {
                operations.push((method.to_uppercase(), path.clone()));
            }
        }
    }
    operations
}

fn requests(collection: &str) -> Vec<Request> {
    let mut requests: Vec<Request> = Vec::new();
    let mut in_body = false;
    for (index, text) in collection.lines().enumerate() {
        if text.starts_with('#') || text.starts_with('@') {
            continue;
        }
        if let Some((method, url)) = text.split_once(" {{base}}") {
            let path = url.split('?').next().unwrap();
            requests.push(Request {
                line: index + 1,
                method: method.to_owned(),
                path: path.to_owned(),
                headers: Vec::new(),
                body: String::new(),
            });
            in_body = false;
        } else if let Some(request) = requests.last_mut() {
            match (text.is_empty(), in_body) {
                (true, _) => in_body = true,
                (false, false) => request.headers.push(text.to_owned()),
                (false, true) => request.body.push_str(text),
            }
        } else {
            assert_eq!(text, "", "line {}: of no request", index + 1);
        }
    }
    requests
}

/// Whether a path is one of a template: a variable stands where a parameter does.
fn is_of(path: &str, template: &str) -> bool {
    let (path, template): (Vec<_>, Vec<_>) = (path.split('/').collect(), template.split('/').collect());
    let meet = |(part, wanted): (&&str, &&str)| {
        let parameter = wanted.starts_with('{');
        part == wanted || (parameter && !part.is_empty())
    };
    path.len() == template.len() && path.iter().zip(&template).all(meet)
}

#[test]
fn every_request_of_the_collection_is_one_that_the_interfaces_have() {
    let collection = std::fs::read_to_string(repository("docs/quadrille.http")).unwrap();
    assert!(collection.contains(&format!("@base = {BASE}\n")));
    let (requests, operations) = (requests(&collection), operations());
    assert!(requests.len() > 30, "only {}", requests.len());
    for request in &requests {
        let here = format!(
            "docs/quadrille.http:{}: {} {}",
            request.line, request.method, request.path
        );
        let known = |(method, template): &(String, String)| {
            *method == request.method && is_of(&request.path, template)
        };
        assert!(operations.iter().any(known), "{here} is of no interface");
        let is_json = request
            .headers
            .iter()
            .any(|header| header == "Content-Type: {{json}}");
        assert_eq!(is_json, !request.body.is_empty(), "{here}");
        if is_json {
            let body: Value = serde_json::from_str(&request.body).expect(&here);
            assert!(body.is_object(), "{here}");
        }
    }
}

#[test]
fn what_a_request_takes_from_another_is_of_one_that_has_that_name() {
    let collection = std::fs::read_to_string(repository("docs/quadrille.http")).unwrap();
    let after = |text: &'static str| collection.split(text).skip(1);
    let first_word = |text: &str| text.split(['.', '}', ' ', '\n']).next().unwrap().to_owned();
    let mut known: BTreeSet<String> = after("\n@").map(first_word).collect();
    known.extend(after("\n# @name ").map(first_word));
    known.insert("$guid".to_owned());
    let used: BTreeSet<String> = after("{{").map(first_word).collect();
    assert!(used.is_subset(&known), "{:?}", used.difference(&known));
}
