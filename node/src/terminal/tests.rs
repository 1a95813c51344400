//! What leaves the process cannot act on a terminal, and answers are not lost silently.

use super::shown::acts;
use super::*;

/// A colour, a newline, the mark that turns writing round, a C1 control, no width, a line separator.
const ATTACK: &str = "a\u{1b}[31m\n\u{202e}\u{9b}2J\u{200b}\u{2028}\u{7f}\te\u{301}é漢";

#[test]
fn no_character_that_acts_leaves_and_letters_of_all_scripts_do() {
    for safe in [line(ATTACK).into_owned(), json(&ATTACK.into())] {
        assert!(!safe.contains(acts), "{safe:?}");
        assert!(safe.contains("e\u{301}é漢"), "{safe}");
    }
    assert_eq!(line("a\u{1b}[31m\n"), r"a\u{1b}[31m\n");
    assert_eq!(block("a\n\tb\r"), "a\n\tb\\r");
    assert_eq!(path(Path::new("a\u{202e}b")), r"a\u{202e}b");
}

#[test]
fn escaped_json_reads_back_as_it_was() {
    let tag = "\u{e0041}";
    let value = serde_json::json!({ "name": format!("{ATTACK}{tag}") });
    assert!(json(&value).is_ascii() || !json(&value).contains(acts));
    assert_eq!(serde_json::from_str::<Value>(&json(&value)).unwrap(), value);
}

#[test]
fn a_word_in_a_hint_is_one_word_for_the_shell() {
    assert_eq!(shell("/a/b-c.key"), "/a/b-c.key");
    for word in ["", "a b", "it's", "$(x)", "~", "a\n\u{1b}'\\b", "\u{202e}é"] {
        assert!(!shell(word).contains(acts), "{word:?}");
        let echoed = std::process::Command::new("bash")
            .args(["-c", &format!("printf %s {}", shell(word))])
            .output()
            .unwrap();
        assert_eq!(String::from_utf8(echoed.stdout).unwrap(), word);
    }
}

#[test]
fn a_log_line_keeps_our_colours_and_is_one_line() {
    let event = b"\x1b[32mINFO\x1b[0m peer \"a\x1b[2J\x1b]0;x\x07\nWARN forged\"\n";
    let safe = log_line(event, LogForm::Coloured);
    assert!(safe.starts_with("\u{1b}[32mINFO\u{1b}[0m peer"), "{safe:?}");
    assert!(safe.contains(r"a\u{1b}[2J\u{1b}]0;x\u{7}\nWARN"), "{safe:?}");
    assert_eq!(safe.matches('\n').count(), 1);
    assert_eq!(log_line("a\u{1b}[1mb\n".as_bytes(), LogForm::Plain), "a\\u{1b}[1mb\n");
    let told = log_line("{\"a\":\"\u{202e}\"}\n".as_bytes(), LogForm::Json);
    assert_eq!(told, "{\"a\":\"\\u202e\"}\n");
}

/// A device that takes nothing.
struct Deaf(io::ErrorKind);

impl Write for Deaf {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn an_answer_that_cannot_be_written_is_in_the_error_and_a_closed_pipe_is_no_such_error() {
    let lost = written(Deaf(io::ErrorKind::StorageFull), "long text", "ID").unwrap_err();
    assert_eq!(lost.kind(), Kind::Full);
    assert!(lost.to_text().contains("\n  the answer: ID\n"), "{}", lost.to_text());
    let gone = written(Deaf(io::ErrorKind::BrokenPipe), "long text", "ID").unwrap_err();
    assert_eq!(gone.kind(), Kind::Pipe);
    let many = "ID\n".repeat(1000);
    let lost = written(Deaf(io::ErrorKind::StorageFull), "long text", &many).unwrap_err();
    assert_eq!(lost.to_text().matches("ID").count(), LINES_REPEATED_MAX);
}
