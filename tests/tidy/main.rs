//! The rules of the house, as tests: arrows between crates, file length, module docs, forbidden words.
//!
//! Promises: every rule here is one that a reviewer would otherwise have to remember, and each
//! failure names the file and the line. Does not: format or lint; `cargo fmt` and clippy do that.

#![allow(clippy::unwrap_used, reason = "a test may panic, helpers of tests too")]

mod circles;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Our crates from left to right: each may use those before it and none after it.
const CRATES: [&str; 6] = ["protocol", "storage", "actors", "node", "devnet", "tests"];

/// Files longer than this hold more than one idea. Test files are exempt.
const LINES_MAX: usize = 700;

fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("the tests crate lies inside the workspace").to_path_buf()
}

/// Every `.rs` file of the six crates, built output and installed packages apart, in a fixed order.
fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting: Vec<PathBuf> = CRATES.iter().map(|name| root().join(name)).collect();
    while let Some(directory) = waiting.pop() {
        let entries = fs::read_dir(&directory).unwrap_or_else(|e| panic!("{directory:?}: {e}"));
        for entry in entries.map(Result::unwrap) {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_foreign = name == "target" || name == "node_modules" || name.starts_with('.');
            if path.is_dir() && !is_foreign {
                waiting.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(found.len() > 20, "only {} source files found: is the walk broken?", found.len());
    found
}

fn is_test_file(path: &Path) -> bool {
    let relative = path.strip_prefix(root()).unwrap_or(path);
    relative.starts_with("tests")
        || relative.components().any(|part| {
            matches!(part.as_os_str().to_str(), Some("tests" | "tests.rs" | "benches" | "fuzz"))
        })
}

/// The lines of a file before its `#[cfg(test)]` module, with comments and text in quotes blanked.
fn code_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("#[cfg(test)]")
            && text.lines().nth(index + 1).is_some_and(opens_module)
        {
            break;
        }
        lines.push((index + 1, blank_quotes(line)));
    }
    lines
}

fn opens_module(line: &str) -> bool {
    let line = line.trim();
    line.starts_with("mod ") && line.ends_with('{')
}

fn blank_quotes(line: &str) -> String {
    let mut plain = String::new();
    let mut quoted = false;
    let mut escaped = false;
    let characters: Vec<char> = line.chars().collect();
    for (index, &character) in characters.iter().enumerate() {
        if !quoted && character == '/' && characters.get(index + 1) == Some(&'/') {
            break;
        }
        let character_literal = index > 0 && characters[index - 1] == '\'';
        if character == '"' && !escaped && !character_literal {
            quoted = !quoted;
        } else if !quoted {
            plain.push(character);
        }
        escaped = quoted && character == '\\' && !escaped;
    }
    plain
}

