//! `/metrics` of the running run.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Redirect};
use axum::routing::get;
use feedmark_reports::live::prometheus::Exposition;

use crate::live::Snapshots;

const METRICS: &str = "/metrics";

/// Answers scrapes with the latest of `snapshots`.
pub fn router(snapshots: Snapshots) -> Router {
    let to_metrics = get(|| async { Redirect::to(METRICS) });
    Router::new().route(METRICS, get(scrape)).route("/", to_metrics).with_state(snapshots)
}

async fn scrape(State(snapshots): State<Snapshots>, headers: HeaderMap) -> impl IntoResponse {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let exposition = Exposition::accepted(accept);
    let snapshot = Arc::clone(&snapshots.borrow());
    ([(header::CONTENT_TYPE, exposition.content_type())], exposition.render(&snapshot))
}
