//! Blobs on a terminal, in pipes and in files, with a real devnet and a real pseudo-terminal.
//!
//! One test, because each start costs seconds and the sentences share it.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may panic, helpers of tests too")]

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::Value;

struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_devnet"));
        command
            .args(arguments)
            .env("XDG_STATE_HOME", self.folder.path().join("state"))
            .env("XDG_CONFIG_HOME", self.folder.path().join("config"))
            .env_remove("HAULOUT_CONFIG")
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        command
    }

    fn haulout(&self, arguments: &[&str]) -> Command {
        self.command(&[&["haulout"], arguments].concat())
    }

    fn put(&self, name: &str, bytes: &[u8]) -> String {
        fs::write(self.folder.path().join(name), bytes).unwrap();
        let put = self.haulout(&["-q", "put", name]).output().unwrap();
        succeeded(&put);
        String::from_utf8(put.stdout).unwrap().trim().to_owned()
    }

    /// Runs a command whose stdout and stderr are one terminal, at whose keyboard `typed` is typed.
    fn on_terminal(&self, arguments: &[&str], typed: Option<&str>) -> (Option<i32>, String) {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let side = OpenOptions::new().read(true).write(true).open(name).unwrap();
        let mut command = self.haulout(arguments);
        command.stdout(side.try_clone().unwrap()).stderr(side.try_clone().unwrap());
        let mut master = File::from(master);
        if let Some(typed) = typed {
            command.stdin(side.try_clone().unwrap());
            master.write_all(typed.as_bytes()).unwrap();
        }
        drop(side);
        let mut child = command.env("TERM", "xterm").spawn().unwrap();
        drop(command);
        let mut seen = Vec::new();
        // Ends with an error when nobody has the other side any more.
        let _ = master.read_to_end(&mut seen);
        let code = child.wait().unwrap().code();
        (code, String::from_utf8_lossy(&seen).replace("\r\n", "\n"))
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = self.command(&["down", "--purge"]).output();
    }
}

fn succeeded(output: &Output) {
    assert!(output.status.success(), "{}", said(output));
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

fn full() -> File {
    OpenOptions::new().write(true).open("/dev/full").unwrap()
}

#[test]
fn blobs_come_out_whole_and_harmless_and_nothing_is_lost_on_the_way() {
    let desk = Desk { folder: tempfile::tempdir().unwrap() };
    let size = ["up", "-d", "--nodes", "4", "--shards", "7"];
    let rest = ["--port-base", "0", "--timeout", "120s"];
    succeeded(&desk.command(&[&size[..], &rest[..]].concat()).output().unwrap());

    text_on_a_terminal_is_whole(&desk);
    an_answer_on_a_terminal_is_not_erased(&desk);
    what_is_no_text_is_asked_for(&desk);
    an_id_is_not_lost(&desk);
    a_reader_that_has_enough_hears_nothing(&desk);
    a_file_keeps_its_mode(&desk);
    only_what_was_meant_is_stored(&desk);
    names_do_not_act(&desk);
}

fn text_on_a_terminal_is_whole(desk: &Desk) {
    let text: String = (0..200).map(|line| format!("line {line}, é漢\n")).collect();
    for text in [&text, "no line end"] {
        let id = desk.put("text", text.as_bytes());
        for typed in [None, Some("")] {
            let (code, seen) = desk.on_terminal(&["get", &id], typed);
            assert_eq!(code, Some(0), "{seen}");
            assert!(seen.starts_with(text), "{seen:?}");
            assert!(!seen.contains('\u{1b}'), "a bar could erase it: {seen:?}");
            assert!(seen[text.len()..].trim().starts_with('✓'), "{seen:?}");
        }
    }
}

fn an_answer_on_a_terminal_is_not_erased(desk: &Desk) {
    fs::write(desk.folder.path().join("seen"), vec![b'a'; 1 << 20]).unwrap();
    for arguments in [&["put", "seen"][..], &["put", "seen", "--force"], &["blob-id", "seen"]] {
        let (code, seen) = desk.on_terminal(arguments, None);
        assert_eq!(code, Some(0), "{seen}");
        let answer = seen.rfind(if arguments[0] == "put" { "✓" } else { "blob  " });
        let answer = &seen[answer.expect("it is told")..];
        assert!(answer.contains("\n") && !answer.contains('\u{1b}'), "{answer:?}");
    }
    let (code, seen) = desk.on_terminal(&["get", &"A".repeat(43)], None);
    assert_eq!(code, Some(4), "{seen}");
    assert!(!seen[seen.find('✗').expect("it is told")..].contains('\u{1b}'), "{seen:?}");
}

fn what_is_no_text_is_asked_for(desk: &Desk) {
    let id = desk.put("binary", b"\x1b[31mred\0");
    let (code, seen) = desk.on_terminal(&["get", &id], None);
    assert_eq!(code, Some(2), "{seen}");
    assert!(seen.contains(&format!("haulout get {id} -o FILE")) && !seen.contains('\u{1b}'));
    let (code, seen) = desk.on_terminal(&["get", &id], Some("n\n"));
    assert_eq!(code, Some(0), "{seen}");
    assert!(seen.contains("[y/N]") && !seen.contains('\u{1b}'), "{seen:?}");
    for (arguments, typed) in [(vec!["get", &id], Some("y\n")), (vec!["get", &id, "-o", "-"], None)]
    {
        let (code, seen) = desk.on_terminal(&arguments, typed);
        assert_eq!(code, Some(0), "{seen}");
        assert!(seen.contains("\u{1b}[31mred\0"), "{seen:?}");
    }
    let piped = desk.haulout(&["get", &id]).output().unwrap();
    assert_eq!(piped.stdout, b"\x1b[31mred\0", "to a pipe, anything goes");
}

fn an_id_is_not_lost(desk: &Desk) {
    let id = desk.put("full", b"what was paid for");
    for arguments in [vec!["put", "full", "--force"], vec!["-q", "put", "full", "--force"]] {
        let told = desk.haulout(&arguments).stdout(full()).output().unwrap();
        assert_eq!(told.status.code(), Some(13), "{}", said(&told));
        assert!(said(&told).contains(&format!("the answer: {id}")), "{}", said(&told));
        assert!(said(&told).contains("what was asked for is done"), "{}", said(&told));
    }
    let told = desk.haulout(&["--json", "put", "full", "--force"]).stdout(full()).output().unwrap();
    assert_eq!(told.status.code(), Some(13));
    let error: Value = serde_json::from_slice(&told.stderr).unwrap();
    assert!(error["error"]["details"]["answer"].as_str().unwrap().contains(&id), "{error}");
    // Where nothing was changed, one may ask again.
    for arguments in [
        &["ls"][..],
        &["info"],
        &["wallet"],
        &["status", &id],
        &["stake", "nodes"],
        &["put", "full", "--dry-run"],
        &["put", "full", "full", "--dry-run"],
    ] {
        let told = desk.haulout(arguments).stdout(full()).output().unwrap();
        assert_eq!(told.status.code(), Some(13), "{arguments:?}: {}", said(&told));
        assert!(said(&told).contains("nothing was changed or paid; ask again"), "{}", said(&told));
    }
    for arguments in [&["status"][..], &["--json", "status"], &["logs"], &["--help"]] {
        let told = desk.command(arguments).stdout(full()).output().unwrap();
        assert_eq!(told.status.code(), Some(13), "devnet {arguments:?}: {}", said(&told));
    }
    let told = desk.haulout(&["get", &id]).stdout(full()).output().unwrap();
    assert_eq!(told.status.code(), Some(13), "{}", said(&told));
}

fn a_reader_that_has_enough_hears_nothing(desk: &Desk) {
    let id = desk.put("long", &vec![b'a'; 1 << 20]);
    for command in [desk.haulout(&["get", &id]), desk.haulout(&["ls"]), desk.command(&["logs"])] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = command;
        let told = command.stdout(writer).output().unwrap();
        assert_eq!(told.status.code(), Some(141), "{command:?}");
        assert_eq!(said(&told), "", "{command:?}");
    }
}

