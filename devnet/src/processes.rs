//! The children of a devnet: started, killed, paused, resumed and stopped by their parent.
//!
//! Promises: no child outlives its parent. Each holds the read end of a pipe whose other end is
//! ours, and ends when it closes; on Linux the kernel also kills it when the parent dies, even if
//! it is stopped. Signals go only to children that were not reaped yet, so never to a stranger
//! that got the same pid. Why a child ended is told in its own words, whenever it says them on stdout.
//! What others do to it with signals is noticed, where the system tells.
//! Does not: restart a child that ended; a person should see that.

use std::ffi::OsString;
use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use futures::future::FutureExt;
use haulout_node::error::{Error, Kind, Result};
use haulout_node::terminal;
use rustix::process::{Pid, Signal};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;

use crate::control::ProcessState;

/// How long a child may take to stop when asked, before it is killed.
const STOP_PATIENCE: Duration = Duration::from_secs(15);

/// What is shown of a log when a child ends before it is ready.
const LOG_TAIL_BYTES: u64 = 4 * 1024;
const LOG_TAIL_LINES: usize = 6;

/// One child and how to start it again.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    program: PathBuf,
    arguments: Vec<OsString>,
    log: PathBuf,
    child: Option<Child>,
    /// What the child that runs, or ran last, says when it fails: known when its stdout has ended.
    last_words: Option<JoinHandle<Option<Error>>>,
    /// Held open for as long as the child shall live.
    pipe: Option<ChildStdin>,
    state: ProcessState,
    since: Instant,
    /// Why it did not start, or ended by itself.
    failure: Option<Error>,
    /// Whether the system has called it stopped since we paused it.
    was_seen_stopped: bool,
}

/// What a process is doing, as of now.
#[derive(Debug)]
pub(crate) struct Seen<'a> {
    pub(crate) name: &'a str,
    pub(crate) state: ProcessState,
    pub(crate) pid: Option<u32>,
    /// Seconds since it entered this state.
    pub(crate) seconds: u64,
    /// Why it did not start, or ended by itself.
    pub(crate) failure: Option<&'a Error>,
    /// Whether somebody else has stopped it where it stands.
    pub(crate) is_stopped: bool,
}

impl Process {
    /// A process of this executable with these arguments, not started yet.
    pub(crate) fn new(name: &str, arguments: Vec<OsString>, log: PathBuf) -> Result<Self> {
        Ok(Self::of(this_program()?, name, arguments, log))
    }

    fn of(program: PathBuf, name: &str, arguments: Vec<OsString>, log: PathBuf) -> Self {
        Self {
            name: name.to_owned(),
            program,
            arguments,
            log,
            child: None,
            last_words: None,
            pipe: None,
            state: ProcessState::New,
            since: Instant::now(),
            failure: None,
            was_seen_stopped: false,
        }
    }

    /// The name that people use for it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether it runs, as far as was noticed.
    pub(crate) fn runs(&self) -> bool {
        self.state == ProcessState::Running
    }

    /// Whether there is a process, paused or not, as of now.
    pub(crate) fn is_there(&mut self) -> bool {
        self.alive().is_ok()
    }

