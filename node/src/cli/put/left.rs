//! What a put leaves behind that ends after its blob was registered: an object that is paid for, and not certified.
//!
//! Promises: whatever ended the put, be it a file that changed, too few nodes or a signal, the error says what was paid and
//! both ways on: to finish it, or to have its storage back. Once its certification was sent it may be stored: nobody is told
//! then to delete it. Does not: undo anything, or know of a registration whose transaction was still under way.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use haulout_actors::session::{Observer, Pending, Progress};
use serde_json::{Value, json};

use crate::error::Error;
use crate::words::wal;

/// The puts of one command that have registered and not ended.
#[derive(Clone, Debug, Default)]
pub(in crate::cli) struct LeftBehind(Arc<Mutex<Table>>);

#[derive(Debug, Default)]
struct Table {
    begun: u64,
    pending: BTreeMap<u64, Left>,
    /// What puts of several files have done, if it is such a command.
    so_far: Option<String>,
}

/// One of them.
#[derive(Clone, Debug)]
struct Left {
    pending: Pending,
    /// Its certification was sent.
    may_be_stored: bool,
    /// The command that finishes it, in backticks; none if that would make another object.
    again: Option<String>,
}

/// One put, from its beginning to its end.
#[derive(Debug)]
pub(super) struct Watch {
    puts: LeftBehind,
    number: u64,
    again: Option<String>,
}

impl LeftBehind {
    /// A put begins; `again` is the command that finishes it after a failure, in backticks.
    pub(super) fn watch(&self, again: Option<String>) -> Watch {
        let mut table = self.table();
        table.begun += 1;
        Watch { puts: self.clone(), number: table.begun, again }
    }

    /// What a command of several puts has done by now.
    pub(super) fn tell_so_far(&self, so_far: String) {
        self.table().so_far = Some(so_far);
    }

