//! `haulout put --repair`: brings slivers back that nodes lost.
//!
//! Promises: pays nothing and looks at no wallet; each node that could not be helped is named; several files are summed up. Does not: store what is not
//! stored, or fetch what is lost from anywhere but the file.

use haulout_actors::session::upload::{RepairReport, RepairedNode};
use serde_json::{Value, json};

use super::Put;
use crate::cli::output::{Output, size};
use crate::config::ClientConfig;
use crate::error::{Error, Kind, Result};
use crate::failures;
use crate::light_client::LightClient;
use crate::progress::{self, Stages};
use crate::terminal;
use crate::words::{count, label};

/// Repairs the blobs of all files, one after the other.
pub(super) async fn repair(put: &Put, config: ClientConfig, output: &Output) -> Result<()> {
    let folder = config.state_dir.clone();
    let client = LightClient::connect(config).await?;
    let parameters = client.context().position.current().parameters;
    let mut sum = Sum::default();
    for file in &put.files {
        let repaired = async {
            let input = put.open(file, &folder).await?;
            let length = Some(input.length());
            let stages = Stages::new(output.bars(), &progress::PUT, length, client.shards());
            let name = input.name().to_owned();
            let report = client.repair(input.into_source(), &stages.observer()).await;
            stages.finish();
            Ok((name, report?))
        };
        let repaired = repaired.await;
        sum.add(&repaired);
        let unit = |report: &RepairReport| match parameters.is_short(report.length) {
            true => "symbols",
            false => "slivers",
        };
        let told = match (repaired, put.only_file().is_some()) {
            (Ok((name, report)), true) => {
                let essential = report.blob_id.to_string();
                output.result(
                    &to_json(&report),
                    &essential,
                    &to_text(&name, &report, unit(&report)),
                );
                if let Some(error) = incomplete(&report) {
                    output.failed_part(None, &error);
                }
                continue;
            }
            (Err(error), true) => {
                client.close().await;
                return Err(error);
            }
            (Ok((name, report)), false) => {
                let mut json = to_json(&report);
                json["file"] = file.to_string_lossy().into();
                let essential = format!("{}  {}", report.blob_id, terminal::path(file));
                if let Some(error) = incomplete(&report) {
                    output.failed_part(Some(&terminal::path(file)), &error);
                }
                output.item(&json, &essential, &to_text(&name, &report, unit(&report)))
            }
            (Err(error), false) => {
                output.failed_item(&file.to_string_lossy(), &error);
                continue;
            }
        };
        if told.is_break() {
            break;
        }
    }
    client.close().await;
    if put.only_file().is_none() {
        output.summary(&sum.to_text(put.files.len()));
    }
    Ok(())
}

/// How the files ended.
#[derive(Debug, Default)]
struct Sum {
    repaired: usize,
    whole: usize,
    /// Some node could not be helped.
    partly: usize,
    failed: usize,
}

impl Sum {
    fn add(&mut self, repaired: &Result<(String, RepairReport)>) {
        match repaired {
            Err(_) => self.failed += 1,
            Ok((_, report)) if incomplete(report).is_some() => self.partly += 1,
            Ok((_, report)) if report.nodes.iter().any(|node| node.sent > 0) => self.repaired += 1,
            Ok(_) => self.whole += 1,
        }
    }

    fn to_text(&self, all: usize) -> String {
        let Sum { repaired, whole, partly, failed } = self;
        let left = all - (repaired + whole + partly + failed);
        let partly = if *partly > 0 { format!("{partly} in part, ") } else { String::new() };
        let left = if left > 0 { format!(", {left} not begun") } else { String::new() };
        format!(
            "{}: {repaired} repaired, {partly}{whole} with nothing to repair, {failed} failed{left}; paid nothing",
            count(all, "file")
        )
    }
}

fn to_json(report: &RepairReport) -> Value {
    let one = |node: &RepairedNode| json!({ "node": node.name, "segments_sent": node.sent, "reason": node.failed });
    json!({
        "blob_id": report.blob_id.to_string(),
        "size": report.length,
        "segments": report.segments,
        "is_complete": incomplete(report).is_none(),
        "nodes": report.nodes.iter().map(one).collect::<Vec<_>>(),
    })
}

