//! What the processes count, read from their management ports.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::platform::Stack;
use crate::service::Service;

/// The samples of one metric of a service's first process, by their labels as they are written. A process that has never
/// counted anything under it has none.
pub(super) async fn samples(stack: &Stack, service: Service, metric: &str) -> Result<BTreeMap<String, f64>> {
    let url = format!("{}/metrics", stack.management_url(service));
    let answer = reqwest::get(url).await?.error_for_status()?;
    Ok(parse(&answer.text().await?, metric))
}

fn parse(text: &str, metric: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let sample = |line: &str| {
        let rest = line.strip_prefix(metric)?;
        let (labels, value) = rest.rsplit_once(' ')?;
        (labels.is_empty() || labels.starts_with('{'))
            .then(|| Some((labels.to_owned(), value.parse().ok()?)))?
    };
    lines.filter_map(sample).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_read_with_its_labels_and_no_other_is() {
        let text = "# TYPE a_total counter\na_total{x=\"1 2\"} 3\na_total 4\na_total_more{x=\"1\"} 5\nb 6\n";
        let expected = [("{x=\"1 2\"}".to_owned(), 3.0), (String::new(), 4.0)];
        assert_eq!(parse(text, "a_total"), expected.into());
    }
}
