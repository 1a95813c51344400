//! Completions in the shells themselves, where they are installed: the lines of the help are pasted, then a shell is
//! asked to complete.

use std::path::Path;
use std::process::{Command, Stdio};

/// Runs a shell at home, with our program on its path; nothing if this machine does not have the shell.
fn run(home: &Path, shell: &str, args: &[&str]) -> Option<String> {
    let program = Path::new(env!("CARGO_BIN_EXE_haulout")).parent().expect("it is in a folder");
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(shell);
    command.env_clear().env("HOME", home).env("PATH", format!("{}:{path}", program.display()));
    command.env("TERM", "dumb").current_dir(home).stdin(Stdio::null()).args(args);
    let told = match command.output() {
        Ok(told) => told,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => panic!("{shell}: {error}"),
    };
    let said = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.status.success(), "{shell}: {said}{}", String::from_utf8_lossy(&told.stderr));
    Some(said)
}

/// Pastes the lines that the help says for a shell.
fn install(home: &Path, shell: &str) {
    let help = run(home, "haulout", &["completions", "--help"]).expect("it is built");
    let (_, lines) = help.split_once(&format!("\n{shell}")).expect("the help knows the shell");
    let lines = lines.split_once('\n').expect("lines follow").1;
    let lines = lines.split_once("\n\n").map_or(lines, |(lines, _)| lines);
    run(home, "sh", &["-ec", lines]);
}

#[test]
fn bash_completes_verbs_and_what_help_explains() {
    let home = tempfile::tempdir().unwrap();
    install(home.path(), "bash");
    let script = "source ~/.local/share/bash-completion/completions/haulout; COMP_WORDS=(haulout help st); \
                  COMP_CWORD=2; COMP_LINE='haulout help st'; COMP_POINT=15; _haulout haulout st help; \
                  echo \"${COMPREPLY[@]}\"";
    let said = run(home.path(), "bash", &["-c", script]).unwrap_or("status stake".to_owned());
    assert!(said.contains("status") && said.contains("stake"), "{said}");
}

#[test]
fn fish_completes_verbs_and_what_help_explains() {
    let home = tempfile::tempdir().unwrap();
    install(home.path(), "fish");
    let complete = |line: &str| run(home.path(), "fish", &["-c", &format!("complete -C '{line}'")]);
    for (line, expected) in
        [("haulout sta", "stake"), ("haulout help wo", "words"), ("haulout help sta", "stake")]
    {
        let Some(said) = complete(line) else { return };
        assert!(said.lines().any(|one| one.split('\t').next() == Some(expected)), "{line}: {said}");
    }
}

#[test]
fn zsh_finds_the_script_and_understands_it() {
    let home = tempfile::tempdir().unwrap();
    install(home.path(), "zsh");
    install(home.path(), "zsh"); // a second time changes nothing
    let rc = std::fs::read_to_string(home.path().join(".zshrc")).unwrap();
    assert_eq!(rc.lines().count(), 1, "{rc}");
    let script = "print -r -- $_comps[haulout]; autoload +X _haulout";
    let Some(said) = run(home.path(), "zsh", &["-ic", script]) else { return };
    assert!(said.starts_with("_haulout\n"), "{said}");
}
