//! Text as it may be shown: characters that act on the text around them are written out.
//!
//! Promises: what comes out moves no cursor, hides nothing and turns nothing round, in lines, JSON and words for a shell. Does
//! not: write.

use std::borrow::Cow;
use std::path::Path;

use serde_json::Value;

/// Whether a character does something to the text around it instead of being seen.
pub(super) fn acts(character: char) -> bool {
    character.is_control()
        || matches!(
            u32::from(character),
            0xad | 0x34f
                | 0x61c
                | 0x115f..=0x1160
                | 0x17b4..=0x17b5
                | 0x180b..=0x180f
                | 0x200b..=0x200f
                | 0x2028..=0x202e
                | 0x2060..=0x206f
                | 0x3164
                | 0xfeff
                | 0xffa0
                | 0xfff0..=0xfffb
                | 0xe0000..=0xe0fff
        )
}

/// Text with each character that `is_wrong` in its visible form.
fn escaped(text: &str, is_wrong: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_wrong) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match is_wrong(character) {
            true => safe.extend(character.escape_default()),
            false => safe.push(character),
        }
    }
    Cow::Owned(safe)
}

/// Lines of ours: line ends and tabs stay.
pub fn block(text: &str) -> Cow<'_, str> {
    escaped(text, |c| acts(c) && c != '\n' && c != '\t')
}

/// A text that somebody else chose, on one line.
pub fn line(text: &str) -> Cow<'_, str> {
    escaped(text, acts)
}

/// A path on one line.
pub fn path(path: &Path) -> String {
    line(&path.to_string_lossy()).into_owned()
}

/// A value as JSON on one line, which a terminal can show too.
pub fn json(value: &Value) -> String {
    json_safe(&value.to_string())
}

/// JSON in which characters that act are escaped; they occur in its strings only.
pub(super) fn json_safe(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        if acts(character) {
            let units = &mut [0; 2];
            for unit in character.encode_utf16(units) {
                safe.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            safe.push(character);
        }
    }
    safe
}

/// A word as a shell takes it, so that a command in a hint works when pasted.
pub fn shell(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_./:@%+=,-".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    if !word.contains(acts) {
        return format!("'{}'", word.replace('\'', r"'\''"));
    }
    let mut quoted = String::from("$'");
    for character in word.chars() {
        match character {
            '\'' | '\\' => quoted.extend(['\\', character]),
            _ if acts(character) => {
                let bytes = &mut [0; 4];
                for byte in character.encode_utf8(bytes).bytes() {
                    quoted.push_str(&format!("\\x{byte:02x}"));
                }
            }
            _ => quoted.push(character),
        }
    }
    quoted + "'"
}
