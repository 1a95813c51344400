//! Logs on stderr, and OpenTelemetry traces and metrics when the standard variables ask for them.
//!
//! Promises: a client says what goes wrong on the way in sentences, unless a log was asked for; nothing leaves the process unless `OTEL_EXPORTER_OTLP_ENDPOINT` (or the variable for
//! one signal) is set; log lines never tear progress bars; what was recorded is sent before exit.
//! Does not: count anything (the actors' metrics do) or serve HTTP (`endpoint.rs`).

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use haulout_actors::metrics::Metrics;
use indicatif::MultiProgress;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{MetricExporter, SpanExporter};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::error::{Error, Kind, Result};
use crate::terminal::{LogForm, log_line};

mod bridge;
mod notices;

/// Which spans and events are exported.
const EXPORTED: &str = "off,haulout_node=debug,haulout_actors=debug,haulout_storage=debug";

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// What to log, and under which name to report.
#[derive(Clone, Debug)]
pub struct Options {
    /// What is logged, in the syntax of `RUST_LOG`.
    pub filter: String,
    /// How log lines look.
    pub format: LogFormat,
    /// Whether a person reads them who asked for no log: then warnings are sentences.
    pub notices: bool,
    /// `service.name`, unless `OTEL_SERVICE_NAME` says otherwise.
    pub service: &'static str,
    /// `service.instance.id`: the peer, if there is one.
    pub instance: Option<String>,
    /// `service.namespace`: the network, if known.
    pub network: Option<String>,
    /// Bars to step aside while a line is written.
    pub bars: MultiProgress,
}

/// The running exporters; [`Telemetry::shutdown`] sends what they still hold.
#[derive(Debug)]
pub struct Telemetry {
    traces: Option<SdkTracerProvider>,
    meters: Option<SdkMeterProvider>,
}

impl Telemetry {
    /// Installs the subscriber of this process. Needs a tokio runtime when exporting.
    pub fn start(options: Options) -> Result<Self> {
        let filter = EnvFilter::try_new(&options.filter).map_err(|error| {
            Error::new(Kind::Usage, format!("`{}` is not a log filter", options.filter))
                .because(error)
                .hint("write a level (info) or target=level pairs with commas")
        })?;
        let resource = resource(&options);
        let traces = wants("TRACES").then(|| tracer(resource.clone())).transpose()?;
        let meters = wants("METRICS").then(|| meter(resource)).transpose()?;

        let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let form = match options.format {
            LogFormat::Text if colours => LogForm::Coloured,
            LogFormat::Text => LogForm::Plain,
            LogFormat::Json => LogForm::Json,
        };
        let writer = BesideBars { bars: options.bars.clone(), form };
        let lines = match options.format {
            _ if options.notices => notices::Notices::new(options.bars).boxed(),
            LogFormat::Text => {
                tracing_subscriber::fmt::layer().with_ansi(colours).with_writer(writer).boxed()
            }
            LogFormat::Json => tracing_subscriber::fmt::layer().json().with_writer(writer).boxed(),
        };
        // Spans travel whatever is logged here; only ours, or the exporter would report itself.
        let export = traces.as_ref().map(|provider| {
            tracing_opentelemetry::layer()
                .with_tracer(provider.tracer("haulout"))
                .with_filter(EnvFilter::new(EXPORTED))
        });
        tracing_subscriber::registry()
            .with(lines.with_filter(filter))
            .with(export)
            .try_init()
            .map_err(|error| {
                Error::new(Kind::Internal, "logging was set up twice").because(error)
            })?;
        Ok(Self { traces, meters })
    }

    /// Sends these metrics with the others from now on.
    pub fn export(&self, metrics: Metrics) {
        if let Some(meters) = &self.meters {
            bridge::register(meters, metrics);
        }
    }

    /// Sends what is left. Blocks for a few seconds at most.
    pub fn shutdown(self) {
        let patience = Duration::from_secs(3);
        let traces = self.traces.map(|provider| provider.shutdown_with_timeout(patience));
        let meters = self.meters.map(|provider| provider.shutdown_with_timeout(patience));
        for error in [traces, meters].into_iter().flatten().filter_map(std::result::Result::err) {
            tracing::debug!(%error, "the last telemetry could not be sent");
        }
    }
}

/// Whether the standard variables ask to export this signal.
fn wants(signal: &str) -> bool {
    let set = |name: String| std::env::var(name).is_ok_and(|value| !value.is_empty());
    let disabled = std::env::var("OTEL_SDK_DISABLED").is_ok_and(|value| value == "true");
    let none = std::env::var(format!("OTEL_{signal}_EXPORTER")).is_ok_and(|v| v == "none");
    !disabled
        && !none
        && (set("OTEL_EXPORTER_OTLP_ENDPOINT".into())
            || set(format!("OTEL_EXPORTER_OTLP_{signal}_ENDPOINT")))
}

/// Who we are, for the receiver; `OTEL_RESOURCE_ATTRIBUTES` is read by the library.
fn resource(options: &Options) -> Resource {
    let mut builder = Resource::builder();
    if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
        builder = builder.with_service_name(options.service);
    }
    let facts = [
        ("service.version", Some(env!("CARGO_PKG_VERSION").to_owned())),
        ("service.instance.id", options.instance.clone()),
        ("service.namespace", options.network.clone()),
    ];
    let facts = facts.into_iter().filter_map(|(key, value)| Some(KeyValue::new(key, value?)));
    builder.with_attributes(facts).build()
}

fn tracer(resource: Resource) -> Result<SdkTracerProvider> {
    let exporter = SpanExporter::builder().with_tonic().build().map_err(no_exporter)?;
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}

fn meter(resource: Resource) -> Result<SdkMeterProvider> {
    let exporter = MetricExporter::builder().with_tonic().build().map_err(no_exporter)?;
    Ok(SdkMeterProvider::builder().with_periodic_exporter(exporter).with_resource(resource).build())
}

fn no_exporter(error: opentelemetry_otlp::ExporterBuildError) -> Error {
    Error::new(Kind::Config, "telemetry cannot be exported")
        .because(error)
        .hint("correct OTEL_EXPORTER_OTLP_ENDPOINT (gRPC, as in http://127.0.0.1:4317) or unset it")
}

/// Writes log lines to stderr with the bars out of the way; what peers say in them stays on its line.
#[derive(Clone, Debug)]
struct BesideBars {
    bars: MultiProgress,
    form: LogForm,
}

impl Write for BesideBars {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let safe = log_line(line, self.form);
        self.bars.suspend(|| io::stderr().lock().write_all(safe.as_bytes()))?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl<'a> MakeWriter<'a> for BesideBars {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
