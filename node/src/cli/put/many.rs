//! `haulout put` of several files: one client, a bounded number of them at a time.
//!
//! Promises: each file is told as it ends; one that fails stops no other, unless the reason holds for all; bytes that come
//! twice are paid once. Does not: keep the order of the files, but in a dry run.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use futures::{StreamExt, future, stream};
use haulout_actors::chain::Cost;
use haulout_protocol::machine::put_plan::Plan;
use indicatif::ProgressBar;
use tokio::sync::Mutex;

use super::halt::Halt;
use super::report::Named;
use super::{LeftBehind, Put, Stored};
use crate::calendar::Calendar;
use crate::cli::estimate::{Estimator, Sum};
use crate::cli::output::Output;
use crate::config::ClientConfig;
use crate::error::Result;
use crate::light_client::LightClient;
use crate::progress;
use crate::terminal;
use crate::words::{count, sui, wal};

/// What the puts of several files share.
struct Together<'a> {
    put: &'a Put,
    client: &'a LightClient,
    left: &'a LeftBehind,
    folder: PathBuf,
    /// Held while a name is written: other processes are then few enough to wait for.
    naming: Mutex<()>,
}

/// How the files ended.
#[derive(Debug, Default)]
struct Tally {
    stored: usize,
    extended: usize,
    already: usize,
    failed: usize,
    not_begun: usize,
    /// Stored or there, but their names are not on the ledger.
    unnamed: usize,
    paid: Cost,
}

/// Stores the files.
pub(super) async fn put(
    put: &Put,
    config: ClientConfig,
    output: &Output,
    left: &LeftBehind,
) -> Result<()> {
    let folder = config.state_dir.clone();
    let client = LightClient::connect(config).await?;
    let calendar = client.calendar();
    let together = Together { put, client: &client, left, folder, naming: Mutex::new(()) };
    let tally = together.store_all(&calendar, output).await;
    client.close().await;
    output.summary(&tally.to_text());
    Ok(())
}

/// Shows what storing the files would do and cost, one after the other.
pub(super) async fn estimate(put: &Put, config: ClientConfig, output: &Output) -> Result<()> {
    let folder = config.state_dir.clone();
    let estimator = Estimator::connect(config, put.options()).await?;
    let bar = bar(put, output);
    let (mut sum, mut seen, mut halt) = (Sum::default(), BTreeSet::new(), Halt::default());
    let mut begun = 0;
    for file in &put.files {
        if !halt.goes_on() {
            break;
        }
        begun += 1;
        let estimated = async {
            let input = put.open(file, &folder).await?;
            let public_name = put.own_name(file, &input)?.filter(|_| put.public_name);
            estimator.estimate(input, public_name, &progress::nobody()).await
        };
        let estimated = estimated.await;
        bar.inc(1);
        match estimated {
            Ok(mut estimate) => {
                if !seen.insert(estimate.blob_id()) && !put.force {
                    estimate.repeat();
                }
                sum.add(&estimate);
                let mut json = estimate.to_json();
                json["file"] = file.to_string_lossy().into();
                let essential = format!("{}  {}", estimate.cost(), estimate.name());
                if output.item(&json, &essential, &estimate.to_text()).is_break() {
                    break;
                }
            }
            Err(error) => {
                sum.failed += 1;
                halt.failed(&file.to_string_lossy(), error, output);
            }
        }
    }
    bar.finish_and_clear();
    halt.end(&put.files[begun..], output);
    let balances = estimator.balances();
    estimator.close().await;
    output.summary(&sum.to_text(balances));
    Ok(())
}

/// The one line of progress.
fn bar(put: &Put, output: &Output) -> ProgressBar {
    let files = u64::try_from(put.files.len()).unwrap_or(u64::MAX);
    progress::steps(output.bars(), "put", files)
}

impl Together<'_> {
    /// Stores all files and tells of each as it ends.
    async fn store_all(&self, calendar: &Calendar, output: &Output) -> Tally {
        let (all, bar) = (&self.put.files, bar(self.put, output));
        let mut tally = Tally::default();
        let (is_heard, begun, halt) =
            (Cell::new(true), Cell::new(0), RefCell::new(Halt::default()));
        let goes_on = || is_heard.get() && halt.borrow().goes_on();
        let files = stream::iter(all).take_while(|_| future::ready(goes_on()));
        let puts = files.map(async |file| {
            begun.set(begun.get() + 1);
            (file, self.store(file).await)
        });
        let mut ended = std::pin::pin!(puts.buffer_unordered(self.put.at_once.get()));
        while let Some((file, stored)) = ended.next().await {
            tally.add(&stored);
            self.left.tell_so_far(tally.so_far(all.len()));
            bar.inc(1);
            bar.set_message(tally.failures());
            match stored {
                Err(error) => halt.borrow_mut().failed(&file.to_string_lossy(), error, output),
                Ok(stored) if tell(file, &stored, calendar, output).is_break() => {
                    is_heard.set(false); // no file is begun of which nobody would learn; those that are may be paid already
                }
                Ok(_) => {}
            }
        }
        bar.finish_and_clear();
        // They are begun in their order.
        let left = all.get(begun.get()..).unwrap_or_default();
        tally.not_begun = left.len();
        halt.take().end(left, output);
        tally
    }

    /// Stores one file, and keeps its name.
    async fn store(&self, file: &Path) -> Result<Stored> {
        let put = self.put;
        let input = put.open(file, &self.folder).await?;
        let own_name = put.own_name(file, &input)?;
        let name = put.called(&input);
        let watch = self.left.watch(put.finishing_command(file));
        let sent = put.send(self.client, input, &watch.observer(&progress::nobody())).await;
        let report = watch.ended(sent)?;
        let named = match own_name {
            Some(own_name) => {
                let _alone = self.naming.lock().await;
                put.keep_name(self.client, self.folder.clone(), file, &report, own_name).await
            }
            None => Named::default(),
        };
        Ok(Stored::new(name, report, named))
    }
}

