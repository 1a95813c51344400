//! What a client's warnings are for people: a sentence each, in place of a line of a log.
//!
//! Promises: a sentence is told once; while bars are shown, what is waited for is a line among them, which goes
//! when the wait is over; whatever else is told stays. What strangers chose in a sentence does not act.
//! Does not: choose what is worth a sentence; the filter beside it does, and those who log say in the field
//! `waits_for` that the sentence is true for a while only.

use std::collections::HashSet;
use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::terminal;

/// Sentences that are remembered as told; a client that has more to say may repeat itself.
const TOLD_MAX: usize = 256;

/// The field of a sentence that is true for a while only.
const WAITS_FOR: &str = "waits_for";

/// The layer that tells warnings.
#[derive(Clone, Debug)]
pub(super) struct Notices {
    bars: MultiProgress,
    told: Arc<Mutex<HashSet<String>>>,
    waiting: Arc<Mutex<Option<ProgressBar>>>,
}

impl Notices {
    pub(super) fn new(bars: MultiProgress) -> Self {
        Self { bars, told: Arc::default(), waiting: Arc::default() }
    }

    /// Whether it is told for the first time.
    fn is_new(&self, sentence: &str) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= TOLD_MAX {
            told.clear();
        }
        told.insert(sentence.to_owned())
    }

    fn tell(&self, sentence: &Sentence) {
        let text = sentence.text();
        if sentence.is_passing && !self.bars.is_hidden() {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let line = waiting.get_or_insert_with(|| {
                let line = self.bars.insert(0, ProgressBar::new_spinner());
                line.set_style(ProgressStyle::with_template(" {msg}").expect("it is valid"));
                line
            });
            line.set_message(text);
            line.tick();
        } else if self.is_new(&text) {
            self.bars.suspend(|| terminal::note(&text));
        }
    }

    /// What was waited for is there.
    fn forget(&self) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = waiting.take() {
            line.finish_and_clear();
        }
    }
}

impl<S: Subscriber> Layer<S> for Notices {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut sentence = Sentence::default();
        event.record(&mut sentence);
        match *event.metadata().level() {
            Level::ERROR | Level::WARN => self.tell(&sentence),
            _ if sentence.is_passing => self.forget(),
            _ => {}
        }
    }
}

/// An event in words.
#[derive(Debug, Default)]
struct Sentence {
    message: String,
    details: Vec<String>,
    is_passing: bool,
}

impl Sentence {
    fn text(&self) -> String {
        let mut text = format!("! {}", self.message);
        if !self.details.is_empty() {
            // Writing to a string does not fail.
            let _ = write!(text, " ({})", self.details.join(", "));
        }
        terminal::line(&text).into_owned()
    }
}

impl Visit for Sentence {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            WAITS_FOR => self.is_passing = true,
            name => self.details.push(format!("{}: {value}", name.replace('_', " "))),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use indicatif::{ProgressDrawTarget, TermLike};
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// A terminal that takes everything.
    #[derive(Debug)]
    struct Screen;

    impl TermLike for Screen {
        fn width(&self) -> u16 {
            100
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, _: &str) -> io::Result<()> {
            Ok(())
        }
        fn write_str(&self, _: &str) -> io::Result<()> {
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            Ok(())
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    fn waiting(notices: &Notices) -> Option<String> {
        notices.waiting.lock().unwrap().as_ref().map(ProgressBar::message)
    }

    #[test]
    fn what_is_waited_for_is_a_line_among_the_bars_until_it_is_there() {
        let target = ProgressDrawTarget::term_like(Box::new(Screen));
        let notices = Notices::new(MultiProgress::with_draw_target(target));
        let subscriber = tracing_subscriber::registry().with(notices.clone());
        tracing::subscriber::with_default(subscriber, || {
            for up_to in ["10s", "9s"] {
                tracing::warn!(
                    waits_for = "ledger",
                    reason = "refused\u{1b}[2J",
                    "the ledger does not answer; waiting for it, up to {up_to}"
                );
                let sentence = "! the ledger does not answer; waiting for it, up to";
                let line = format!(r"{sentence} {up_to} (reason: refused\u{{1b}}[2J)");
                assert_eq!(waiting(&notices), Some(line));
            }
            tracing::info!("something else");
            assert!(waiting(&notices).is_some());
            tracing::info!(waits_for = "ledger", "the ledger answers again");
            assert_eq!(waiting(&notices), None);
            assert!(notices.told.lock().unwrap().is_empty(), "nothing of it stays on the screen");
        });
    }

    #[test]
    fn a_sentence_is_told_once_and_a_number_in_it_is_not_the_same_sentence() {
        let notices = Notices::new(MultiProgress::new());
        assert!(notices.is_new("! a") && notices.is_new("! b") && !notices.is_new("! a"));
        for number in 0..2 * TOLD_MAX {
            notices.is_new(&number.to_string());
            assert!(notices.told.lock().unwrap().len() <= TOLD_MAX);
        }
        let sentence = Sentence {
            message: "gone".to_owned(),
            details: vec!["up to: 3s".to_owned(), "who: \n".to_owned()],
            is_passing: false,
        };
        assert_eq!(sentence.text(), r"! gone (up to: 3s, who: \n)");
    }
}
