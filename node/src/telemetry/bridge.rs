//! Carries the actors' Prometheus metrics to OpenTelemetry: one observable instrument per series
//! name, read from the same text that `/metrics` serves.
//!
//! Promises: names, labels and values equal those of `/metrics`; families that appear later are
//! picked up within a period. Does not: keep histograms as histograms; their `_bucket`, `_sum`
//! and `_count` series travel as counters, as Prometheus sees them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use haulout_actors::metrics::Metrics;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Meter, MeterProvider};
use opentelemetry_sdk::metrics::SdkMeterProvider;

/// How often the text is read anew.
const PERIOD: Duration = Duration::from_secs(5);

/// Label pairs and the value of one series.
type Series = (Vec<(String, String)>, f64);

/// All series by name, and whether the name only ever counts up.
type Snapshot = BTreeMap<String, (bool, Vec<Series>)>;

/// Starts a task that keeps the instruments of `meters` fed until the process ends.
pub(super) fn register(meters: &SdkMeterProvider, metrics: Metrics) {
    let meter = meters.meter("haulout");
    tokio::spawn(async move {
        let latest = Arc::new(Mutex::new(Snapshot::new()));
        let mut known = BTreeSet::new();
        let mut ticks = tokio::time::interval(PERIOD);
        loop {
            ticks.tick().await;
            let snapshot = parse(&metrics.encode());
            let news: Vec<(String, bool)> = snapshot
                .iter()
                .filter(|(name, _)| !known.contains(*name))
                .map(|(name, (counts, _))| (name.clone(), *counts))
                .collect();
            *latest.lock().unwrap_or_else(PoisonError::into_inner) = snapshot;
            for (name, counts) in news {
                observe(&meter, &name, counts, Arc::clone(&latest));
                known.insert(name);
            }
        }
    });
}

/// Makes the instrument of one series name.
fn observe(meter: &Meter, name: &str, counts: bool, latest: Arc<Mutex<Snapshot>>) {
    let wanted = name.to_owned();
    let report = move |instrument: &dyn AsyncInstrument<f64>| {
        let snapshot = latest.lock().unwrap_or_else(PoisonError::into_inner);
        for (labels, value) in snapshot.get(&wanted).iter().flat_map(|(_, series)| series) {
            let labels: Vec<KeyValue> = labels
                .iter()
                .map(|(key, value)| KeyValue::new(key.clone(), value.clone()))
                .collect();
            instrument.observe(*value, &labels);
        }
    };
    let name = name.to_owned();
    // The meter keeps the instrument; the handle it returns is of no further use.
    if counts {
        meter.f64_observable_counter(name).with_callback(report).build();
    } else {
        meter.f64_observable_gauge(name).with_callback(report).build();
    }
}

/// Reads OpenMetrics text as this program writes it.
fn parse(text: &str) -> Snapshot {
    let mut snapshot = Snapshot::new();
    let mut counting: BTreeSet<&str> = BTreeSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            if let Some((name, "counter" | "histogram")) = rest.split_once(' ') {
                counting.insert(name);
            }
            continue;
        }
        let Some((name, labels, value)) = series(line) else { continue };
        let base = ["_total", "_bucket", "_sum", "_count"]
            .iter()
            .find_map(|suffix| name.strip_suffix(suffix))
            .unwrap_or(name);
        let counts = counting.contains(base);
        snapshot.entry(name.to_owned()).or_insert((counts, Vec::new())).1.push((labels, value));
    }
    snapshot
}

/// Names and values of a series' labels.
type Labels = Vec<(String, String)>;

/// Splits one line into name, labels and value.
fn series(line: &str) -> Option<(&str, Labels, f64)> {
    if line.starts_with('#') {
        return None;
    }
    let name_end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(name_end);
    let mut labels = Vec::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        while !rest.starts_with('}') {
            let (key, after) = rest.split_once("=\"")?;
            let (value, after) = quoted(after)?;
            labels.push((key.trim_start_matches(',').to_owned(), value));
            rest = after;
        }
        rest = rest.strip_prefix('}')?;
    }
    let value = rest.split_whitespace().next()?.parse().ok()?;
    Some((name, labels, value))
}

/// The text up to the closing quote, without escapes, and what follows the quote.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match characters.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests;
