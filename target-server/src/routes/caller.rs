//! Who is calling.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};

use super::App;
use crate::{problem::Problem, user::ANONYMOUS_ID};

/// The id of a user who showed a valid token.
pub(super) struct Caller(pub(super) String);

/// The id of whoever may post: a caller, or with open posting anyone.
pub(super) struct Author(pub(super) String);

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let token = bearer(&parts.headers)
            .ok_or_else(|| Problem::unauthorized("not authenticated: send authorization: Bearer TOKEN"))?;
        Ok(Self(app.tokens.verify(token)?))
    }
}

impl FromRequestParts<App> for Author {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        if app.open_posting && !parts.headers.contains_key(header::AUTHORIZATION) {
            return Ok(Self(ANONYMOUS_ID.to_owned()));
        }
        Caller::from_request_parts(parts, app).await.map(|Caller(id)| Self(id))
    }
}

/// The scheme is case-insensitive (RFC 9110, 11.1).
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