fn a_file_keeps_its_mode(desk: &Desk) {
    let id = desk.put("secret", b"for my eyes only");
    let path = desk.folder.path().join("copy");
    fs::write(&path, "old").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    succeeded(&desk.haulout(&["get", &id, "-o", "copy"]).output().unwrap());
    assert_eq!(fs::read(&path).unwrap(), b"for my eyes only");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
}

fn only_what_was_meant_is_stored(desk: &Desk) {
    // A file that says it has no bytes, and has some.
    let version = fs::read("/proc/version").unwrap();
    let put = desk.haulout(&["--json", "put", "/proc/version"]).output().unwrap();
    succeeded(&put);
    let put: Value = serde_json::from_slice(&put.stdout).unwrap();
    assert_eq!(put["size"], version.len());
    // Nothing from stdin is most likely a mistake; a folder there certainly is.
    let nothing = desk.haulout(&["put", "-"]).output().unwrap();
    assert_eq!(nothing.status.code(), Some(2));
    assert!(said(&nothing).contains("--allow-empty"), "{}", said(&nothing));
    let shell = format!("exec '{}' haulout put - <&-", env!("CARGO_BIN_EXE_devnet"));
    let mut closed = desk.command(&[]);
    let environment: Vec<_> = closed
        .get_envs()
        .filter_map(|(key, value)| Some((key.to_owned(), value?.to_owned())))
        .collect();
    closed = Command::new("sh");
    let closed = closed.args(["-c", &shell]).envs(environment).output().unwrap();
    assert_eq!(closed.status.code(), Some(2), "{}", said(&closed));
    let folder = File::open(desk.folder.path()).unwrap();
    let refused = desk.haulout(&["put", "-"]).stdin(folder).output().unwrap();
    assert!(said(&refused).contains("cannot read stdin"), "{}", said(&refused));
    assert!(!said(&refused).contains("state_dir"), "{}", said(&refused));
    succeeded(&desk.haulout(&["put", "-", "--allow-empty"]).output().unwrap());
    desk.put("empty", b"");
}

fn names_do_not_act(desk: &Desk) {
    let name = "a\u{1b}[31m\n✓ Stored  forged\u{202e}";
    fs::write(desk.folder.path().join(name), "some bytes").unwrap();
    for arguments in [vec!["put", name], vec!["put", name, "--dry-run"]] {
        let put = desk.haulout(&arguments).output().unwrap();
        succeeded(&put);
        let text = said(&put);
        assert!(text.contains(r"a\u{1b}[31m\n✓ Stored  forged\u{202e}"), "{text:?}");
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text:?}");
    }
    let id = desk.put("plain", b"some bytes");
    for json in [&[][..], &["--json"]] {
        let arguments = [json, &["get", &id, "-o", name]].concat();
        let got = desk.haulout(&arguments).output().unwrap();
        succeeded(&got);
        assert!(!said(&got).contains(['\u{1b}', '\u{202e}']), "{:?}", said(&got));
    }
    assert!(Path::new(&desk.folder.path().join(name)).exists());
}