    /// What it is doing, as of now.
    pub(crate) fn look(&mut self) -> Seen<'_> {
        self.notice_end();
        self.hear_last_words();
        let pid = self.child.as_ref().and_then(Child::id);
        let is_stopped = pid.and_then(is_stopped);
        if self.state == ProcessState::Paused {
            match is_stopped {
                Some(true) => self.was_seen_stopped = true,
                // A signal takes a moment to stop it, so only who was stopped can go on.
                Some(false) if self.was_seen_stopped => self.enter(ProcessState::Running),
                Some(false) | None => {}
            }
        }
        Seen {
            name: &self.name,
            state: self.state,
            pid,
            seconds: self.since.elapsed().as_secs(),
            failure: self.failure.as_ref(),
            is_stopped: self.state == ProcessState::Running && is_stopped == Some(true),
        }
    }

    /// Starts it and waits until it says that it is ready; returns what it said.
    pub(crate) async fn start(&mut self, patience: Duration) -> Result<Value> {
        self.failure = None;
        let started = self.try_start(patience).await;
        if let Err(error) = &started {
            self.failure = Some(copy(error));
        }
        started
    }

    async fn try_start(&mut self, patience: Duration) -> Result<Value> {
        self.last_words = None;
        let mut child = self.spawn()?;
        self.pipe = child.stdin.take();
        let stdout = child.stdout.take().expect("stdout was asked to be a pipe");
        self.child = Some(child);
        let mut lines = BufReader::new(stdout).lines();
        let first = tokio::time::timeout(patience, lines.next_line()).await;
        let outcome = match first {
            Ok(Ok(Some(line))) => self.judge(&line),
            Ok(_) => Err(self.silent(Kind::Internal, "ended before it was ready")),
            Err(_) => {
                let how = format!("was not ready after {} s", patience.as_secs());
                Err(self.silent(Kind::Timeout, &how))
            }
        };
        let ready = match outcome {
            Ok(ready) => ready,
            Err(error) => {
                self.end(Signal::KILL).await?;
                self.enter(ProcessState::Exited);
                return Err(error);
            }
        };
        self.last_words = Some(tokio::spawn(last_words(lines)));
        self.enter(ProcessState::Running);
        Ok(ready)
    }

    /// Waits until it ends by itself and tells why; for ever if it does not run.
    pub(crate) async fn ended(&mut self) -> Error {
        let Some(child) = &mut self.child else { return std::future::pending().await };
        let status = child.wait().await;
        let words = match &mut self.last_words {
            // It ends with the child's stdout, and a task that panicked heard nothing.
            Some(hearing) => hearing.await.unwrap_or(None),
            None => None,
        };
        self.last_words = None;
        self.notice_end();
        match (words, status) {
            (Some(error), _) => self.reason("ended", &error),
            (None, Ok(status)) => self.silent(Kind::Internal, &format!("ended ({status})")),
            (None, Err(error)) => self.silent(Kind::Internal, &format!("is lost ({error})")),
        }
    }

    fn spawn(&self) -> Result<Child> {
        let folder = self.log.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(|error| Error::from_io("create", folder, error))?;
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .map_err(|error| Error::from_io("open", &self.log, error))?;
        let mut command = Command::new(&self.program);
        // A child is told everything by its files; settings of a person's shell are not for it.
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"HAULOUT_") {
                command.env_remove(name);
            }
        }
        command
            .arg0("devnet")
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| {
                Error::new(Kind::Internal, format!("cannot start {}", self.name)).because(error)
            })
    }

    /// The first line of a child is its ready line or its reason for ending.
    fn judge(&self, line: &str) -> Result<Value> {
        let line: Value = serde_json::from_str(line).unwrap_or_default();
        if line["event"] == "ready" {
            return Ok(line);
        }
        let Some(error) = Error::from_json(&line) else {
            return Err(self.silent(Kind::Internal, "said something else than that it is ready"));
        };
        Err(self.reason("did not start", &error))
    }

    /// A failure in the child's own words.
    fn reason(&self, how: &str, error: &Error) -> Error {
        let message = format!("{} {how}: {}", self.name, error.message());
        Error::new(error.kind(), message).hint(error.next_step())
    }

    /// A failure for which the child had no words.
    fn silent(&self, kind: Kind, how: &str) -> Error {
        let tail = log_tail(&self.log).unwrap_or_default();
        Error::new(kind, format!("{} {how}; its log ends with\n{tail}", self.name))
            .hint(format!("the whole log: {}", terminal::path(&self.log)))
    }

    /// SIGKILL: what is not on disk is gone.
    pub(crate) async fn kill(&mut self) -> Result<()> {
        self.alive()?;
        self.end(Signal::KILL).await?;
        self.failure = None;
        self.enter(ProcessState::Killed);
        Ok(())
    }

    /// SIGSTOP: it keeps its sockets and answers nothing.
    pub(crate) fn pause(&mut self) -> Result<()> {
        self.alive()?;
        self.signal(Signal::STOP);
        self.was_seen_stopped = false;
        self.enter(ProcessState::Paused);
        Ok(())
    }

    /// SIGCONT.
    pub(crate) fn resume(&mut self) -> Result<()> {
        self.alive()?;
        self.signal(Signal::CONT);
        self.enter(ProcessState::Running);
        Ok(())
    }

    /// Asks it to stop, waits, and kills it if it does not. Fine if it does not run.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        if self.alive().is_ok() {
            self.signal(Signal::CONT);
            self.end(Signal::TERM).await?;
            self.failure = None;
            self.last_words = None;
            self.enter(ProcessState::Exited);
        }
        Ok(())
    }

    /// Sends a last signal and reaps the child; one that ignores it is killed. One that even that does not end, because the
    /// system is busy for it, is still there, and said to be.
    async fn end(&mut self, signal: Signal) -> Result<()> {
        self.signal(signal);
        if let Some(child) = &mut self.child
            && tokio::time::timeout(STOP_PATIENCE, child.wait()).await.is_err()
        {
            tracing::warn!(name = self.name, "did not stop when asked, so it is killed");
            // An error means that it has ended meanwhile, which is what we want.
            let _ = child.start_kill();
            if tokio::time::timeout(STOP_PATIENCE, child.wait()).await.is_err() {
                let message = format!("{} was killed and does not end", self.name);
                return Err(Error::new(Kind::Timeout, message).hint(
                    "a process ends when the disk or the file system that it waits for answers; then do the same again",
                ));
            }
        }
        self.child = None;
        self.pipe = None;
        Ok(())
    }

    fn alive(&mut self) -> Result<()> {
        self.notice_end();
        if self.child.is_some() {
            return Ok(());
        }
        Err(Error::new(Kind::Usage, format!("{} does not run", self.name))
            .hint(format!("start it with `devnet restart {}`", self.name)))
    }

    fn notice_end(&mut self) {
        if let Some(child) = &mut self.child
            && let Ok(Some(status)) = child.try_wait()
        {
            tracing::warn!(name = self.name, %status, "a child ended by itself");
            self.child = None;
            self.pipe = None;
            self.failure = Some(self.ended_so(&status));
            self.enter(ProcessState::Exited);
        }
    }

    /// The end of a child that said nothing of it.
    fn ended_so(&self, status: &ExitStatus) -> Error {
        let last = log_tail(&self.log).unwrap_or_default();
        let last = last.lines().last().map_or_else(String::new, |line| {
            format!("; the last line of its log: {}", line.trim())
        });
        let message = format!("{} ended by itself or by somebody else ({status}){last}", self.name);
        Error::new(Kind::Internal, message).hint(format!(
            "`devnet restart {}` starts it again; `devnet logs {}` prints what it logged",
            self.name, self.name
        ))
    }

    /// What a child that ended said of it is the better reason.
    fn hear_last_words(&mut self) {
        if self.state == ProcessState::Exited
            && self.last_words.as_ref().is_some_and(JoinHandle::is_finished)
            && let Some(Ok(Some(words))) = self.last_words.take().and_then(FutureExt::now_or_never)
        {
            self.failure = Some(self.reason("ended", &words));
        }
    }

    /// A child that was not waited for keeps its pid, so the signal cannot reach anybody else.
    fn signal(&self, signal: Signal) {
        let pid = self.child.as_ref().and_then(Child::id);
        if let Some(pid) = pid.and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw) {
            // The only failure left is that it has just ended, which `wait` will notice.
            let _ = rustix::process::kill_process(pid, signal);
        }
    }

    fn enter(&mut self, state: ProcessState) {
        self.state = state;
        self.since = Instant::now();
    }
}