    /// The error of a command that ended while puts were under way: what it did, and what each of them leaves.
    pub(in crate::cli) fn explain(&self, error: Error) -> Error {
        let table = self.table();
        let error = match &table.so_far {
            Some(so_far) => error.also(so_far),
            None => error,
        };
        let all: Vec<_> = table.pending.values().collect();
        match all.as_slice() {
            [] => error,
            [one] => one.explain(error),
            several => explain_all(error, several),
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch {
    /// The same observer, and the put's registration is noted on the way.
    pub(super) fn observer(&self, then: &Observer) -> Observer {
        let (puts, number, again) = (self.puts.clone(), self.number, self.again.clone());
        let then = then.clone();
        Arc::new(move |progress| {
            match progress {
                Progress::Registered(pending) => {
                    let left = Left { pending, may_be_stored: false, again: again.clone() };
                    puts.table().pending.insert(number, left);
                }
                Progress::Certifying => {
                    let left = &mut puts.table().pending;
                    left.entry(number).and_modify(|left| left.may_be_stored = true);
                }
                _ => {}
            }
            then(progress);
        })
    }

    /// The put ended; its error says what it leaves.
    pub(super) fn ended<T>(self, result: Result<T, Error>) -> Result<T, Error> {
        let left = self.puts.table().pending.remove(&self.number);
        match left {
            Some(left) => result.map_err(|error| left.explain(error)),
            None => result,
        }
    }
}

/// The same for several: a line for each, and the way on once for all.
fn explain_all(error: Error, several: &[&Left]) -> Error {
    let lines: String = several.iter().map(|left| format!("\n{}", left.told())).collect();
    let paid = several.iter().fold(0_u64, |sum, left| sum.saturating_add(left.pending.paid.wal));
    let told = format!(
        "what stays of {} blobs under way, for {} in all:{lines}",
        several.len(),
        wal(paid)
    );
    let hint = format!(
        "{}; the same command with the same files finishes them in that storage; `haulout ls` says what is certified, and `haulout \
         rm --object OBJECT` gives the storage of one that is not, and is deletable, back to you",
        error.next_step()
    );
    let left: Vec<_> = several.iter().map(|left| left.to_json()).collect();
    error.also(&told).hint(hint).detail("left", left)
}

impl Left {
    fn explain(&self, error: Error) -> Error {
        let told = format!("what stays is {}", self.told());
        let hint = format!("{}; {}", error.next_step(), self.next_step());
        let left = error.details_of("left").and_then(Value::as_array).cloned();
        let left: Vec<_> = left.into_iter().flatten().chain([self.to_json()]).collect();
        error.also(&told).hint(hint).detail("left", left)
    }

    /// What it is, what was paid for it, and whether it is stored.
    fn told(&self) -> String {
        let Pending { object, end_epoch, paid, .. } = &self.pending;
        let how = match paid.wal {
            0 => "registered by an earlier put".to_owned(),
            paid => format!("registered for {}", wal(paid)),
        };
        let certified = match self.may_be_stored {
            true => "perhaps certified by now",
            false => "not certified",
        };
        format!("object {object}, {how}, storage until epoch {end_epoch}, {certified}")
    }

    /// Both ways on; whether it is stored by now must be known before anything of it is deleted.
    fn next_step(&self) -> String {
        let Pending { blob_id, object, deletable, .. } = &self.pending;
        let back = match (self.may_be_stored, deletable) {
            (true, _) => format!("`haulout status {blob_id}` says whether it is stored"),
            (false, true) => format!(
                "`haulout rm --object {object}` gives its storage back to you, and the next put uses that"
            ),
            (false, false) => "being permanent, it cannot be deleted before".to_owned(),
        };
        match &self.again {
            Some(again) => {
                format!("{again} with the same content finishes it in that storage; {back}")
            }
            None => back,
        }
    }

    fn to_json(&self) -> Value {
        let Pending { blob_id, object, end_epoch, deletable, paid } = &self.pending;
        json!({
            "may_be_stored": self.may_be_stored,
            "blob_id": blob_id.to_string(),
            "object_id": object.to_string(),
            "end_epoch": end_epoch,
            "deletable": deletable,
            "cost": { "wal_frost": paid.wal, "gas_mist": paid.gas },
        })
    }
}

#[cfg(test)]
mod tests {
    use haulout_actors::chain::Cost;
    use haulout_protocol::blob::BlobId;
    use haulout_protocol::chain::ObjectId;

    use super::*;
    use crate::error::Kind;
    use crate::progress;

    fn pending(deletable: bool, wal: u64) -> Pending {
        Pending {
            blob_id: BlobId::from_bytes([1; 32]),
            object: ObjectId::from_bytes([7; 32]),
            end_epoch: 6,
            deletable,
            paid: Cost { wal, gas: 1 },
        }
    }

    /// The error of a put that registered and then failed.
    fn failed(pending: Pending, again: Option<&str>) -> Error {
        let puts = LeftBehind::default();
        let watch = puts.watch(again.map(str::to_owned));
        watch.observer(&progress::nobody())(Progress::Registered(pending));
        let failed = watch.ended::<()>(Err(Error::new(Kind::Quorum, "too few")));
        assert!(puts.table().pending.is_empty(), "it is over");
        failed.unwrap_err()
    }

    #[test]
    fn a_put_that_fails_after_registering_says_what_was_paid_and_both_ways_on() {
        let error = failed(pending(true, 500_000_000), Some("`haulout put 'a b'`"));
        let object = ObjectId::from_bytes([7; 32]);
        let message = error.message();
        assert!(message.starts_with("too few; what stays is object 0x07"), "{message}");
        assert!(message.contains("registered for 0.5 WAL, storage until epoch 6"), "{message}");
        let hint = error.next_step();
        assert!(hint.contains("`haulout put 'a b'` with the same content finishes it"), "{hint}");
        assert!(hint.contains(&format!("`haulout rm --object {object}`")), "{hint}");
        let json = error.to_json();
        let left = &json["error"]["details"]["left"][0];
        assert_eq!(
            (&left["end_epoch"], &left["cost"]["wal_frost"]),
            (&json!(6), &json!(500_000_000))
        );
    }

    #[test]
    fn nobody_is_told_to_delete_what_may_be_certified() {
        let watch = LeftBehind::default().watch(Some("`haulout put f`".to_owned()));
        let observer = watch.observer(&progress::nobody());
        observer(Progress::Registered(pending(true, 1)));
        observer(Progress::Certifying);
        let error = watch.ended::<()>(Err(Error::new(Kind::Funds, "no coins"))).unwrap_err();
        assert!(!error.next_step().contains("haulout rm"), "{}", error.next_step());
        assert!(error.next_step().contains("`haulout status "), "{}", error.next_step());
        assert!(error.message().ends_with("perhaps certified by now"), "{}", error.message());
        assert_eq!(error.to_json()["error"]["details"]["left"][0]["may_be_stored"], true);
    }

    #[test]
    fn nobody_is_told_to_delete_what_is_permanent_or_to_finish_what_would_be_made_anew() {
        let permanent = failed(pending(false, 0), Some("`haulout put f --permanent`"));
        assert!(!permanent.next_step().contains("haulout rm"), "{}", permanent.next_step());
        assert!(permanent.message().contains("by an earlier put"), "{}", permanent.message());
        let forced = failed(pending(true, 1), None);
        assert!(!forced.next_step().contains("haulout put"), "{}", forced.next_step());
    }

    #[test]
    fn a_signal_names_every_put_that_was_under_way_and_none_that_ended() {
        let puts = LeftBehind::default();
        let watches: Vec<_> = (0..3).map(|_| puts.watch(None)).collect();
        for watch in &watches {
            watch.observer(&progress::nobody())(Progress::Registered(pending(true, 1)));
        }
        let mut watches = watches.into_iter();
        watches.next().unwrap().ended(Ok(())).unwrap();
        let error = puts.explain(Error::new(Kind::Interrupted, "stopped before the end"));
        assert_eq!(error.to_json()["error"]["details"]["left"].as_array().map(Vec::len), Some(2));
        puts.tell_so_far("1 of 3 files ended before".to_owned());
        let error = puts.explain(Error::new(Kind::Interrupted, "stopped before the end"));
        let text = error.to_text();
        assert!(text.starts_with("✗ INTERRUPTED  stopped before the end; 1 of 3 files"), "{text}");
        assert_eq!(text.matches("\n  │ object 0x07").count(), 2, "a line for each: {text}");
        assert!(text.contains("of 2 blobs under way, for 0.000000002 WAL in all:\n"), "{text}");
        assert_eq!(text.matches("the same command").count(), 1, "{text}");
        let before = puts.watch(None).ended::<()>(Err(Error::new(Kind::Funds, "no coins")));
        assert_eq!(before.unwrap_err().message(), "no coins", "nothing was registered");
    }
}
