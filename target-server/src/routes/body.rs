//! The body of a request as JSON, or the reason why it is none.

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, StatusCode, header},
    response::IntoResponse,
};
use serde_json::Value;

use super::App;
use crate::{fields::Fields, problem::Problem};

/// Any JSON.
pub(super) struct Json(pub(super) Value);

/// The fields of a JSON object.
pub(super) struct JsonFields(pub(super) Fields);

impl FromRequest<App> for Json {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            let message = "the body is not declared as JSON: send content-type: application/json";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
        }
        let bytes = Bytes::from_request(request, app).await.map_err(|rejection| {
            let status = rejection.into_response().status();
            let message = match status {
                StatusCode::PAYLOAD_TOO_LARGE => {
                    format!("the body is larger than {} bytes: send less", app.max_payload_bytes)
                }
                _ => "the body broke off: send it again".to_owned(),
            };
            Problem::new(status, message)
        })?;
        let value = serde_json::from_slice(&bytes)
            .map_err(|why| Problem::new(StatusCode::BAD_REQUEST, format!("the body is not JSON: {why}")))?;
        Ok(Self(value))
    }
}

impl FromRequest<App> for JsonFields {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        match Json::from_request(request, app).await?.0 {
            Value::Object(values) => Ok(Self(Fields::new(values))),
            _ => Err(Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "the body is JSON but not an object: send {...}",
            )),
        }
    }
}

/// `application/json` or `application/…+json`, whatever its parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(declared) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let essence = declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.strip_prefix("application/").is_some_and(|kind| kind == "json" || kind.ends_with("+json"))
}