/// The failure that a child told, if it told one. All that it prints is read, so that it never blocks on a full pipe.
async fn last_words(mut lines: Lines<BufReader<ChildStdout>>) -> Option<Error> {
    let mut told = None;
    while let Ok(Some(line)) = lines.next_line().await {
        let value = serde_json::from_str(&line).unwrap_or_default();
        told = Error::from_json(&value).or(told);
    }
    told
}

/// The same failure once more: errors are told once, and this one every time somebody looks.
fn copy(error: &Error) -> Error {
    Error::new(error.kind(), error.message()).hint(error.next_step())
}

/// Whether a process stands still because of a signal; nothing where the system does not tell.
pub(crate) fn is_stopped(pid: u32) -> Option<bool> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before it may hold anything, also parentheses.
    let state = stat.rsplit(')').next()?.trim_start().chars().next()?;
    Some(matches!(state, 'T' | 't'))
}

/// This executable, even if the file was replaced since it started.
pub(crate) fn this_program() -> Result<PathBuf> {
    let link = Path::new("/proc/self/exe");
    if link.exists() {
        return Ok(link.to_path_buf());
    }
    std::env::current_exe()
        .map_err(|error| Error::new(Kind::Internal, "cannot find this program").because(error))
}

/// Called by a child first of all: on Linux the kernel kills it when its parent dies.
///
/// Elsewhere the pipe on stdin does it, which a stopped process notices only when it goes on.
pub(crate) fn die_with_parent() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::set_parent_process_death_signal(Some(Signal::KILL)) {
        tracing::warn!(%error, "the kernel will not end us with our parent; the pipe will");
    }
}

