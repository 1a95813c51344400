//! Carries a trace from one peer to the next inside wire frames.
//!
//! Promises: without telemetry set up, nothing is sent and nothing happens.
//! Does not: export anything.

use haulout_protocol::wire::TraceContext;
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use tracing::{Span, debug};
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Where we are in a trace, for the next request; nothing without one.
pub(crate) fn current() -> Option<TraceContext> {
    let context = Span::current().context();
    let span = context.span();
    let here = span.span_context();
    here.is_valid().then(|| TraceContext {
        trace_id: here.trace_id().to_bytes(),
        span_id: here.span_id().to_bytes(),
        flags: here.trace_flags().to_u8(),
    })
}

/// Makes a fresh span, not yet entered, a child of the caller's.
pub(crate) fn adopt(span: &Span, trace: Option<TraceContext>) {
    let Some(trace) = trace else { return };
    let caller = SpanContext::new(
        TraceId::from_bytes(trace.trace_id),
        SpanId::from_bytes(trace.span_id),
        TraceFlags::new(trace.flags),
        true,
        TraceState::default(),
    );
    if caller.is_valid()
        && let Err(error) = span.set_parent(Context::new().with_remote_span_context(caller))
    {
        debug!(%error, "the caller's trace is not followed");
    }
}