/// Tells that a file was stored.
fn tell(file: &Path, stored: &Stored, calendar: &Calendar, output: &Output) -> ControlFlow<()> {
    let shown = terminal::path(file);
    let essential = format!("{}  {shown}", stored.report.blob_id);
    let mut json = stored.json(calendar, output);
    json["file"] = file.to_string_lossy().into();
    let is_heard = output.item(&json, &essential, &stored.to_line());
    if let Some(error) = &stored.named.failed {
        output.failed_part(Some(&shown), error);
    }
    is_heard
}

impl Tally {
    fn add(&mut self, stored: &Result<Stored>) {
        let Ok(stored) = stored else {
            self.failed += 1;
            return;
        };
        self.paid = self.paid.plus(stored.report.cost);
        self.unnamed += usize::from(stored.named.failed.is_some());
        match stored.report.plan {
            Plan::Nothing { .. } => self.already += 1,
            Plan::Extend { .. } => self.extended += 1,
            Plan::Certify { .. } | Plan::Register { .. } => self.stored += 1,
        }
    }

    fn failures(&self) -> String {
        if self.failed == 0 { String::new() } else { format!("{} failed", self.failed) }
    }

    /// What a command that is stopped now has done; `all` are the files that were named.
    fn so_far(&self, all: usize) -> String {
        let Tally { stored, extended, already, failed, paid, .. } = self;
        let ended = stored + extended + already + failed;
        let (wal, sui) = (wal(paid.wal), sui(paid.gas));
        let done = stored + extended;
        format!(
            "{ended} of {} ended before: {done} stored, {already} already there, {failed} failed; paid {wal} + {sui} gas for them",
            count(all, "file")
        )
    }

    fn to_text(&self) -> String {
        let Tally { stored, extended, already, failed, not_begun, unnamed, paid } = self;
        let files = count(stored + extended + already + failed + not_begun, "file");
        let unasked = match already {
            0 => "",
            _ => {
                "\n  what nodes hold of those already there was not asked: `haulout status ID` says it"
            }
        };
        let extended = if *extended > 0 { format!("{extended} extended, ") } else { String::new() };
        let not_begun = match not_begun {
            0 => String::new(),
            _ => format!(", {not_begun} not begun"),
        };
        let unnamed = match unnamed {
            0 => String::new(),
            _ => format!(", {unnamed} without the public name"),
        };
        let (wal, sui) = (wal(paid.wal), sui(paid.gas));
        format!(
            "{files}: {stored} stored, {extended}{already} already there, {failed} failed{not_begun}{unnamed}; paid {wal} + {sui} gas{unasked}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::plan::samples::sample_plan;
    use crate::cli::put::report::samples::sample_stored;
    use crate::error::{Error, Kind};

    #[test]
    fn a_tally_counts_every_file_once_and_sums_up_what_was_paid() {
        let mut tally = Tally::default();
        assert_eq!(tally.failures(), "");
        for plan in [sample_plan(false, false), sample_plan(true, false)] {
            tally.add(&Ok(sample_stored(plan, 4)));
        }
        tally.add(&Ok(sample_stored(Plan::Nothing { existing: None, end_epoch: 9 }, 0)));
        tally.add(&Err(Error::new(Kind::File, "gone")));
        assert_eq!(tally.failures(), "1 failed");
        let text = tally.to_text();
        assert!(
            text.starts_with("4 files: 1 stored, 1 extended, 1 already there, 1 failed;"),
            "{text}"
        );
        // Two MiB for five epochs and for writing, and three units for three epochs more.
        assert!(text.contains("; paid 0.000000097 WAL + 0.006 SUI gas\n"), "{text}");
        let unasked = "what nodes hold of those already there was not asked: `haulout status ID`";
        assert!(text.contains(unasked), "{text}");
        let mut tally = Tally::default();
        tally.add(&Ok(sample_stored(sample_plan(false, false), 4)));
        assert!(!tally.to_text().contains("not asked"), "{}", tally.to_text());
        let so_far = tally.so_far(7);
        assert!(so_far.starts_with("1 of 7 files ended before: 1 stored, 0 already"), "{so_far}");
        assert!(so_far.ends_with("WAL + 0.002 SUI gas for them"), "{so_far}");
    }

    #[test]
    fn the_line_of_one_among_many_names_file_and_blob() {
        let line = sample_stored(sample_plan(false, false), 4).to_line();
        assert!(line.starts_with("✓ Stored  file  1.00 MiB  ") && line.ends_with('\n'), "{line}");
        assert_eq!(line.split_whitespace().last().map(str::len), Some(43), "{line}");
    }
}