/// Fails with one line per finding.
fn check(rule: &str, findings: &[String]) {
    assert!(findings.is_empty(), "{rule}:\n  {}", findings.join("\n  "));
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// Findings of forbidden words in code, one per line of source.
fn lines_with(words: &[&str], tests_too: bool) -> Vec<String> {
    let mut findings = Vec::new();
    for path in sources() {
        if !tests_too && is_test_file(&path) {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for (number, line) in code_lines(&text) {
            if let Some(word) = words.iter().find(|word| line.contains(**word)) {
                findings.push(format!("{}:{number}: {word}", shown(&path)));
            }
        }
    }
    findings
}

fn manifest(folder: &str) -> toml::Table {
    let path = root().join(folder).join("Cargo.toml");
    fs::read_to_string(&path).unwrap().parse().unwrap_or_else(|e| panic!("{path:?}: {e}"))
}

#[test]
fn arrows_between_crates_point_left() {
    let mut findings = Vec::new();
    for (place, folder) in CRATES.iter().enumerate() {
        let manifest = manifest(folder);
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(table) = manifest.get(section).and_then(toml::Value::as_table) else {
                continue;
            };
            for used in table.keys().filter_map(|name| name.strip_prefix("haulout-")) {
                let used_place = CRATES.iter().position(|name| *name == used);
                if used_place.is_none_or(|used_place| used_place >= place) {
                    findings.push(format!("{folder} uses {used} in [{section}]"));
                }
            }
        }
    }
    check("an arrow points right", &findings);
}

#[test]
fn the_workspace_has_exactly_the_six_crates() {
    let manifest = manifest(".");
    let members = manifest["workspace"]["members"].as_array().unwrap();
    let names: BTreeSet<_> = members.iter().filter_map(toml::Value::as_str).collect();
    assert_eq!(names, BTreeSet::from(CRATES));
}

#[test]
fn only_the_fixed_list_is_visible_at_the_top() {
    let expected: BTreeSet<String> = CRATES
        .iter()
        .copied()
        .chain(["Cargo.toml", "Cargo.lock", "README.md"])
        .map(String::from)
        .collect();
    let visible: BTreeSet<String> = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.') && name != "target")
        .collect();
    assert_eq!(visible, expected);
}

#[test]
fn no_file_is_longer_than_700_lines() {
    let mut findings = Vec::new();
    for path in sources().iter().filter(|path| !is_test_file(path)) {
        let lines = fs::read_to_string(path).unwrap().lines().count();
        if lines > LINES_MAX {
            findings.push(format!("{}: {lines} lines", shown(path)));
        }
    }
    check("a file wants to be two", &findings);
}

#[test]
fn every_file_opens_by_saying_what_it_is() {
    let mut findings = Vec::new();
    for path in sources() {
        let text = fs::read_to_string(&path).unwrap();
        let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let front_page = first.starts_with("#![doc = include_str!(");
        let pair = text.lines().take(2).collect::<Vec<_>>();
        let fuzz_target = pair.first() == Some(&"#![no_main]")
            && pair.get(1).is_some_and(|l| l.starts_with("//!"));
        if !first.starts_with("//!") && !front_page && !fuzz_target {
            findings.push(shown(&path));
        }
    }
    check("a file does not open with //!", &findings);
}

#[test]
fn no_module_is_called_mod_rs() {
    let findings: Vec<_> =
        sources().iter().filter(|p| p.ends_with("mod.rs")).map(|p| shown(p)).collect();
    check("write recovery.rs next to recovery/", &findings);
}

#[test]
fn nothing_outside_tests_unwraps() {
    check("an unwrap outside tests", &lines_with(&[".unwrap()"], false));
}

#[test]
fn nothing_unfinished_is_left() {
    let words = ["todo!(", "unimplemented!(", "dbg!(", "#[ignore"];
    check("unfinished work", &lines_with(&words, true));
    let mut findings = Vec::new();
    for path in sources() {
        for (index, line) in fs::read_to_string(&path).unwrap().lines().enumerate() {
            let comment = line.split_once("//").map(|(_, comment)| comment).unwrap_or_default();
            if ["TODO", "FIXME", "XXX"].iter().any(|word| comment.contains(word)) {
                findings.push(format!("{}:{}", shown(&path), index + 1));
            }
        }
    }
    check("unfinished work", &findings);
}

/// Modules that exist only for tests: `#[cfg(test)]` and then `mod name;`. Their files may be called anything.
fn test_modules() -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for path in sources() {
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<_> = text.lines().map(str::trim).collect();
        for pair in lines.windows(2).filter(|pair| pair[0] == "#[cfg(test)]") {
            let Some(name) = pair[1].strip_suffix(';').and_then(|it| it.split("mod ").nth(1))
            else {
                continue;
            };
            let is_root = ["lib.rs", "main.rs"].iter().any(|root| path.ends_with(root));
            let folder =
                if is_root { path.parent().unwrap().to_owned() } else { path.with_extension("") };
            found.insert(folder.join(name).with_extension("rs"));
        }
    }
    found
}

/// The numbers and texts of the lines that only tests run: whole files of tests, and what `#[cfg(test)]` stands before.
fn test_lines(text: &str, is_test_file: bool) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut until: Option<String> = None; // what ends the part that `#[cfg(test)]` stands before
    for (index, line) in text.lines().enumerate() {
        let indent: String = line.chars().take_while(|character| *character == ' ').collect();
        if is_test_file || until.is_some() {
            lines.push((index + 1, blank_quotes(line)));
        }
        match &until {
            None if line.trim() == "#[cfg(test)]" => until = Some(indent),
            // The item ends with its closing bracket, or is one line.
            Some(of) if indent == *of && !line.trim().starts_with("#[") => {
                let is_over = line.trim_start().starts_with(['}', ')'])
                    || line.ends_with([';', ','])
                    || (line.ends_with('}') && line.contains('{'));
                until = until.filter(|_| !is_over);
            }
            _ => {}
        }
    }
    lines
}

