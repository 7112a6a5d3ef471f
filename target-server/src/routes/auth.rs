//! Signing up, logging in, and the status line of a user.

use axum::{Json, extract::State, http::StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{App, body::JsonFields, caller::Caller};
use crate::{
    fields::{NAME, PASSWORD, STATUS},
    problem::Problem,
    store::StoreError,
    user::NewUser,
};

pub(super) async fn signup(
    State(app): State<App>,
    JsonFields(mut fields): JsonFields,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let email = fields.email();
    let password = fields.text(&PASSWORD);
    let name = fields.text(&NAME);
    fields.finish()?;
    let password_hash = app.passwords.hash(password).await?;
    let id = Uuid::now_v7().to_string();
    app.store.create_user(NewUser { id: id.clone(), email, password_hash, name }).await?;
    Ok((StatusCode::CREATED, Json(json!({ "message": "User created!", "userId": id }))))
}

pub(super) async fn login(
    State(app): State<App>,
    JsonFields(mut fields): JsonFields,
) -> Result<Json<Value>, Problem> {
    let email = fields.email();
    let password = fields.text(&PASSWORD);
    fields.finish()?;
    let credentials = app.store.credentials(&email).await?;
    let phc = credentials.as_ref().map(|credentials| credentials.password_hash.clone());
    let fits = app.passwords.verify(password, phc).await?;
    let Some(user) = credentials.filter(|_| fits) else {
        return Err(Problem::unauthorized("no account has this email and password: check both"));
    };
    let token = app.tokens.issue(&user.id, &email).map_err(|why| Problem::internal(&why))?;
    Ok(Json(json!({ "token": token, "userId": user.id })))
}

pub(super) async fn status(State(app): State<App>, Caller(id): Caller) -> Result<Json<Value>, Problem> {
    let status = app.store.status(&id).await?.ok_or(StoreError::UnknownUser { id })?;
    Ok(Json(json!({ "status": status })))
}

pub(super) async fn set_status(
    State(app): State<App>,
    Caller(id): Caller,
    JsonFields(mut fields): JsonFields,
) -> Result<Json<Value>, Problem> {
    let status = fields.text(&STATUS);
    fields.finish()?;
    app.store.set_status(&id, &status).await?;
    Ok(Json(json!({ "message": "User status updated" })))
}
