//! The table of kinds is complete, and failures read well for people and programs.

use super::table::ALL;
use super::*;

#[test]
fn each_kind_has_one_page_and_a_unique_name() {
    let mut names = std::collections::BTreeSet::new();
    for kind in ALL {
        let page = kind.page();
        assert_eq!(page.kind, *kind);
        assert!(names.insert(page.name), "{} is used twice", page.name);
        assert!(page.meaning.ends_with('.') && !page.advice.is_empty(), "{}", page.name);
        assert_eq!(Kind::from_name(&page.name.to_lowercase()), Some(*kind));
    }
    assert_eq!(names.len(), TABLE.len());
}

#[test]
fn exit_codes_are_the_documented_contract() {
    let codes: Vec<u8> = TABLE.iter().map(|page| page.code).collect();
    assert!(codes.is_sorted());
    for code in (1..=17).chain([130, 141, 143]) {
        assert!(codes.contains(&code), "no kind for exit code {code}");
    }
    let verification = TABLE.iter().filter(|page| page.code == 7).count();
    assert_eq!(verification, 1, "code 7 means failed verification and nothing else");
}

#[test]
fn json_carries_kind_code_hint_and_details() {
    let error = Error::new(Kind::Quorum, "only 12 of 20 shards confirmed")
        .detail("missing", vec!["n1", "n2"])
        .because(std::io::Error::other("n1 unreachable"));
    let json = error.to_json();
    assert_eq!(json["error"]["kind"], "QUORUM");
    assert_eq!(json["error"]["code"], 10);
    assert_eq!(json["error"]["retryable"], true);
    assert_eq!(json["error"]["details"]["missing"][1], "n2");
    assert_eq!(json["error"]["message"], "only 12 of 20 shards confirmed: n1 unreachable");
    assert!(json["error"]["hint"].as_str().is_some_and(|hint| !hint.is_empty()));
}

#[test]
fn a_full_disk_has_its_own_exit_code() {
    let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
    let error = Error::from_io("write", std::path::Path::new("/tmp/x"), full);
    assert_eq!(error.kind().exit_code(), 13);
    assert!(error.message().contains("/tmp/x"));
}

#[test]
fn a_name_of_two_lines_cannot_pass_for_a_line_of_ours() {
    let path = std::path::Path::new("a\n✗ FULL  \u{1b}[31m");
    let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
    let text = Error::from_io("read", path, missing).to_text();
    assert_eq!(text.lines().count(), 2, "{text}");
    let forged = Error::new(Kind::File, "there is no `a\n✗ FULL  b`").hint("a\nb").to_text();
    assert_eq!(forged.lines().nth(1), Some("  │ ✗ FULL  b`"));
    assert_eq!(forged.lines().nth(2), Some("  a\\nb"));
    let silent = [("n1\n✗ FULL".to_owned(), "b\rc".to_owned())];
    let missing = crate::failures::members(&silent);
    let text = Error::new(Kind::Quorum, "too few").detail("missing", missing).to_text();
    assert_eq!(text.lines().nth(1), Some("  n1\\n✗ FULL: b\\rc"));
}

#[test]
fn people_see_one_line_for_each_member_that_did_not_help() {
    let silent = [("n1 (12D3)".to_owned(), "timed out".to_owned())];
    let missing = crate::failures::members(&silent);
    let text = Error::new(Kind::Quorum, "too few").detail("missing", missing).to_text();
    assert_eq!(text.lines().nth(1), Some("  n1 (12D3): timed out"));
    assert_eq!(text.lines().count(), 3);
}

#[test]
fn a_failure_told_as_json_is_the_same_failure_where_it_is_read() {
    let error =
        Error::new(Kind::Locked, "another process uses it").hint("stop it").retryable(false);
    let read = Error::from_json(&error.to_json()).expect("it is one");
    assert_eq!((read.kind(), read.message()), (Kind::Locked, error.message()));
    assert_eq!((read.next_step(), read.is_retryable()), ("stop it", false));
    for other in
        [serde_json::json!({}), serde_json::json!({ "error": { "kind": "RAIN", "message": "" } })]
    {
        assert!(Error::from_json(&other).is_none(), "{other}");
    }
}

#[test]
fn a_damaged_store_has_its_own_kind_and_promises_nothing_that_is_not_true() {
    let damaged = |reason: &str| {
        let (path, reason) = ("n1/store/index.redb".into(), reason.to_owned());
        Error::from(haulout_storage::StoreError::Damaged { path, reason })
    };
    let error = damaged("it is too short");
    assert_eq!((error.kind(), error.kind().exit_code()), (Kind::Damaged, 16));
    assert!(error.message().contains("no file of it was removed"), "{error}");
    assert!(error.next_step().contains("leave it as it is"), "{error:?}");
    assert!(!error.message().contains("recovered"), "{error}");
    for word in ["away", "empty", "wipe", "delete"] {
        assert!(!error.next_step().contains(word), "{}", error.next_step());
    }
    for other in [
        haulout_storage::StoreError::Corrupt { what: "a sliver".into() },
        haulout_storage::StoreError::Poisoned { reason: "the disk said no".into() },
    ] {
        assert_eq!(Error::from(other).kind(), Kind::Damaged);
    }
}