/// The lines with a sleep that is not the pause of a loop: each such test waits for time to pass and not for a fact.
fn sleeps(lines: &[(usize, String)]) -> Vec<usize> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let pauses = |line: &str| {
        let words = ["sleep(", "sleep_until(", "park_timeout("];
        words.iter().any(|word| line.contains(word))
    };
    let mut found = Vec::new();
    for (at, (number, line)) in lines.iter().enumerate().filter(|(_, (_, line))| pauses(line)) {
        let mut depth = indent(line);
        let mut is_in_loop = false;
        for (_, above) in lines[..at].iter().rev().filter(|(_, above)| !above.trim().is_empty()) {
            if indent(above) < depth {
                // A bracket alone belongs to the lines of a long condition, which begins where it stands.
                depth = indent(above) + usize::from(above.trim() == "{");
                let opens = above.trim_start();
                is_in_loop |=
                    ["loop ", "while ", "for "].iter().any(|word| opens.starts_with(word));
                // The loop must be in the same function.
                if ["fn ", "async fn ", "pub "].iter().any(|word| opens.starts_with(word)) {
                    break;
                }
            }
        }
        // A future that is only built to be polled by hand is the clock of a scripted peer.
        if !is_in_loop && !line.contains("Box::pin(") {
            found.push(*number);
        }
    }
    found
}

#[test]
fn no_test_sleeps() {
    let (modules, mut findings) = (test_modules(), Vec::new());
    for path in sources() {
        let text = fs::read_to_string(&path).unwrap();
        let is_test_file = is_test_file(&path) || modules.contains(&path);
        for number in sleeps(&test_lines(&text, is_test_file)) {
            findings.push(format!("{}:{number}", shown(&path)));
        }
    }
    check("poll a fact in a loop with a deadline instead", &findings);
}

#[test]
fn sleeps_are_found_wherever_tests_are_and_pauses_of_loops_are_not() {
    let sleeping = "async fn test() {\n    start();\n    tokio::time::sleep(SECOND).await;\n}\n";
    let polling =
        "fn eventually() {\n    while !is_so() {\n        thread::sleep(PAUSE);\n    }\n}\n";
    let after =
        "fn test() {\n    while !is_so() {\n        go_on();\n    }\n    sleep(SECOND);\n}\n";
    assert_eq!(sleeps(&test_lines(sleeping, true)), [3]);
    assert_eq!(sleeps(&test_lines(polling, true)), [0; 0]);
    assert_eq!(sleeps(&test_lines(after, true)), [5]);
    assert_eq!(sleeps(&test_lines(sleeping, false)), [0; 0], "the product may");
    let module = format!("fn product() {{}}\n#[cfg(test)]\nmod tests {{\n{}}}\n", {
        sleeping.lines().fold(String::new(), |text, line| text + "    " + line + "\n")
    });
    assert_eq!(sleeps(&test_lines(&module, false)), [6]);
    let declared = "#[cfg(test)]\nmod tests;\n";
    assert_eq!(sleeps(&test_lines(&format!("{declared}{sleeping}"), false)), [0; 0]);
}

/// The verbs with which the store is read: they block.
fn reading_verbs() -> Vec<String> {
    let mut verbs = Vec::new();
    for path in sources().iter().filter(|path| shown(path).starts_with("storage/src/store")) {
        let text = fs::read_to_string(path).unwrap();
        for line in text.lines() {
            let verb =
                line.trim_start().strip_prefix("pub fn ").and_then(|rest| rest.split_once('('));
            if let Some((verb, rest)) = verb
                && (rest.is_empty() || rest.starts_with("&self"))
            {
                verbs.push(format!("context.store.{verb}("));
            }
        }
    }
    verbs
}

