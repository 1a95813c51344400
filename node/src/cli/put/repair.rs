//! `haulout put --repair`: brings slivers back that nodes lost.
//!
//! Promises: pays nothing and looks at no wallet; each node that could not be helped is named. Does not: store what is not
//! stored, or fetch what is lost from anywhere but the file.

use haulout_actors::session::upload::{RepairReport, RepairedNode};
use serde_json::{Value, json};

use super::Put;
use crate::cli::output::{Output, size};
use crate::config::ClientConfig;
use crate::error::Result;
use crate::failures;
use crate::light_client::LightClient;
use crate::progress::{self, Stages};
use crate::terminal;
use crate::words::{count, label};

/// Repairs the blobs of all files, one after the other.
pub(super) async fn repair(put: &Put, config: ClientConfig, output: &Output) -> Result<()> {
    let folder = config.state_dir.clone();
    let client = LightClient::connect(config).await?;
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
        let told = match (repaired.await, put.files.len()) {
            (Ok((name, report)), 1) => {
                let essential = report.blob_id.to_string();
                output.result(&to_json(&report), &essential, &to_text(&name, &report));
                continue;
            }
            (Err(error), 1) => {
                client.close().await;
                return Err(error);
            }
            (Ok((name, report)), _) => {
                let mut json = to_json(&report);
                json["file"] = terminal::path(file).into();
                let essential = format!("{}  {}", report.blob_id, terminal::path(file));
                output.item(&json, &essential, &to_text(&name, &report))
            }
            (Err(error), _) => {
                output.failed_item(&terminal::path(file), &error);
                continue;
            }
        };
        if told.is_break() {
            break;
        }
    }
    client.close().await;
    Ok(())
}

fn to_json(report: &RepairReport) -> Value {
    let one = |node: &RepairedNode| {
        let (sent, reason) = match &node.sent {
            Ok(sent) => (json!(sent), Value::Null),
            Err(reason) => (Value::Null, json!(reason)),
        };
        json!({ "node": node.name, "segments_sent": sent, "reason": reason })
    };
    json!({
        "blob_id": report.blob_id.to_string(),
        "size": report.length,
        "segments": report.segments,
        "nodes": report.nodes.iter().map(one).collect::<Vec<_>>(),
    })
}

fn to_text(name: &str, report: &RepairReport) -> String {
    let (mut sent, mut without) = (String::new(), String::new());
    for node in &report.nodes {
        match &node.sent {
            Ok(0) => {}
            Ok(segments) => {
                let segments = count(usize::try_from(*segments).unwrap_or(usize::MAX), "segment");
                sent.push_str(&format!(
                    "  sent    {segments} to {}\n",
                    failures::short(&node.name)
                ));
            }
            Err(reason) => {
                without.push_str(&format!("  without {}: {}\n", label(&node.name), label(reason)));
            }
        }
    }
    let done = match (sent.is_empty(), without.is_empty()) {
        (true, true) => "Nothing to repair",
        (true, false) => "Nothing to repair at the nodes that answer",
        (false, _) => "Repaired",
    };
    let (size, blob_id) = (size(report.length), report.blob_id);
    format!("✓ {done}  {name}  {size}\n  blob    {blob_id}\n{sent}{without}  paid    nothing\n")
}

#[cfg(test)]
mod tests {
    use haulout_protocol::blob::BlobId;

    use super::*;

    #[test]
    fn who_got_slivers_back_is_told_and_who_could_not_be_helped() {
        let node = |name: &str, sent: Result<u32, &str>| RepairedNode {
            name: format!("{name} (12D3)"),
            sent: sent.map_err(str::to_owned),
        };
        let mut report = RepairReport {
            blob_id: BlobId::from_bytes([1; 32]),
            length: 1 << 20,
            segments: 3,
            nodes: vec![node("n1", Ok(0)), node("n2", Ok(1)), node("n3", Err("gone"))],
        };
        let text = to_text("f", &report);
        assert!(text.starts_with("✓ Repaired  f  1.00 MiB\n"), "{text}");
        assert!(text.contains("sent    1 segment to n2\n") && !text.contains("n1"), "{text}");
        assert!(text.contains("without n3 (12D3): gone\n"), "{text}");
        let json = to_json(&report);
        assert_eq!(
            (&json["nodes"][1]["segments_sent"], &json["nodes"][2]["reason"]),
            (&json!(1), &json!("gone"))
        );
        report.nodes.truncate(1);
        assert!(to_text("f", &report).starts_with("✓ Nothing to repair  f"), "{report:?}");
    }
}
