//! `stack topics`

use anyhow::bail;
use clap::Args;
use stack::kafka::topics::{Plan, ensure};
use terminal::outln;

#[derive(Debug, Args)]
#[group(id = "topics")]
pub(crate) struct Options {
    /// Address of a broker
    #[arg(long, default_value = "127.0.0.1:9092", value_name = "HOST:PORT")]
    brokers: String,
    #[command(flatten)]
    plan: Plan,
}

/// Creates the missing topics and fits the others; a topic with another number of partitions than declared is a failure.
pub(crate) async fn run(options: &Options) -> anyhow::Result<()> {
    let report = ensure(&options.brokers, &options.plan).await?;
    for name in &report.created {
        outln!("created  {name}");
    }
    for name in &report.present {
        outln!("present  {name}");
    }
    for setting in &report.altered {
        outln!("altered  {setting}");
    }
    for setting in &report.deviating {
        outln!("differs  {setting}, left alone");
    }
    if !report.different.is_empty() {
        let different: Vec<String> = report
            .different
            .iter()
            .map(|(name, found)| format!("{name} has {found}"))
            .collect();
        bail!(
            "partitions differ from what is declared and are left alone, since more of them would move keys: {}",
            different.join(", ")
        );
    }
    Ok(())
}