/// The failure of a repair that did not reach everybody: what these nodes lack is not known, so nobody may call it whole.
fn incomplete(report: &RepairReport) -> Option<Error> {
    let failed = report.nodes.iter().filter(|node| node.failed.is_some()).count();
    (failed > 0).then(|| {
        let message = format!("{} could not be helped", count(failed, "node"));
        Error::new(Kind::Quorum, message)
            .hint("the same command goes on where it ended, once these nodes answer")
            .retryable(true)
    })
}

/// `unit` is what nodes hold of the blob: slivers, or of a short one symbols.
fn to_text(name: &str, report: &RepairReport, unit: &str) -> String {
    let (mut sent, mut without) = (String::new(), String::new());
    for node in &report.nodes {
        if node.sent > 0 {
            let segments = count(usize::try_from(node.sent).unwrap_or(usize::MAX), "segment");
            let of = if unit == "symbols" { String::new() } else { format!(" of {segments}") };
            let short = failures::short(&node.name);
            sent.push_str(&format!("  sent    its {unit}{of} to {short}\n"));
        }
        if let Some(reason) = &node.failed {
            without.push_str(&format!("  without {}: {}\n", label(&node.name), label(reason)));
        }
    }
    let done = match (sent.is_empty(), without.is_empty()) {
        (true, true) => "✓ Nothing to repair",
        (true, false) => "Repaired nothing",
        (false, true) => "✓ Repaired",
        (false, false) => "Repaired in part",
    };
    let (size, blob_id) = (size(report.length), report.blob_id);
    format!("{done}  {name}  {size}\n  blob    {blob_id}\n{sent}{without}  paid    nothing\n")
}

#[cfg(test)]
mod tests {
    use haulout_protocol::blob::BlobId;

    use super::*;

    #[test]
    fn who_got_slivers_back_is_told_and_who_could_not_be_helped() {
        let node = |name: &str, sent: u32, failed: Option<&str>| RepairedNode {
            name: format!("{name} (12D3)"),
            sent,
            failed: failed.map(str::to_owned),
        };
        let mut report = RepairReport {
            blob_id: BlobId::from_bytes([1; 32]),
            length: 1 << 20,
            segments: 3,
            nodes: vec![node("n1", 0, None), node("n2", 1, None), node("n3", 2, Some("gone"))],
        };
        let text = to_text("f", &report, "slivers");
        assert!(text.starts_with("Repaired in part  f  1.00 MiB\n"), "{text}");
        assert!(text.contains("sent    its slivers of 1 segment to n2\n"), "{text}");
        assert!(!text.contains("n1"), "{text}");
        let text = to_text("f", &report, "symbols");
        assert!(
            text.contains("sent    its symbols to n2\n") && !text.contains("segment"),
            "{text}"
        );
        assert!(text.contains("without n3 (12D3): gone\n"), "{text}");
        let json = to_json(&report);
        assert_eq!(
            (&json["nodes"][1]["segments_sent"], &json["nodes"][2]["reason"]),
            (&json!(1), &json!("gone"))
        );
        assert_eq!(
            (&json["nodes"][2]["segments_sent"], &json["is_complete"]),
            (&json!(2), &json!(false))
        );
        let error = incomplete(&report).expect("n3 was not helped");
        assert_eq!(error.kind(), Kind::Quorum);
        assert_eq!(error.message(), "1 node could not be helped");
        let mut sum = Sum::default();
        sum.add(&Ok(("f".to_owned(), report.clone())));
        sum.add(&Err(Error::new(Kind::NotFound, "not stored")));
        let told = "3 files: 0 repaired, 1 in part, 0 with nothing to repair, 1 failed, 1 not begun; paid nothing";
        assert_eq!(sum.to_text(3), told);
        report.nodes.truncate(2);
        assert!(incomplete(&report).is_none());
        assert!(to_text("f", &report, "slivers").starts_with("✓ Repaired  f"), "{report:?}");
        let mut sum = Sum::default();
        sum.add(&Ok(("f".to_owned(), report.clone())));
        report.nodes.truncate(1);
        sum.add(&Ok(("f".to_owned(), report.clone())));
        let told = "2 files: 1 repaired, 1 with nothing to repair, 0 failed; paid nothing";
        assert_eq!(sum.to_text(2), told);
        assert!(
            to_text("f", &report, "slivers").starts_with("✓ Nothing to repair  f"),
            "{report:?}"
        );
    }
}
