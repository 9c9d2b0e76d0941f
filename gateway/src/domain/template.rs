//! What of a path may stand in a log.

/// Longest segment of a path, and longest path, that [`template`] repeats.
const TEMPLATE_SEGMENT_MAX: usize = 24;
const TEMPLATE_SEGMENTS_MAX: usize = 8;

/// A path without what names a thing or a person: `/orders/{}/cancel`. Our own names are lower case letters and dashes.
#[must_use]
pub fn template(path: &str) -> String {
    let is_name = |segment: &str| {
        segment.len() <= TEMPLATE_SEGMENT_MAX
            && segment
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'-' | b'.'))
    };
    let segments = path.split('/').take(TEMPLATE_SEGMENTS_MAX + 1);
    let segments = segments.map(|segment| if is_name(segment) { segment } else { "{}" });
    segments.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_template_names_nothing() {
        for (path, expected) in [
            (
                "/orders/01990000-0000-7000-8000-000000000001/cancel",
                "/orders/{}/cancel",
            ),
            ("/products/ABC-1", "/products/{}"),
            ("/auth/ada@example.org", "/auth/{}"),
            ("/.well-known/jwks.json", "/.well-known/jwks.json"),
            ("/", "/"),
            ("/orders/%0aforged", "/orders/{}"),
        ] {
            assert_eq!(template(path), expected);
        }
        assert!(template(&"/a".repeat(100)).len() < 20);
    }

    proptest! {
        #[test]
        fn no_path_makes_it_long_or_puts_more_than_our_own_letters_into_a_log(path in ".{0,300}") {
            let template = template(&path);
            prop_assert!(template.len() <= 9 * 25);
            let foreign = template.contains(|c: char| !c.is_ascii_lowercase() && !"-./{}".contains(c));
            prop_assert!(!foreign);
        }
    }
}
