#!/usr/bin/env bash
# utoipa 6.0.0: what is said of a member is lost without a message when the member's type has a schema of its own.
#
# The derive takes #[deprecated], `example` and `read_only` on any member. On a text they are all in the document. On a struct,
# which is written as a $ref, `#[deprecated]` and `example` are gone, while the description and `readOnly` stand beside the
# $ref: OpenAPI 3.1 allows all four there. On an Option of the struct, which becomes a oneOf of the $ref and null, the
# description moves into the $ref's branch besides, so that the member itself has none: linters that ask for a description of
# every member, and generators that print it, do not see it. Nothing fails to compile and nothing is logged. Whoever needs
# them puts them on the struct, or adds them to the document afterwards.
#
# Needs cargo and the crates.io registry; a minute.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "probe"
version = "0.0.0"
edition = "2021"

[dependencies]
serde_json = "=1.0.145"
utoipa = "=6.0.0"
TOML
cat >src/main.rs <<'RUST'
#![allow(dead_code, deprecated)]

use utoipa::{OpenApi, ToSchema};

/// A period.
#[derive(ToSchema)]
struct Period {
    /// Its first day.
    first: String,
}

/// A booking.
#[derive(ToSchema)]
struct Booking {
    /// What it is called.
    #[deprecated]
    #[schema(example = "tea", read_only)]
    text: String,
    /// When it takes place.
    #[deprecated]
    #[schema(example = json!({"first": "2026-01-01"}), read_only)]
    always: Period,
    /// When it is repeated.
    #[deprecated]
    #[schema(example = json!({"first": "2026-01-01"}), read_only)]
    sometimes: Option<Period>,
}

#[derive(OpenApi)]
#[openapi(components(schemas(Booking)))]
struct Document;

fn main() {
    let document = serde_json::to_value(Document::openapi()).unwrap();
    for member in ["text", "always", "sometimes"] {
        println!("{member} {}", document["components"]["schemas"]["Booking"]["properties"][member]);
    }
}
RUST
seen=$(CARGO_TARGET_DIR=$work/target cargo run --quiet)
expected='text {"deprecated":true,"description":"What it is called.","example":"tea","readOnly":true,"type":"string"}
always {"$ref":"#/components/schemas/Period","description":"When it takes place.","readOnly":true}
sometimes {"oneOf":[{"$ref":"#/components/schemas/Period","description":"When it is repeated."},{"type":"null"}],"readOnly":true}'
printf '%s\n' "$seen"
[ "$seen" = "$expected" ] || {
    printf 'this has changed; it was:\n%s\n' "$expected" >&2
    exit 1
}