#[test]
fn no_actor_reads_the_store_where_others_wait() {
    let verbs = reading_verbs();
    assert!(verbs.iter().any(|verb| verb == "context.store.blob("), "only {verbs:?}");
    // A closure for the blocking pool owns its store; whoever reads through the context is on a thread of the runtime.
    let mut findings = Vec::new();
    for path in sources().iter().filter(|path| path.starts_with(root().join("actors/src"))) {
        let text = fs::read_to_string(path).unwrap();
        if is_test_file(path) {
            continue;
        }
        for (number, line) in code_lines(&text) {
            if verbs.iter().any(|verb| line.contains(verb.as_str())) {
                findings.push(format!("{}:{number}: {}", shown(path), line.trim()));
            }
        }
    }
    check("the store is read on the blocking pool", &findings);
}

#[test]
fn nothing_is_unsafe_or_unbounded() {
    let words = ["unsafe {", "unsafe fn", "unbounded_channel(", "mpsc::unbounded("];
    check("unsafe or unbounded", &lines_with(&words, true));
}

/// Crates that only these files and folders of `protocol` may name.
const NAMED_ONLY_IN: [(&str, &[&str]); 6] = [
    ("blst::", &["protocol/src/crypto/"]),
    ("blake2::", &["protocol/src/crypto/"]),
    ("blake3::", &["protocol/src/crypto/", "protocol/src/encoding/"]),
    ("ed25519_dalek::", &["protocol/src/crypto/"]),
    ("rayon::", &["protocol/src/encoding/threads.rs"]),
    ("thread::", &[]),
];

#[test]
fn protocol_names_cryptography_and_threads_only_where_its_readme_says() {
    let mut findings = Vec::new();
    for (word, places) in NAMED_ONLY_IN {
        let is_misplaced = |finding: &String| {
            finding.starts_with("protocol/src/")
                && !places.iter().any(|place| finding.starts_with(place))
        };
        findings.extend(lines_with(&[word], false).into_iter().filter(is_misplaced));
    }
    check("see the map and the invariants in protocol/README.md", &findings);
}

#[test]
fn paths_reach_people_through_terminal_path() {
    // A path may hold anything but a zero; `Path::display` would send it to the terminal as it is.
    let shows = |line: &String| ["node/src/", "devnet/src/"].iter().any(|at| line.starts_with(at));
    let findings: Vec<_> = lines_with(&[".display()"], false).into_iter().filter(shows).collect();
    check("show it by `terminal::path`, in JSON by `to_string_lossy`", &findings);
}

#[test]
fn every_profile_unwinds() {
    let manifest = manifest(".");
    let profiles = manifest["profile"].as_table().unwrap();
    for (name, profile) in profiles {
        let panic = profile.get("panic").and_then(toml::Value::as_str).unwrap_or("unwind");
        assert_eq!(panic, "unwind", "profile {name}: supervision needs unwinding");
    }
}

#[test]
fn every_crate_takes_its_lints_and_versions_from_the_workspace() {
    let mut findings = Vec::new();
    for folder in CRATES {
        let manifest = manifest(folder);
        let lints = manifest.get("lints").and_then(|lints| lints.get("workspace"));
        if lints.and_then(toml::Value::as_bool) != Some(true) {
            findings.push(format!("{folder}: no `lints.workspace = true`"));
        }
        for section in ["dependencies", "dev-dependencies"] {
            let Some(table) = manifest.get(section).and_then(toml::Value::as_table) else {
                continue;
            };
            for (name, value) in table {
                let inherited = value.get("workspace").and_then(toml::Value::as_bool) == Some(true);
                if !inherited {
                    findings.push(format!("{folder}: {name} names its own version"));
                }
            }
        }
    }
    check("a manifest goes its own way", &findings);
}

#[test]
fn the_lock_file_has_each_of_our_crates_once() {
    let lock: toml::Table = fs::read_to_string(root().join("Cargo.lock")).unwrap().parse().unwrap();
    let mut times = BTreeMap::new();
    for package in lock["package"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        if name.starts_with("haulout-") {
            *times.entry(name.to_owned()).or_insert(0) += 1;
            assert!(package.get("source").is_none(), "{name} comes from elsewhere");
        }
    }
    let expected = CRATES.iter().map(|folder| (format!("haulout-{folder}"), 1)).collect();
    assert_eq!(times, expected);
}

