//! Errors as clients see them: a status and JSON `{message, data?}`.
//!
//! Invariant: what went wrong inside is logged here and not shown outside.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::{feed::NotPublished, passwords::HashFailed, store::StoreError, tokens::TokenRefused};

/// An answer that is not what the client hoped for.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    message: String,
    data: Vec<FieldProblem>,
}

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct FieldProblem {
    pub(crate) field: &'static str,
    pub(crate) message: String,
    /// What was sent, where it is neither secret nor long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<serde_json::Value>,
}

#[derive(Serialize)]
struct Body {
    message: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    data: Vec<FieldProblem>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), data: Vec::new() }
    }

    /// 422, each field named.
    pub(crate) fn invalid(data: Vec<FieldProblem>) -> Self {
        let message = "validation failed: see data for each field".to_owned();
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, message, data }
    }

    pub(crate) fn invalid_field(field: &'static str, message: impl Into<String>, value: &str) -> Self {
        let value = Some(serde_json::Value::String(value.to_owned()));
        Self::invalid(vec![FieldProblem { field, message: message.into(), value }])
    }

    pub(crate) fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, message)
    }

    /// 500: logged in full, shown without detail.
    pub(crate) fn internal(why: &dyn std::error::Error) -> Self {
        tracing::error!(%why, "request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "the server failed: its log says why")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response =
            (self.status, Json(Body { message: self.message, data: self.data })).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<StoreError> for Problem {
    fn from(why: StoreError) -> Self {
        let message = why.to_string();
        match why {
            StoreError::EmailTaken { email } => Self::invalid_field("email", message, &email),
            StoreError::UnknownUser { .. } => Self::unauthorized(message),
            StoreError::UnknownPost { .. } => Self::new(StatusCode::NOT_FOUND, message),
            StoreError::NotCreator { .. } => Self::new(StatusCode::FORBIDDEN, message),
            StoreError::Stopped => Self::new(StatusCode::SERVICE_UNAVAILABLE, message),
            StoreError::NewerDatabase { .. }
            | StoreError::Open { .. }
            | StoreError::NotCommitted(_)
            | StoreError::Sqlite(_) => Self::internal(&why),
        }
    }
}

impl From<NotPublished> for Problem {
    fn from(why: NotPublished) -> Self {
        match why {
            NotPublished::Store(why) => why.into(),
            NotPublished::Refused { how, .. } => {
                let status = StatusCode::from_u16(how.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                Self::new(status, "the post is refused: the server was told to (see its faults)")
            }
        }
    }
}

impl From<TokenRefused> for Problem {
    fn from(why: TokenRefused) -> Self {
        Self::unauthorized(why.to_string())
    }
}

impl From<HashFailed> for Problem {
    fn from(why: HashFailed) -> Self {
        Self::internal(&why)
    }
}