/// The last lines of a log, indented.
pub(crate) fn log_tail(path: &Path) -> std::io::Result<String> {
    let mut file = fs::File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(LOG_TAIL_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let last = &lines[lines.len().saturating_sub(LOG_TAIL_LINES)..];
    Ok(last.iter().map(|line| format!("    {line}\n")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A child that does what a shell does with this text; `read` waits until the test lets it go on.
    fn child(folder: &Path, text: &str) -> Process {
        let arguments = vec!["-c".into(), text.into()];
        Process::of("/bin/sh".into(), "n1", arguments, folder.join("log"))
    }

    const READY: &str = r#"echo '{"event":"ready"}'; read line;"#;
    const WORDS: &str =
        r#"echo '{"error":{"kind":"FULL","message":"no room","hint":"make some"}}';"#;

    #[tokio::test]
    async fn a_child_that_does_not_start_is_told_in_its_own_words_or_by_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let long = Duration::from_secs(120);
        let error = child(folder.path(), WORDS).start(long).await.unwrap_err();
        assert_eq!((error.kind(), error.next_step()), (Kind::Full, "make some"));
        assert_eq!(error.message(), "n1 did not start: no room");
        let error = child(folder.path(), "echo a reason >&2").start(long).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Internal);
        assert!(error.message().ends_with("its log ends with\n    a reason\n"), "{error}");
        let error = child(folder.path(), "read line").start(Duration::from_millis(50)).await;
        assert_eq!(error.unwrap_err().kind(), Kind::Timeout);
    }

    #[tokio::test]
    async fn a_child_that_ends_after_it_was_ready_is_told_in_its_own_words_or_by_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let texts = [
            (format!("{READY} {WORDS} echo more"), Kind::Full, "n1 ended: no room"),
            (format!("{READY} kill -9 $$"), Kind::Internal, "n1 ended (signal: 9"),
        ];
        for (text, kind, message) in texts {
            let mut process = child(folder.path(), &text);
            process.start(Duration::from_secs(120)).await.unwrap();
            assert_eq!(process.look().state, ProcessState::Running);
            process.pipe = None; // it reads no more, so it goes on
            let error = process.ended().await;
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.message().starts_with(message), "{error}");
            assert_eq!(process.look().state, ProcessState::Exited);
        }
    }

    /// Looks until what is seen is so.
    async fn eventually(process: &mut Process, what: &str, is_so: impl Fn(&Seen<'_>) -> bool) {
        let until = Instant::now() + Duration::from_secs(120);
        while !is_so(&process.look()) {
            assert!(Instant::now() < until, "{what}: {:?}", process.look());
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn who_ended_or_did_not_start_tells_why_whenever_somebody_looks() {
        let folder = tempfile::tempdir().unwrap();
        let long = Duration::from_secs(120);
        let cause = |seen: &Seen<'_>| seen.failure.map(Error::message).unwrap_or_default();
        let mut process = child(folder.path(), WORDS);
        process.start(long).await.unwrap_err();
        for _ in 0..2 {
            let failure = process.look().failure.map(|error| (error.kind(), error.message()));
            assert_eq!(failure, Some((Kind::Full, "n1 did not start: no room".to_owned())));
        }
        for (text, expected) in [
            (format!("{READY} {WORDS}"), "n1 ended: no room"),
            (
                format!("{READY} echo a reason >&2; exit 3"),
                "(exit status: 3); the last line of its log: a reason",
            ),
            (format!("{READY} kill -9 $$"), "(signal: 9 (SIGKILL))"),
        ] {
            let mut process = child(folder.path(), &text);
            process.start(long).await.unwrap();
            assert!(process.look().failure.is_none());
            process.pipe = None;
            eventually(&mut process, expected, |seen| cause(seen).contains(expected)).await;
        }
        let mut process = child(folder.path(), &format!("{READY} exit 0"));
        process.start(long).await.unwrap();
        process.kill().await.unwrap();
        assert_eq!(
            (process.look().state, process.look().failure.is_none()),
            (ProcessState::Killed, true)
        );
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn signals_of_others_are_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = child(folder.path(), &format!("{READY} exit 0"));
        process.start(Duration::from_secs(120)).await.unwrap();
        process.signal(Signal::STOP);
        eventually(&mut process, "stopped by others", |seen| {
            seen.state == ProcessState::Running && seen.is_stopped
        })
        .await;
        process.resume().unwrap();
        eventually(&mut process, "running", |seen| !seen.is_stopped).await;
        process.pause().unwrap();
        assert_eq!(process.look().state, ProcessState::Paused);
        let until = Instant::now() + Duration::from_secs(120);
        while !process.was_seen_stopped {
            assert!(Instant::now() < until && process.look().state == ProcessState::Paused);
            tokio::task::yield_now().await;
        }
        process.signal(Signal::CONT);
        eventually(&mut process, "continued by others", |seen| seen.state == ProcessState::Running)
            .await;
    }
}