#[test]
fn no_lock_file_names_a_download_address() {
    let mut findings = Vec::new();
    let mut waiting = vec![root()];
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            if path.is_dir() && !matches!(name.as_str(), "target" | ".git" | "node_modules") {
                waiting.push(path);
            } else if matches!(
                name.as_str(),
                "package-lock.json" | "pnpm-lock.yaml" | "yarn.lock" | "uv.lock"
            ) {
                let text = fs::read_to_string(&path).unwrap();
                if text.contains("\"resolved\": \"http") || text.contains("url = \"http") {
                    findings.push(shown(&path));
                }
            }
        }
    }
    check("a lock file says where to download from", &findings);
}

#[test]
fn every_crate_has_a_readme_and_its_readme_is_its_front_page() {
    let mut findings = String::new();
    for folder in CRATES.iter().filter(|folder| **folder != "tests") {
        let library = fs::read_to_string(root().join(folder).join("src/lib.rs")).unwrap();
        let readme = root().join(folder).join("README.md").exists();
        if !readme || !library.contains("include_str!(\"../README.md\")") {
            writeln!(findings, "{folder}").unwrap();
        }
    }
    assert!(findings.is_empty(), "a crate without its front page:\n{findings}");
}

/// Commands that texts for people may say; whoever prints a text adds the flags that were given.
const SAID: [(&str, &[&str]); 2] = [
    (
        "haulout",
        &[
            "put",
            "get",
            "status",
            "ls",
            "extend",
            "name",
            "rm",
            "info",
            "wallet",
            "stake",
            "blob-id",
            "bench",
            "node",
            "config",
            "context",
            "completions",
            "help",
        ],
    ),
    (
        "devnet",
        &[
            "up",
            "status",
            "logs",
            "kill",
            "pause",
            "resume",
            "restart",
            "wait",
            "epoch",
            "faucet",
            "down",
            "verify-ledger",
            "completions",
            "help",
            "haulout",
        ],
    ),
];

/// Where a line says a command outside of backticks; one on a line of its own is meant as it stands.
fn says_bare_command(line: &str) -> bool {
    SAID.iter().any(|(program, verbs)| {
        line.match_indices(&format!("{program} ")).any(|(at, found)| {
            let (before, after) = (&line[..at], &line[at + found.len()..]);
            let verb = after.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').next();
            let is_inside_word = before.ends_with("`devnet ")
                || before.ends_with(|c: char| c.is_alphanumeric() || "`-/_".contains(c));
            let indented = before.trim_end_matches(' ');
            let is_own_line = before.len() - indented.len() >= 2
                && (indented.ends_with('"') || indented.ends_with("\\n"));
            verb.is_some_and(|verb| verbs.contains(&verb)) && !is_inside_word && !is_own_line
        })
    })
}

#[test]
fn commands_in_texts_stand_in_backticks() {
    assert!(says_bare_command(".hint(\"haulout help errors\")"));
    assert!(says_bare_command("\"see devnet logs n1\""));
    assert!(!says_bare_command("\"`devnet logs n1` of a devnet that is up; `devnet haulout ls`\""));
    assert!(!says_bare_command("\"   haulout put FILE\""));
    let mut findings = Vec::new();
    for path in sources() {
        let shown = shown(&path);
        let is_ours = shown.starts_with("node/src") || shown.starts_with("devnet/src");
        if !is_ours || is_test_file(&path) {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let mut is_help = false;
        for (number, _) in code_lines(&text) {
            let line = text.lines().nth(number - 1).unwrap_or_default();
            // The parser prints help as it stands, and examples in it are lines of their own.
            is_help |= line.contains("after_help");
            let is_comment = line.trim_start().starts_with("//");
            if !is_help && !is_comment && says_bare_command(line) {
                findings.push(format!("{shown}:{number}: {}", line.trim()));
            }
            is_help &= !line.contains(")]");
        }
    }
    check("a command without backticks cannot get the flags it needs", &findings);
}
