//! Progress bars: numbered stages on stderr.
//!
//! Promises: costs nothing when bars are hidden; names in them are on one line and do not act.
//! Does not: decide whether to show them.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use haulout_actors::session::{Observer, Progress};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::terminal;

/// How often a bar without news is drawn again.
const TICK: Duration = Duration::from_millis(120);

const BYTES: &str = " {prefix:<14} {bar:24} {binary_bytes} of {binary_total_bytes}  {binary_bytes_per_sec}  ETA {eta}";
const SO_FAR: &str = " {prefix:<14} {binary_bytes}  {binary_bytes_per_sec}";
const STEPS: &str = " {prefix:<14} {bar:24} {pos} of {len}  {msg}";
const SPINNER: &str = " {prefix:<14} {spinner} {msg}";

/// Nobody watches.
pub(crate) fn nobody() -> Observer {
    Arc::new(|_| ())
}

/// A bar over bytes.
pub(crate) fn bytes(bars: &MultiProgress, stage: &str, total: u64) -> ProgressBar {
    let bar = bars.add(ProgressBar::new(total));
    bar.set_style(ProgressStyle::with_template(BYTES).expect("the template is valid"));
    bar.set_prefix(stage.to_owned());
    bar
}

/// A bar over steps, which says what the current one is.
pub(crate) fn steps(bars: &MultiProgress, stage: &str, total: u64) -> ProgressBar {
    let bar = bars.add(ProgressBar::new(total));
    bar.set_style(ProgressStyle::with_template(STEPS).expect("the template is valid"));
    bar.set_prefix(stage.to_owned());
    bar
}

/// A line that says what is waited for.
fn spinner(bars: &MultiProgress, stage: &str) -> ProgressBar {
    let bar = bars.add(ProgressBar::new_spinner());
    bar.set_style(ProgressStyle::with_template(SPINNER).expect("the template is valid"));
    bar.set_prefix(stage.to_owned());
    bar.enable_steady_tick(TICK);
    bar
}

/// The stages of a put or a get, drawn as they come.
#[derive(Clone, Debug)]
pub(crate) struct Stages {
    bars: MultiProgress,
    names: &'static Names,
    /// Bytes of the blob; nothing until they are known.
    total: Arc<OnceLock<u64>>,
    shards: u16,
    current: Arc<Mutex<Option<(usize, ProgressBar)>>>,
}

/// What the stages of a verb are called, in order.
#[derive(Debug)]
pub(crate) struct Names {
    stages: &'static [&'static str],
    identify: usize,
    locate: usize,
    register: usize,
    transfer: usize,
    confirm: usize,
}

/// Stages of a put.
pub(crate) const PUT: Names = Names {
    stages: &["[1/4] encode", "[2/4] register", "[3/4] upload", "[4/4] certify"],
    identify: 0,
    locate: 1,
    register: 2,
    transfer: 2,
    confirm: 3,
};

/// Stages of a get.
pub(crate) const GET: Names = Names {
    stages: &["[1/2] locate", "[2/2] fetch"],
    identify: 0,
    locate: 0,
    register: 0,
    transfer: 1,
    confirm: 1,
};

impl Stages {
    pub(crate) fn new(
        bars: &MultiProgress,
        names: &'static Names,
        total: Option<u64>,
        shards: u16,
    ) -> Self {
        let total = Arc::new(total.map_or_else(OnceLock::new, OnceLock::from));
        Self { bars: bars.clone(), names, total, shards, current: Arc::default() }
    }

    /// The function a session reports to.
    pub(crate) fn observer(&self) -> Observer {
        let stages = self.clone();
        Arc::new(move |progress| stages.show(progress))
    }

    /// Says that nodes are asked where a blob is, or for room.
    pub(crate) fn ask(&self) {
        self.message(self.names.locate, "asking the nodes".into());
    }

    /// Takes the bars away.
    pub(crate) fn finish(&self) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, bar)) = current.take() {
            bar.finish_and_clear();
        }
    }

    fn show(&self, progress: Progress) {
        match progress {
            Progress::Identified { bytes } => self.bytes(self.names.identify, bytes),
            Progress::Located { bytes } => {
                let _ = self.total.set(bytes); // where it was known, it is the same
                self.ask();
            }
            Progress::Registered(_) => self.bytes(self.names.register, 0),
            Progress::Transferred { bytes } => self.bytes(self.names.transfer, bytes),
            Progress::Confirmed { shards } => self
                .message(self.names.confirm, format!("{shards} of {} shards signed", self.shards)),
            Progress::Certifying => {}
        }
    }

    /// A line that counts bytes of which nobody knows how many there will be.
    fn so_far(&self, name: &str) -> ProgressBar {
        let bar = spinner(&self.bars, name);
        bar.set_style(ProgressStyle::with_template(SO_FAR).expect("the template is valid"));
        bar
    }

    fn bytes(&self, stage: usize, done: u64) {
        self.with(stage, true, |bar| bar.set_position(done.max(bar.position())));
    }

    fn message(&self, stage: usize, text: String) {
        let text = terminal::line(&text).into_owned();
        self.with(stage, false, |bar| bar.set_message(text));
    }

    /// Applies `change` to the bar of a stage, unless a later stage is on already.
    fn with(&self, stage: usize, counts: bool, change: impl FnOnce(&ProgressBar)) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.as_ref().is_some_and(|(on, _)| *on > stage) {
            return;
        }
        if current.as_ref().is_none_or(|(on, _)| *on < stage) {
            if let Some((_, old)) = current.take() {
                old.finish();
            }
            let name = self.names.stages[stage];
            let bar = match (counts, self.total.get()) {
                (true, Some(total)) => bytes(&self.bars, name, *total),
                (true, None) => self.so_far(name),
                (false, _) => spinner(&self.bars, name),
            };
            *current = Some((stage, bar));
        }
        if let Some((_, bar)) = current.as_ref() {
            change(bar);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(stages: &Stages) -> (usize, Option<u64>) {
        let current = stages.current.lock().unwrap();
        let (stage, bar) = current.as_ref().expect("a stage is on");
        (*stage, bar.length())
    }

    #[test]
    fn a_total_is_shown_when_it_is_known_and_not_before() {
        let stages = Stages::new(&MultiProgress::new(), &GET, None, 7);
        let tell = stages.observer();
        stages.ask();
        assert_eq!(bar(&stages), (0, None));
        tell(Progress::Located { bytes: 12_345 });
        tell(Progress::Transferred { bytes: 12 });
        assert_eq!(bar(&stages), (1, Some(12_345)));
        // Nobody said how much it will be.
        let stages = Stages::new(&MultiProgress::new(), &GET, None, 7);
        stages.observer()(Progress::Transferred { bytes: 12 });
        assert_eq!(bar(&stages), (1, None));
        // The length of a file is known from the beginning.
        let stages = Stages::new(&MultiProgress::new(), &PUT, Some(5), 7);
        stages.observer()(Progress::Identified { bytes: 1 });
        assert_eq!(bar(&stages), (0, Some(5)));
    }
}
