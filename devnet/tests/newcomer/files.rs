//! What files are called, here and elsewhere, and several of them at once.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::{Output, Stdio};

use serde_json::Value;

use crate::desk::{Desk, text};

fn names(desk: &Desk, state: Option<&Path>) -> BTreeMap<String, Value> {
    let mut command = desk.command();
    command.args(["haulout", "--json", "ls"]);
    if let Some(state) = state {
        command.env("HAULOUT_CLIENT__STATE_DIR", state);
    }
    let listed: Value = serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
    let blobs = listed["blobs"].as_array().unwrap_or_else(|| panic!("{listed}"));
    let named = blobs.iter().map(|blob| (blob["blob_id"].as_str().unwrap(), blob["name"].clone()));
    named.map(|(id, name)| (id.to_owned(), name)).collect()
}

/// Puts bytes of a pipe with further arguments.
fn put_piped(desk: &Desk, bytes: &[u8], arguments: &[&str]) -> Output {
    let line = [&["haulout", "--json", "put", "-"], arguments].concat();
    let mut command = desk.command();
    command.args(line).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    child.wait_with_output().unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn stored_files_are_listed_by_name_here_and_by_their_public_name_elsewhere() {
    let desk = Desk::new();
    let size = ["--nodes", "4", "--shards", "7", "--port-base", "0", "--timeout", "120s"];
    desk.text(&[&["--name", "night", "up", "-d"], &size[..]].concat());
    let id_of = |put: &Value| put["blob_id"].as_str().unwrap().to_owned();

    // A file is known by its name here, a pipe by the name it was given, in both forms of a list.
    let letter = desk.folder.path().join("a letter.txt");
    fs::write(&letter, "dear").unwrap();
    let put = desk.json(&["haulout", "--json", "put", letter.to_str().unwrap()]);
    assert_eq!((&put["name"], &put["name_is_public"]), (&"a letter.txt".into(), &false.into()));
    let secret = id_of(&put);
    let secret_object = put["object_id"].as_str().unwrap().to_owned();
    // Its id without a network is that of this network, whose shards are not the usual ones.
    assert_eq!(desk.text(&["haulout", "-q", "blob-id", "a letter.txt"]).trim(), secret);
    let dry = ["haulout", "--json", "put", "a letter.txt", "--public-name", "--dry-run"];
    assert_eq!(desk.json(&dry)["public_name"], "a letter.txt");
    let refused = put_piped(&desk, b"x", &["--public-name"]);
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused.stdout));
    let public = ["--name", "back\u{1b}[2J\nup", "--public-name"];
    let piped = put_piped(&desk, b"archive", &public);
    let put: Value = serde_json::from_slice(&piped.stdout).unwrap();
    assert!(put["name_transaction"]["gas_mist"].as_u64().unwrap() > 0, "{put}");
    let shown = id_of(&put);
    let here = names(&desk, None);
    assert_eq!((&here[&secret], here.len()), (&"a letter.txt".into(), 2));
    assert_eq!(here[&shown], "back\u{1b}[2J\nup");
    let listed = desk.text(&["haulout", "ls"]);
    assert!(
        listed.contains(r"back\u{1b}[2J\nup  ") && listed.contains("a letter.txt  "),
        "{listed}"
    );
    let status = desk.text(&["haulout", "status", &secret]);
    assert!(status.contains("a letter.txt"), "{status}");

    // Elsewhere only the public name is known; writing it twice costs nothing.
    let elsewhere = desk.folder.path().join("elsewhere");
    let there = names(&desk, Some(&elsewhere));
    assert_eq!((&there[&secret], &there[&shown]), (&Value::Null, &here[&shown]));
    let again: Value =
        serde_json::from_slice(&put_piped(&desk, b"archive", &public).stdout).unwrap();
    assert_eq!((&again["name_transaction"], &again["cost"]["gas_mist"]), (&Value::Null, &0.into()));
    assert_eq!(again["name_is_public"], true);

    // A damaged file of names costs names, and a warning; nothing else fails, and it is not touched.
    let kept = desk.devnet_folder().join("client/names.jsonl");
    let sound = fs::read(&kept).unwrap();
    fs::write(&kept, b"\xff\0 no names").unwrap();
    assert_eq!(names(&desk, None), there);
    let put = put_piped(&desk, b"third", &["--name", "third"]);
    let stderr = text(&put.stderr);
    assert!(put.status.success() && stderr.contains("its name is not remembered"), "{stderr}");
    let third: Value = serde_json::from_slice(&put.stdout).unwrap();
    assert_eq!(third["name"], Value::Null);
    desk.text(&["haulout", "rm", &id_of(&third), "--yes"]);
    assert_eq!(fs::read(&kept).unwrap(), b"\xff\0 no names");

    // What deleted blobs left is joined by one command, which may find nothing to do.
    for name in ["first left", "second left"] {
        fs::write(desk.folder.path().join(name), name).unwrap();
    }
    let left = ["first left", "second left"]
        .map(|name| id_of(&desk.json(&["haulout", "--json", "put", name])));
    for id in &left {
        desk.text(&["haulout", "rm", id, "--yes"]);
    }
    let listed =
        || desk.json(&["haulout", "--json", "storage", "ls"])["storages"].as_array().unwrap().len();
    let before = listed();
    assert_eq!(
        desk.failure(&["haulout", "--json", "storage", "fuse"])["kind"],
        "USAGE",
        "it asks first"
    );
    let dry = desk.json(&["haulout", "--json", "storage", "fuse", "--dry-run"]);
    let joined = dry["joined"][0]["objects"].as_array().unwrap().len();
    assert!(joined >= 2 && listed() == before, "{dry}");
    let told = desk.text(&["haulout", "storage", "fuse", "--yes"]);
    assert!(told.contains(&format!("✓ Joined  {joined} objects into ")), "{told}");
    assert_eq!(listed(), before - joined + 1);
    let told = desk.text(&["haulout", "storage", "fuse"]);
    assert!(told.starts_with("Nothing to join"), "{told}");
    let told = desk.text(&["haulout", "storage", "destroy", "--expired"]);
    assert!(told.starts_with("Nothing to destroy"), "{told}");
    let object = desk.text(&["haulout", "-q", "storage", "ls"]).lines().next().unwrap().to_owned();
    let now = listed();
    desk.text(&["haulout", "storage", "destroy", &object, "--yes"]);
    assert_eq!(listed(), now - 1);

    // A blob that is stored is named by a command of its own, which pays gas for that, once, and nothing else.
    let name = ["haulout", "--json", "name", &secret_object, "-- a letter"];
    let mut paid = Vec::new();
    for _ in 0..2 {
        let line = [&name[..4], &["--"], &name[4..]].concat();
        paid.push(desk.json(&line)["gas_mist"].as_u64().unwrap());
    }
    assert!(paid[0] > 0 && paid[1] == 0, "{paid:?}");
    assert_eq!(names(&desk, Some(&elsewhere))[&secret], "-- a letter");

    // What is removed is forgotten.
    fs::write(&kept, sound).unwrap();
    desk.text(&["haulout", "rm", &secret, "--yes"]);
    assert!(!names(&desk, None).contains_key(&secret));
    let put = put_piped(&desk, b"dear", &[]);
    assert_eq!(id_of(&serde_json::from_slice(&put.stdout).unwrap()), secret);
    assert_eq!(names(&desk, None)[&secret], Value::Null);

    // A name that cannot be written is told beside the blob that is stored, with the command that writes only it.
    let key = desk.devnet_folder().join("keys/bob.key");
    fs::write(desk.folder.path().join("their own"), "kept by bob").unwrap();
    let mut bobs = desk.command();
    bobs.args(["haulout", "put", "their own", "--permanent"]).env("HAULOUT_WALLET__KEY_FILE", key);
    assert!(bobs.output().unwrap().status.success());
    fs::write(desk.folder.path().join("my own"), "kept by alice").unwrap();
    for files in [&["their own"][..], &["their own", "my own"]] {
        let line = [&["haulout", "--json", "put", "--public-name"], files].concat();
        let told = desk.run(&line);
        let out = text(&told.stdout);
        let lines: Vec<Value> =
            out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let put = lines.iter().find(|put| put["name"] == "their own").unwrap();
        assert_eq!((told.status.code(), lines.len()), (Some(2), files.len()), "{out}");
        assert_eq!((&put["action"], &put["name_is_public"]), (&"none".into(), &false.into()));
        assert_eq!(put["name_error"]["code"], 2);
        let hint = put["name_error"]["hint"].as_str().unwrap();
        let command = "`haulout put 'their own' --public-name --epochs 5 --force`";
        assert!(hint.starts_with(command), "{hint}");
        let people = [&["haulout", "put", "--public-name"], files].concat();
        let told = desk.run(&people);
        let (out, err) = (text(&told.stdout), text(&told.stderr));
        assert!(
            told.status.code() == Some(2) && out.contains("✓ Already stored  their own"),
            "{out}"
        );
        assert!(err.contains("is stored, but somebody's") && err.contains(command), "{err}");
        let summary = "2 already there, 0 failed, 1 without the public name";
        assert_eq!(err.contains(summary), files.len() == 2, "{err}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn several_files_are_put_by_one_command_and_one_that_fails_stops_no_other() {
    let desk = Desk::new();
    let size = ["--nodes", "4", "--shards", "7", "--port-base", "0", "--timeout", "120s"];
    desk.text(&[&["--name", "night", "up", "-d"], &size[..]].concat());
    for (name, bytes) in [("a", "one"), ("b", "two"), ("c", "one"), ("d", "three")] {
        fs::write(desk.folder.path().join(name), bytes).unwrap();
    }
    let files = ["a", "b", "missing", "c"];
    // What it would cost is told for each, and once for bytes that come twice.
    let dry = desk.run(&[&["haulout", "put", "--dry-run"], &files[..]].concat());
    let told = text(&dry.stderr);
    assert!(told.contains("4 files, 1 failed: ") && !told.contains("too little"), "{told}");
    let out = text(&dry.stdout);
    assert_eq!(out.matches("register it as a new object").count(), 2, "{out}");

    let put = desk.run(&[&["haulout", "--json", "put"], &files[..]].concat());
    let lines: Vec<Value> =
        text(&put.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |file: &str| lines.iter().find(|line| line["file"] == file).unwrap();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert_eq!(of("missing")["error"]["kind"], "FILE");
    assert_eq!(put.status.code().map(i64::from), of("missing")["error"]["code"].as_i64());
    let mut actions = ["a", "c"].map(|file| of(file)["action"].as_str().unwrap());
    actions.sort_unstable();
    assert_eq!(actions, ["none", "register"], "the same bytes are paid once");
    assert_eq!(of("a")["object_id"], of("c")["object_id"]);
    assert_eq!((&of("b")["name"], &of("b")["action"]), (&"b".into(), &"register".into()));
    let told = text(&put.stderr);
    assert!(told.contains("4 files: 2 stored, 1 already there, 1 failed; paid 0."), "{told}");

    // For people a line for each; for pipes the id with the name; nothing is wrong this time.
    let put = desk.run(&["haulout", "put", "b", "d", "--at-once", "1"]);
    let (out, told) = (text(&put.stdout), text(&put.stderr));
    assert!(put.status.success() && told.contains("1 stored, 1 already there, 0 failed"), "{told}");
    let starts = ["✓ Already stored  b  ", "✓ Stored  d  "];
    assert!(out.lines().zip(starts).all(|(line, start)| line.starts_with(start)), "{out}");
    let id = of("b")["blob_id"].as_str().unwrap();
    let quiet = desk.text(&["haulout", "-q", "put", "b", "b"]);
    assert_eq!(quiet, format!("{id}  b\n{id}  b\n"));

    // Folders stand for their files, if that is asked for.
    let tree = desk.folder.path().join("tree");
    fs::create_dir_all(tree.join(".deep")).unwrap();
    fs::write(tree.join(".deep/x"), "x").unwrap();
    fs::write(tree.join("y"), "y").unwrap();
    std::os::unix::fs::symlink("y", tree.join("z")).unwrap();
    let refused = desk.failure(&["haulout", "--json", "put", "tree"]);
    let hint = refused["hint"].as_str().unwrap();
    assert!(refused["kind"] == "FILE" && hint.contains("haulout put -r`"), "{refused}");
    let missing = desk.failure(&["haulout", "--json", "put", "-r", "tree", "gone"]);
    assert!(missing["message"].as_str().unwrap().ends_with("; nothing was stored"), "{missing}");
    let put = desk.run(&["haulout", "--json", "put", "-r", "tree", "a"]);
    let told: Vec<Value> =
        text(&put.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut told: Vec<_> =
        told.iter().map(|line| (line["file"].as_str(), line["action"].as_str())).collect();
    told.sort_unstable();
    let (new, old) = (Some("register"), Some("none"));
    let all = [(Some("a"), old), (Some("tree/.deep/x"), new), (Some("tree/y"), new)];
    assert_eq!(told, all, "{}", text(&put.stderr));
    assert!(text(&put.stderr).contains("are left out"), "{}", text(&put.stderr));

    // An answer that cannot be written begins no more files, and ends those that are begun.
    let fresh = ["e", "f", "g"];
    for name in fresh {
        fs::write(desk.folder.path().join(name), format!("fresh {name}")).unwrap();
    }
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let put = [&["haulout", "put", "--at-once", "3"], &fresh[..]].concat();
    let put = desk.command().args(put).stdout(full).output().unwrap();
    let told = text(&put.stderr);
    assert_eq!(put.status.code(), Some(13), "{told}");
    assert!(told.contains("3 files: 3 stored") && told.matches("  g").count() > 0, "{told}");
    let listed = desk.text(&["haulout", "ls"]);
    let has = |name: &str| listed.lines().any(|line| line.starts_with(&format!("{name} ")));
    assert!(fresh.iter().all(|name| has(name)), "{listed}");

    // What holds for all is told once, and nothing is begun after it; programs hear of each file.
    desk.text(&["haulout", "wallet", "new", "--file", "poor.key"]);
    let many: Vec<String> = (0..7).map(|number| format!("poor {number}")).collect();
    many.iter().for_each(|name| fs::write(desk.folder.path().join(name), name).unwrap());
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let poor = |flags: &[&str]| {
        let line = [&["haulout"], flags, &["put", "--at-once", "2"], &many].concat();
        desk.command().args(line).env("HAULOUT_WALLET__KEY_FILE", "poor.key").output().unwrap()
    };
    let (people, programs) = (poor(&[]), poor(&["--json"]));
    let told = text(&people.stderr);
    assert_eq!((people.status.code(), told.matches("FUNDS").count()), (Some(9), 1), "{told}");
    assert!(
        told.contains("more not begun  FUNDS  ") && told.contains(" not begun; paid 0 WAL"),
        "{told}"
    );
    let lines: Vec<Value> =
        text(&programs.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), programs.status.code()), (7, Some(9)), "{lines:?}");
    assert!(lines.iter().all(|line| line["error"]["kind"] == "FUNDS"), "{lines:?}");
    let last = lines.iter().find(|line| line["file"] == "poor 6").unwrap();
    assert!(
        last["error"]["message"].as_str().unwrap().starts_with("not begun: the wallet"),
        "{last}"
    );

    for wrong in [&["a", "-"][..], &["a", "b", "--name", "x"], &["a", "b", "--at-once", "65"]] {
        let refused = desk.failure(&[&["haulout", "--json", "put"], wrong].concat());
        assert_eq!(refused["kind"], "USAGE", "{wrong:?}");
    }
}
