//! What this process logged at `warn` and above, and the spans it ended, for tests that promise either.
//!
//! Promises: keeps the newest mebibyte. Does not: print; a failing test shows its own reason.

use std::io::{self, Write};
use std::sync::{Mutex, Once, PoisonError};

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::spans;

const KEPT_BYTES_MAX: usize = 1 << 20;

static KEPT: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static ONCE: Once = Once::new();

struct Keeper;

impl Write for Keeper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(bytes);
        let surplus = kept.len().saturating_sub(KEPT_BYTES_MAX);
        kept.drain(..surplus);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Which spans are kept: ours, as telemetry exports them.
const SPANS: &str = "off,haulout_node=debug,haulout_actors=debug,cluster=debug";

/// Keeps what is logged and traced from now on.
pub fn keep() {
    ONCE.call_once(|| {
        let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(|| Keeper);
        let provider = SdkTracerProvider::builder().with_simple_exporter(spans::Keeper).build();
        let traces = tracing_opentelemetry::layer().with_tracer(provider.tracer("tests"));
        let subscriber = tracing_subscriber::registry()
            .with(lines.with_filter(tracing_subscriber::filter::LevelFilter::WARN))
            .with(traces.with_filter(EnvFilter::new(SPANS)));
        tracing::subscriber::set_global_default(subscriber).expect("nobody else keeps the log");
    });
}

/// Whether one line holds all these words.
pub fn has_line(words: &[&str]) -> bool {
    let kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let text = String::from_utf8_lossy(&kept);
    text.lines().any(|line| words.iter().all(|word| line.contains(word)))
}
