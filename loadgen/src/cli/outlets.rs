//! Where a run can be watched from outside: what was typed, and staying open for readers.

use clap::Args;

use super::warn;
use crate::interrupt;
use crate::live::Live;
use crate::outlets::address::Address;
use crate::outlets::otlp::{Collector, Headers};
use crate::outlets::{Outlets, Wanted};

/// Where the page is without an address of its own.
const DASHBOARD: &str = "127.0.0.1:4780";

#[derive(Debug, Args)]
#[command(next_help_heading = "While it runs")]
pub(super) struct OutletArgs {
    /// Show the run in a browser, and stay open after it until Ctrl-C; ADDR is a port, or an address and a port
    #[arg(long, env = "FEEDMARK_DASHBOARD", value_name = "ADDR", num_args = 0..=1, default_missing_value = DASHBOARD)]
    dashboard: Option<Address>,
    /// Serve /metrics of the run to Prometheus, such as 9464; loopback unless ADDR says otherwise
    #[arg(long, env = "FEEDMARK_PROMETHEUS", value_name = "ADDR")]
    prometheus: Option<Address>,
    /// Push the same metrics to an OpenTelemetry collector, such as http://127.0.0.1:4318 (headers:
    /// OTEL_EXPORTER_OTLP_HEADERS)
    #[arg(long, env = "FEEDMARK_OTLP", value_name = "URL")]
    otlp: Option<Collector>,
}

impl OutletArgs {
    /// What is asked for; an error if the environment has headers that are none.
    pub(super) fn wanted(self) -> Result<Wanted, String> {
        let with_headers = |collector| Headers::of_environment().map(|headers| (collector, headers));
        let otlp = self.otlp.map(with_headers).transpose()?;
        Ok(Wanted { dashboard: self.dashboard, prometheus: self.prometheus, otlp })
    }
}

/// Where they are: said with the rest, and on stderr if nothing else is shown.
pub(super) fn tell(outlets: &Outlets, live: &mut Live, is_silent: bool) {
    for url in &outlets.opened {
        live.note(url);
        if is_silent {
            warn(url);
        }
    }
}

/// The run is over, and `live` has told all: waits for the last push.
pub(super) fn finish(outlets: &mut Outlets) {
    if let Some(note) = outlets.finish() {
        warn(&note);
    }
}

/// Everything is printed: a page that somebody may be reading stays until Ctrl-C, unless somebody was in a hurry.
pub(super) fn stay(outlets: &Outlets) {
    if outlets.has_page && !interrupt::abort_asked() {
        warn(&"the dashboard stays open: Ctrl-C ends it");
        interrupt::wait();
    }
}
