//! Ids and hashes of files, without a network.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use haulout_protocol::encoding::SHORT_BYTES;
use serde_json::Value;

use crate::home::{failure, haulout, json, run, sample_bytes};

#[test]
fn the_content_hash_of_any_length_is_blake3_of_the_bytes() {
    let home = tempfile::tempdir().unwrap();
    for length in [0, 1, 1000, (32 << 20) - 1, 32 << 20, (32 << 20) + 1, (64 << 20) + 1025] {
        let bytes = sample_bytes(7, length);
        std::fs::write(home.path().join("file"), &bytes).unwrap();
        let output = run(home.path(), &["--json", "blob-id", "file", "--shards", "10"]);
        let answer = json(&output);
        assert_eq!(answer["content_hash"], blake3::hash(&bytes).to_hex().to_string(), "{length}");
        assert_eq!(answer["size"], length);
        let is_short = length <= usize::try_from(SHORT_BYTES).unwrap() && SHORT_BYTES > 0;
        assert_eq!(answer["encoding"], if is_short { 3 } else { 2 });
        assert_eq!(answer["blob_id"].as_str().map(str::len), Some(43));
    }
}

#[test]
fn a_blob_id_from_stdin_equals_the_one_of_the_file() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("file"), sample_bytes(1, 100_000)).unwrap();
    let by_name = run(home.path(), &["-q", "blob-id", "file"]);
    let mut child = haulout(home.path())
        .args(["-q", "blob-id", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().expect("piped").write_all(&sample_bytes(1, 100_000)).unwrap();
    let by_stdin = child.wait_with_output().unwrap();
    assert!(by_name.status.success() && by_stdin.status.success());
    assert_eq!(by_name.stdout, by_stdin.stdout);
    let left = std::fs::read_dir(home.path().join(".local/state/haulout")).unwrap().count();
    assert_eq!(left, 0, "the copy of stdin has no name");
}

#[test]
fn walrus_ids_equal_those_of_walrus() {
    let vectors =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/tests/vectors/walrus-rs2.json");
    let vectors: Value = serde_json::from_slice(&std::fs::read(vectors).unwrap()).unwrap();
    let home = tempfile::tempdir().unwrap();
    let mut compared = 0;
    for case in vectors.as_array().expect("a list") {
        let (seed, length) = (case["seed"].as_u64().unwrap(), case["length"].as_u64().unwrap());
        let shards = case["shards"].as_u64().unwrap().to_string();
        let bytes = sample_bytes(seed, usize::try_from(length).unwrap());
        std::fs::write(home.path().join("file"), bytes).unwrap();
        let args = ["--json", "blob-id", "file", "--walrus", "--shards", &shards];
        let answer = json(&run(home.path(), &args));
        assert_eq!(answer["walrus_blob_id"], case["walrus_blob_id"], "{seed} {length} {shards}");
        compared += 1;
    }
    assert!(compared > 0);
}

#[test]
fn a_malformed_id_is_a_usage_error_also_when_it_begins_with_a_hyphen() {
    let home = tempfile::tempdir().unwrap();
    for verb in ["get", "status", "read", "blob-status"] {
        for id in ["nonsense", "-sse", "AAAA="] {
            let (kind, error) = failure(home.path(), &[verb, id]);
            assert_eq!(kind, "USAGE");
            assert!(error["message"].as_str().expect("text").contains("not a blob id"), "{error}");
        }
    }
}

#[test]
fn an_id_that_begins_with_a_hyphen_is_an_id() {
    let home = tempfile::tempdir().unwrap();
    let id = format!("-{}", "A".repeat(42));
    let (kind, _) = failure(home.path(), &["status", &id]);
    assert_eq!(kind, "CONFIG", "the id was understood; only the network is not configured");
}

#[test]
fn a_file_in_place_of_an_id_is_told_with_a_command_that_works_when_pasted() {
    let home = tempfile::tempdir().unwrap();
    for name in ["a b", "-f"] {
        std::fs::write(home.path().join(name), "some bytes").unwrap();
    }
    for (line, before, after) in [
        (&["rm"][..], "haulout rm ", ""),
        (&["get"], "haulout get ", ""),
        (&["status"], "haulout status ", ""),
        (&["extend", "--epochs", "3"], "haulout extend ", " --epochs 3"),
    ] {
        for (name, word) in [("a b", "'a b'"), ("-f", "./-f")] {
            let (kind, error) = failure(home.path(), &[line, &[name]].concat());
            let expected = format!("`{before}$(haulout -q blob-id {word}){after}`");
            let hint = error["hint"].as_str().unwrap();
            assert!(kind == "USAGE" && hint.contains(&expected), "{hint}");
            let inner = format!("PATH={}:$PATH; haulout -q blob-id {word}", programs());
            let pasted = Command::new("sh").args(["-c", &inner]).current_dir(home.path()).output();
            assert_eq!(pasted.unwrap().stdout.trim_ascii().len(), 43, "{word}");
        }
    }
}

/// The folder of the binary.
fn programs() -> String {
    let binary = Path::new(env!("CARGO_BIN_EXE_haulout"));
    binary.parent().expect("a binary is in a folder").to_string_lossy().into_owned()
}

#[test]
fn a_bench_tells_each_operation_its_limit_and_their_ratio() {
    let home = tempfile::tempdir().unwrap();
    let some = ["bench", "encode", "--shards", "4,10", "--size", "1KiB", "--time", "1"];
    let output =
        run(home.path(), &[&some[..], &["--operation", "encode,serve-symbol", "--json"]].concat());
    assert_eq!(output.status.code(), Some(0));
    let told = json(&output);
    let rows = told["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 4);
    for (row, (operation, shards)) in
        rows.iter().zip([("encode", 4), ("encode", 10), ("serve-symbol", 4), ("serve-symbol", 10)])
    {
        assert_eq!(
            (row["operation"].as_str(), row["shards"].as_u64()),
            (Some(operation), Some(shards))
        );
        assert_eq!(row["bytes"], 1024);
        let number = |name: &str| row[name].as_f64().expect("a number");
        let ratio = number("cpu_seconds") / number("limit_seconds");
        assert!((number("ratio") - ratio).abs() < 1e-9 && ratio > 0.0);
    }
    let (kind, _) = failure(home.path(), &["bench", "encode", "--size", "2GiB"]);
    assert_eq!(kind, "USAGE");
    let (kind, _) = failure(home.path(), &["bench", "encode", "--shards", "3"]);
    assert_eq!(kind, "USAGE");
    let (kind, _) = failure(home.path(), &["bench", "encode", "--operation", "sing"]);
    assert_eq!(kind, "USAGE");
}
