//! Changing the faults of a running server, for whoever shows the admin token.

use axum::{
    Json,
    extract::{FromRequestParts, State},
    http::{StatusCode, request::Parts},
};
use std::sync::Arc;
use subtle::ConstantTimeEq;

use super::{App, body, caller::bearer, unknown_route};
use crate::{
    faults::{Fault, Faults},
    problem::Problem,
};

/// The faults, in the hands of the admin.
pub(super) struct Admin(Arc<Faults>);

impl FromRequestParts<App> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let Some((token, faults)) = &app.admin else { return Err(unknown_route(parts.uri.clone()).await) };
        let shown = bearer(&parts.headers).unwrap_or_default();
        if shown.as_bytes().ct_eq(token.as_bytes()).into() {
            Ok(Self(Arc::clone(faults)))
        } else {
            Err(Problem::unauthorized("this is not the admin token: send authorization: Bearer TOKEN"))
        }
    }
}

pub(super) async fn show(Admin(faults): Admin) -> Json<Vec<Fault>> {
    Json(faults.shown())
}

/// All or nothing: one that is wrong leaves the faults as they were.
pub(super) async fn replace(
    Admin(faults): Admin,
    State(_): State<App>,
    body::Json(new): body::Json,
) -> Result<Json<Vec<Fault>>, Problem> {
    let new: Vec<Fault> = serde_json::from_value(new).map_err(|why| {
        let message = format!("these are no faults: {why}; send an array such as [{{\"kind\":\"drop\"}}]");
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, message)
    })?;
    faults.replace(new);
    Ok(Json(faults.shown()))
}

pub(super) async fn clear(Admin(faults): Admin) -> StatusCode {
    faults.replace(Vec::new());
    StatusCode::NO_CONTENT
}
