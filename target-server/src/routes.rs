//! The REST side: which path leads where, and what every request meets on the way.

mod admin;
mod auth;
mod body;
mod caller;
mod feed;
mod page;
mod service;

use std::sync::Arc;

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{Method, StatusCode, Uri},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use tokio_util::task::TaskTracker;
use tower_http::catch_panic::CatchPanicLayer;

use crate::{
    config::Secret, faults::Faults, feed::Publisher, metrics::Metrics, passwords::Passwords,
    problem::Problem, sockets::Io, store::Store, tokens::Tokens,
};

/// Where posts are created.
pub(crate) const POST_PATH: &str = "/feed/post";

/// What every handler can reach. There is one io handle, and it exists before any handler does.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) io: Io,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) publisher: Publisher,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) passwords: Arc<Passwords>,
    pub(crate) open_posting: bool,
    pub(crate) max_payload_bytes: usize,
    /// Requests being answered, so that a shutdown can wait for them.
    pub(crate) in_flight: TaskTracker,
    /// Who may change the faults, and the faults.
    pub(crate) admin: Option<(Secret, Arc<Faults>)>,
}

/// All routes. Socket.IO and CORS are layers around what this returns.
pub(crate) fn router(app: App) -> Router {
    let admin = match app.admin {
        Some(_) => {
            Router::new().route("/admin/faults", get(admin::show).put(admin::replace).delete(admin::clear))
        }
        None => Router::new(),
    };
    Router::new()
        .merge(admin)
        .merge(page::router())
        .route("/auth/signup", put(auth::signup))
        .route("/auth/login", post(auth::login))
        .route("/auth/status", get(auth::status).patch(auth::set_status))
        .route("/feed/posts", get(feed::page))
        .route(POST_PATH, post(feed::create))
        .route("/feed/post/{id}", get(feed::post).put(feed::update).delete(feed::delete))
        .route("/healthz", get(service::healthz))
        .route("/metrics", get(service::metrics))
        .fallback(unknown_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(app.max_payload_bytes))
        .layer(CatchPanicLayer::custom(broken))
        .layer(middleware::from_fn_with_state(app.clone(), counted))
        .with_state(app)
}

async fn counted(State(app): State<App>, request: Request, next: Next) -> Response {
    let response = app.in_flight.track_future(next.run(request)).await;
    app.metrics.count_http(response.status());
    response
}

async fn unknown_route(uri: Uri) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, format!("nothing is at {}: see /feed/posts", uri.path()))
}

async fn wrong_method(method: Method, uri: Uri) -> Problem {
    let message = format!("{} does not take {method}: the allow header names what it takes", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, message)
}

/// A panic is our fault: the client gets a 500, everyone else goes on.
fn broken(_panic: Box<dyn std::any::Any + Send>) -> Response {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the server failed: its log says why").into_response()
}
