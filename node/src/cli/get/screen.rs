//! A blob on a terminal: text is shown, anything else only to somebody who agreed.
//!
//! Promises: no control character of a blob reaches a terminal unasked, however late in the blob it
//! comes. Does not: look at what goes anywhere else.

use haulout_protocol::blob::BlobId;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::not_shown;
use crate::cli::output;
use crate::cli::owner::agreed;
use crate::error::{Error, Kind, Result};

/// Bytes looked at and shown at a time.
const LOOK_BYTES: usize = 64 << 10;

/// How showing a blob ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// With a line end, or with nothing at all.
    WholeLines,
    /// In the midst of a line.
    PartOfLine,
    /// Before its end: it was not wanted.
    Declined,
}

/// Copies what arrives to a terminal; asks, if it can, before the first bytes that are no text.
pub(super) async fn show(
    mut reader: impl AsyncRead + Unpin,
    mut screen: impl AsyncWrite + Unpin,
    blob_id: &BlobId,
    can_ask: bool,
) -> Result<Shown> {
    let (mut buffer, mut text) = (vec![0; LOOK_BYTES], Some(Text::default()));
    let mut shown = Shown::WholeLines;
    loop {
        let count = reader.read(&mut buffer).await.map_err(not_shown)?;
        let piece = &buffer[..count];
        if text.as_mut().is_some_and(|text| !text.goes_on(piece)) {
            if !can_ask {
                return Err(no_text(blob_id));
            }
            output::ask("This blob is no text. Show it on the terminal all the same? [y/N] ");
            if !agreed().await? {
                return Ok(Shown::Declined);
            }
            text = None;
        }
        let Some(last) = piece.last() else { break };
        shown = if *last == b'\n' { Shown::WholeLines } else { Shown::PartOfLine };
        screen.write_all(piece).await.map_err(not_shown)?;
    }
    screen.flush().await.map_err(not_shown)?;
    Ok(shown)
}

fn no_text(blob_id: &BlobId) -> Error {
    Error::new(Kind::Usage, "this blob is no text, and stdout is a terminal").hint(format!(
        "`haulout get {blob_id} -o FILE` keeps it; `haulout get {blob_id} -o -` shows it all the same"
    ))
}

/// Tells text from everything else, piece by piece.
#[derive(Debug, Default)]
struct Text {
    /// The beginning of a character whose end is in the next piece.
    begun: Vec<u8>,
}

impl Text {
    /// Whether it is still text with this piece, of which an empty one is the end.
    fn goes_on(&mut self, piece: &[u8]) -> bool {
        if piece.is_empty() {
            return self.begun.is_empty();
        }
        let bytes = [&std::mem::take(&mut self.begun), piece].concat();
        let whole = match std::str::from_utf8(&bytes) {
            Ok(text) => text,
            Err(error) if error.error_len().is_some() => return false,
            Err(error) => {
                let (whole, begun) = bytes.split_at(error.valid_up_to());
                self.begun = begun.to_vec();
                std::str::from_utf8(whole).unwrap_or_default()
            }
        };
        !whole.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{c}'))
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn is_text(pieces: &[&[u8]]) -> bool {
        let mut text = Text::default();
        pieces.iter().chain([&&b""[..]]).all(|piece| text.goes_on(piece))
    }

    #[test]
    fn text_of_all_scripts_is_text_wherever_it_is_cut() {
        let text = "plain\ttext\r\n\u{c}é漢字 🦭 \u{200f}עברית".as_bytes();
        for cut in 0..=text.len() {
            let (one, two) = text.split_at(cut);
            let pieces: Vec<&[u8]> = [one, two].into_iter().filter(|it| !it.is_empty()).collect();
            assert!(is_text(&pieces), "cut at {cut}");
        }
        assert!(is_text(&[]));
    }

    #[test]
    fn what_a_terminal_would_obey_and_what_is_not_whole_is_no_text() {
        for bytes in [&b"\x1b[31m"[..], b"a\0b", b"\x7fELF", b"\xff\xfe", b"a\x07", b"\xc2\x9b2J"] {
            assert!(!is_text(&[b"fine so far\n", bytes]), "{bytes:?}");
        }
        assert!(!is_text(&[b"cut \xe6\xbc"]), "ends in the midst of a character");
    }

    #[tokio::test]
    async fn what_is_no_text_is_not_shown_where_nobody_can_be_asked() {
        let id = BlobId::from_bytes([7; 32]);
        let mut screen = Vec::new();
        let shown = show(&b"hello\n"[..], &mut screen, &id, false).await.unwrap();
        assert_eq!((shown, &screen[..]), (Shown::WholeLines, &b"hello\n"[..]));
        let mut screen = Vec::new();
        let shown = show(&b"hello"[..], &mut screen, &id, false).await.unwrap();
        assert_eq!(shown, Shown::PartOfLine);
        let bytes = [&[b'a'; LOOK_BYTES][..], b"\x1b[31m"].concat();
        let mut screen = Vec::new();
        let refused = show(&bytes[..], &mut screen, &id, false).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Usage);
        assert!(refused.next_step().contains("-o FILE") && refused.next_step().contains("-o -"));
        assert!(!screen.contains(&0x1b));
    }

    #[tokio::test]
    async fn a_screen_that_is_gone_is_a_reader_that_is_gone() {
        let id = BlobId::from_bytes([7; 32]);
        let (screen, other) = tokio::io::duplex(16);
        drop(other);
        let error = show(&b"hello"[..], screen, &id, false).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Pipe);
        assert_eq!(not_shown(io::ErrorKind::StorageFull.into()).kind(), Kind::Full);
    }
}
