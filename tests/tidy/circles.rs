//! No file of a crate uses another that uses it, directly or round about.
//!
//! Promises: a circle is named with the files in it; what `use` and paths name below `crate`, `self` and `super` counts. A face
//! may name its own parts without that, to declare and to re-export them. Does not: read modules of tests, or follow what
//! macros write.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::{CRATES, code_lines, is_test_file, root, sources};

/// A module: the names from the crate's root to it.
type Module = Vec<String>;

/// What each module of a crate uses, its own parts left out.
type Arrows = BTreeMap<Module, BTreeSet<Module>>;

/// The module that a file below `src` is.
fn module_of(file: &Path) -> Option<Module> {
    let path = file.with_extension("");
    let names: Module = path.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    match names.as_slice() {
        [only] if only == "lib" => Some(Vec::new()),
        [only] if only == "main" => None,
        _ => Some(names),
    }
}

/// The paths that begin in this crate: what `use` trees spell out, and paths in the code.
fn paths(code: &str) -> BTreeSet<Vec<String>> {
    let mut found = BTreeSet::new();
    let mut rest = code;
    while let Some(start) =
        ["crate::", "super::", "self::"].iter().filter_map(|root| rest.find(root)).min()
    {
        let before = &rest[..start];
        let is_word = |it: char| it.is_alphanumeric() || "_:$".contains(it);
        // Who may see something is no use of it.
        let is_whole_word = !before.ends_with(is_word) && !before.ends_with("(in ");
        let here = &rest[start..];
        let read = match is_whole_word {
            true => spell_out(here, &[], &mut found),
            false => here.find("::").map_or(here.len(), |colons| colons + 2),
        };
        rest = &here[read.min(here.len())..];
    }
    found
}

/// Adds what a path or a `use` tree names; returns how much of the text it was.
fn spell_out(text: &str, prefix: &[String], found: &mut BTreeSet<Vec<String>>) -> usize {
    let mut names = prefix.to_vec();
    let mut at = 0;
    loop {
        at += text[at..].len() - text[at..].trim_start().len();
        if text[at..].starts_with('{') {
            at += 1;
            while !text[at..].trim_start().starts_with('}') && at < text.len() {
                at += spell_out(&text[at..], &names, found);
                at += text[at..].find([',', '}']).unwrap_or(text.len() - at);
                at += usize::from(text[at..].starts_with(','));
            }
            return at + 1 + (text[at..].len() - text[at..].trim_start().len());
        }
        let word = text[at..].find(|it: char| !it.is_alphanumeric() && it != '_');
        let word = word.unwrap_or(text[at..].len());
        if word == 0 {
            break;
        }
        names.push(text[at..at + word].to_owned());
        at += word;
        if !text[at..].starts_with("::") {
            break;
        }
        at += 2;
    }
    found.insert(names);
    at
}

/// The module, of those there are, that a path of a module leads to; none if it leads out of the crate.
fn target(from: &Module, path: &[String], modules: &BTreeSet<Module>) -> Option<Module> {
    let mut names: Module = match path.first().map(String::as_str) {
        Some("crate") => Vec::new(),
        Some("self" | "super") => from.clone(),
        _ => return None,
    };
    for name in path {
        match name.as_str() {
            "crate" | "self" => (),
            "super" => drop(names.pop()),
            name => names.push(name.to_owned()),
        }
    }
    while !modules.contains(&names) {
        names.pop()?;
    }
    Some(names)
}

/// The arrows between the files of a crate.
fn arrows(krate: &str) -> Arrows {
    let folder = root().join(krate).join("src");
    let files: Vec<_> = sources()
        .into_iter()
        .filter(|path| !is_test_file(path))
        .filter_map(|path| Some((module_of(path.strip_prefix(&folder).ok()?)?, path)))
        .collect();
    let modules: BTreeSet<_> = files.iter().map(|(module, _)| module.clone()).collect();
    let mut arrows = Arrows::new();
    for (module, path) in files {
        let text = fs::read_to_string(path).unwrap();
        let code: Vec<_> = code_lines(&text).into_iter().map(|(_, line)| line).collect();
        let uses = paths(&code.join("\n"));
        let uses = uses.iter().filter_map(|path| target(&module, path, &modules));
        // The crate's root only says what there is.
        let uses = uses.filter(|used| *used != module && !used.is_empty()).collect();
        arrows.insert(module, uses);
    }
    arrows
}

/// What can be reached from a module along arrows.
fn reached(arrows: &Arrows, from: &Module) -> BTreeSet<Module> {
    let mut reached = BTreeSet::new();
    let mut waiting: Vec<&Module> = vec![from];
    while let Some(module) = waiting.pop() {
        for used in arrows.get(module).into_iter().flatten() {
            if reached.insert(used.clone()) {
                waiting.push(used);
            }
        }
    }
    reached
}

/// The circles: each the modules that reach each other.
fn circles(arrows: &Arrows) -> BTreeSet<BTreeSet<Module>> {
    let reached: BTreeMap<_, _> =
        arrows.keys().map(|module| (module, reached(arrows, module))).collect();
    let mut circles = BTreeSet::new();
    for (module, all) in &reached {
        if all.contains(*module) {
            let back =
                all.iter().filter(|it| reached.get(it).is_some_and(|it| it.contains(*module)));
            circles.insert(back.cloned().collect());
        }
    }
    circles
}

#[test]
fn no_file_is_in_a_circle() {
    let mut findings = Vec::new();
    for krate in CRATES {
        for circle in circles(&arrows(krate)) {
            let files: Vec<_> = circle.iter().map(|module| module.join("/")).collect();
            findings.push(format!("{krate}: {}", files.join(", ")));
        }
    }
    super::check("files use each other in a circle; what both need belongs below both", &findings);
}

#[test]
fn circles_are_found_through_faces_trees_and_paths_in_code() {
    let names = |text: &str| text.split("::").map(str::to_owned).collect::<Vec<_>>();
    let code = "use super::{a::{self, B}, c};\nfn f() { crate::d::e::g(self::h); super::super::i(); not_crate::x(); }\npub(in crate::y) struct Y;";
    let found: BTreeSet<_> = paths(code);
    for path in [
        "super::a::self",
        "super::a::B",
        "super::c",
        "crate::d::e::g",
        "self::h",
        "super::super::i",
    ] {
        assert!(found.contains(&names(path)), "{path} of {found:?}");
    }
    assert_eq!(found.len(), 6, "{found:?}");
    let modules = ["a", "a::b", "c"].map(names).into_iter().chain([Vec::new()]).collect();
    let to = |from: &str, path: &str| target(&names(from), &names(path), &modules);
    assert_eq!(to("a::b", "super::Thing"), Some(names("a")));
    assert_eq!(to("a::b", "super::super::c::Thing"), Some(names("c")));
    assert_eq!(to("c", "crate::a::b::Thing::NEW"), Some(names("a::b")));
    assert_eq!(to("c", "std::fs"), None);
    let arrows: Arrows = [("a", vec!["b"]), ("b", vec!["c"]), ("c", vec!["a"]), ("d", vec!["a"])]
        .into_iter()
        .map(|(from, to)| (names(from), to.into_iter().map(names).collect()))
        .collect();
    let circle: BTreeSet<_> = ["a", "b", "c"].map(names).into_iter().collect();
    assert_eq!(circles(&arrows), [circle].into());
}
