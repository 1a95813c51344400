//! Spans that ended in this process, as an exporter of traces would get them.
//!
//! Promises: keeps the newest few thousand. Does not: send anything.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

const KEPT_MAX: usize = 20_000;

static KEPT: Mutex<VecDeque<SpanData>> = Mutex::new(VecDeque::new());

/// Takes every span that ends.
#[derive(Debug)]
pub(crate) struct Keeper;

impl SpanExporter for Keeper {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(batch);
        let surplus = kept.len().saturating_sub(KEPT_MAX);
        kept.drain(..surplus);
        Ok(())
    }
}

/// The spans of one trace.
#[derive(Clone, Debug)]
pub struct Trace {
    spans: Vec<SpanData>,
}

impl Trace {
    /// What has ended of this trace so far.
    pub fn of(id: TraceId) -> Self {
        let kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        let spans = kept.iter().filter(|span| span.span_context.trace_id() == id);
        Trace { spans: spans.cloned().collect() }
    }

    /// All spans of this name.
    pub fn named(&self, name: &str) -> Vec<&SpanData> {
        self.spans.iter().filter(|span| span.name == name).collect()
    }

    /// The name of a span's parent.
    pub fn parent_of(&self, span: &SpanData) -> Option<&str> {
        self.by_id(span.parent_span_id).map(|parent| parent.name.as_ref())
    }

    fn by_id(&self, id: SpanId) -> Option<&SpanData> {
        self.spans.iter().find(|span| span.span_context.span_id() == id)
    }
}

/// What a span says under this key.
pub fn attribute(span: &SpanData, key: &str) -> Option<String> {
    let found = span.attributes.iter().find(|attribute| attribute.key.as_str() == key);
    found.map(|attribute| attribute.value.to_string())
}
