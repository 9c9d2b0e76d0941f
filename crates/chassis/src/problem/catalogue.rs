//! The table of problem codes for people: docs/ERRORS.md.

use std::fmt::Write as _;

use super::Code;

const HEAD: &str = "\
<!-- Made from crates/chassis/src/problem/code.rs by `make contracts`; do not edit. -->
# Errors

Whatever is not a success is answered with `application/problem+json` (RFC 9457):

```json
{
  \"type\": \"https://quadrille.dev/problems/validation\",
  \"title\": \"The body is not valid\",
  \"status\": 422,
  \"errors\": [{ \"pointer\": \"/items/0/quantity\", \"detail\": \"must be at least 1\" }],
  \"trace_id\": \"4bf92f3577b34da6a3ce929d0e0e4736\"
}
```

`type` is the stable name of the kind of problem: programs decide by it, never by the texts. `detail` is particular to the
occurrence, and absent where there is nothing to add; a problem on our side (5xx) never shows its cause. `trace_id` finds
the request in logs and traces. Codes are part of the interface: one may be added, none is renamed or given another status.

| code | status | title |
|---|---|---|
";

/// Every kind of problem as Markdown: its type, status, meaning, and what a client does about it. The path of a
/// `type` URI is an anchor of the page.
#[must_use]
pub fn catalogue() -> String {
    let mut page = HEAD.to_owned();
    for code in Code::ALL {
        let (name, status, title) = (code.as_str(), code.status().as_u16(), code.title());
        // Writing to a string does not fail.
        let _ = writeln!(page, "| [`{name}`](#problems/{name}) | {status} | {title} |");
    }
    for code in Code::ALL {
        let _ = write!(page, "{}", section(*code));
    }
    page
}

fn section(code: Code) -> String {
    let name = code.as_str();
    format!(
        "\n<a id=\"problems/{name}\"></a>\n\n## {name}\n\n`{}` · {} · {}\n\n**Meaning.** {}\n\n**What to do.** {}\n",
        code.type_uri(),
        code.status(),
        code.title(),
        code.meaning(),
        code.advice(),
    )
}
