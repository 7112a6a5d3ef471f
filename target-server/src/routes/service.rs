//! What operators ask: is it alive, and what has it done.

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::App;
use crate::{metrics::TEXT_FORMAT, problem::Problem, sockets};

pub(super) async fn healthz(State(app): State<App>) -> Result<Json<Value>, Problem> {
    if app.store.takes_writes() && app.publisher.is_running() {
        Ok(Json(json!({ "status": "ok" })))
    } else {
        Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "no writes are taken: the server is stopping, or its log says why",
        ))
    }
}

pub(super) async fn metrics(State(app): State<App>) -> Result<Response, Problem> {
    let text = app.metrics.text(sockets::connected(&app.io)).map_err(|why| Problem::internal(&why))?;
    Ok(([(header::CONTENT_TYPE, TEXT_FORMAT)], text).into_response())
}
