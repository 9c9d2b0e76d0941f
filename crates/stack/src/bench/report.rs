//! Prints the figures.

use std::time::Duration;

use hdrhistogram::Histogram;
use terminal::outln;

use super::load::Run;
use super::outcomes::Settled;
use super::usage::Usage;
use crate::cli::paint;

/// All that was measured.
pub(super) struct Figures<'a> {
    pub(super) run: &'a Run,
    pub(super) settled: &'a Settled,
    pub(super) drained: Duration,
    pub(super) usage: &'a [Usage],
}

/// Prints the figures as a table.
pub(super) fn print(figures: &Figures<'_>) {
    let Figures {
        run,
        settled,
        drained,
        usage,
    } = figures;
    let seconds = run.took.as_secs_f64();
    let (begin, end) = run.window_ms;
    let within = settled
        .confirmed_at_ms
        .iter()
        .filter(|at| (begin..=end).contains(*at))
        .count();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    outln!(
        "\n{}",
        paint::bold(format!(
            "{:.0} s with {} connections, everything on {cores} cores",
            seconds, run.connections
        ))
    );
    outln!(
        "  accepted    {:>9.1} orders/s   ({} in all)",
        run.accepted_per_second(),
        run.accepted.len()
    );
    outln!(
        "  confirmed   {:>9.1} orders/s   in the same time",
        rate(within, seconds)
    );
    outln!(
        "  settled     {:>9.1} orders/s   until the last one, {:.1} s after the last POST",
        rate(run.accepted.len(), seconds + drained.as_secs_f64()),
        drained.as_secs_f64()
    );
    if settled.cancelled > 0 {
        outln!("  cancelled   {:>9}", settled.cancelled);
    }
    for (reason, count) in &run.refused {
        outln!("  {} {count} × {reason}", paint::warning("refused"));
    }
    outln!("  POST        {}", quantiles(&run.latency_us, 1000.0));
    outln!(
        "  saga        {}   (POST to order.confirmed on Kafka)",
        quantiles(&settled.saga_ms, 1.0)
    );
    print_usage(usage, run.accepted.len());
}

fn print_usage(usage: &[Usage], orders: usize) {
    let orders = float(orders).max(1.0);
    outln!(
        "\n  {:<14} {:>14} {:>12} {:>12}",
        "process",
        "CPU ms/order",
        "CPU s",
        "peak MiB"
    );
    let mut total = 0.0;
    for part in usage {
        total += part.cpu_s;
        outln!(
            "  {:<14} {:>14.3} {:>12.1} {:>12}",
            part.name,
            part.cpu_s * 1000.0 / orders,
            part.cpu_s,
            part.peak_bytes >> 20
        );
    }
    outln!("  {:<14} {:>14.3} {total:>12.1}", "all", total * 1000.0 / orders);
}

fn quantiles(histogram: &Histogram<u64>, unit: f64) -> String {
    let at = |quantile: f64| {
        let value = u32::try_from(histogram.value_at_quantile(quantile)).unwrap_or(u32::MAX);
        f64::from(value) / unit
    };
    format!(
        "p50 {:>8.1} ms   p99 {:>8.1} ms   max {:>8.1} ms",
        at(0.5),
        at(0.99),
        at(1.0)
    )
}

fn rate(count: usize, seconds: f64) -> f64 {
    float(count) / seconds
}

fn float(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
