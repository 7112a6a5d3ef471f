//! Reading the feed and changing it.

use std::collections::HashMap;

use axum::{
    Json,
    extract::{FromRequestParts, Path, Query, State, rejection::PathRejection},
    http::{HeaderName, HeaderValue, StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::value::RawValue;
use socketioxide::socket::Sid;
use uuid::Uuid;

use super::{
    App,
    body::JsonFields,
    caller::{Author, Caller},
};
use crate::{
    clock,
    faults::Verdict,
    feed::{Audience, NotPublished, Published},
    fields::{CONTENT, IMAGE_URL, TITLE},
    post::{Change, Creator, NewPost, PageRequest, Post, PostEdit, PostRemoval},
    problem::Problem,
    store::StoreError,
};

/// As in the course's app.
const POSTS_PER_PAGE: u64 = 2;
const POSTS_PER_PAGE_MAX: u64 = 100;
/// Deliveries put into a socket's queue by this change.
const ENQUEUED: HeaderName = HeaderName::from_static("x-feedmark-enqueued");
/// Deliveries that a socket's full queue, or a closed socket, refused.
const REFUSED: HeaderName = HeaderName::from_static("x-feedmark-refused");
/// Of these, those that a full queue refused.
const REFUSED_BUFFER_FULL: HeaderName = HeaderName::from_static("x-feedmark-refused-buffer-full");
/// The poster's own socket, for whoever cannot put it into the query.
const SOCKET_ID: HeaderName = HeaderName::from_static("x-feedmark-socket-id");

type QueryValues = Query<HashMap<String, String>>;

pub(super) async fn page(
    State(app): State<App>,
    Query(query): QueryValues,
) -> Result<Json<PageAnswer>, Problem> {
    let page = number(&query, "page", 1, u64::MAX)?;
    let per_page = number(&query, "per_page", POSTS_PER_PAGE, POSTS_PER_PAGE_MAX)?;
    let page = app.store.page(PageRequest { page, per_page }).await?;
    Ok(Json(PageAnswer { message: "Fetched posts.", posts: page.posts, total_items: page.total_items }))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PageAnswer {
    message: &'static str,
    posts: Vec<Post>,
    total_items: u64,
}

/// A whole number from 1 to `most`.
fn number(
    query: &HashMap<String, String>,
    field: &'static str,
    otherwise: u64,
    most: u64,
) -> Result<u64, Problem> {
    let Some(text) = query.get(field) else { return Ok(otherwise) };
    match text.parse() {
        Ok(number) if (1..=most).contains(&number) => Ok(number),
        _ => {
            let message = format!("{field} is {text}: give a whole number from 1 to {most}");
            Err(Problem::invalid_field(field, message, text))
        }
    }
}

pub(super) async fn post(State(app): State<App>, PostId(id): PostId) -> Result<Json<PostAnswer>, Problem> {
    let post = app.store.post(&id).await?.ok_or(StoreError::UnknownPost { id })?;
    Ok(Json(PostAnswer { message: "Post fetched.", post }))
}

#[derive(Serialize)]
pub(super) struct PostAnswer {
    message: &'static str,
    post: Post,
}

pub(super) async fn create(
    State(app): State<App>,
    Author(creator_id): Author,
    To(audience): To,
    JsonFields(mut fields): JsonFields,
) -> Result<Response, Problem> {
    let title = fields.text(&TITLE);
    let content = fields.text(&CONTENT);
    let image_url = fields.optional_text(&IMAGE_URL).flatten();
    fields.finish()?;
    let id = Uuid::now_v7().to_string();
    let post = NewPost { id, creator_id, title, content, image_url, at: clock::now() };
    let (mut response, verdict) = match app.publisher.publish(Change::Create(post), audience).await {
        Ok(published) => {
            let creator = Some(&published.creator);
            let message = "Post created successfully!";
            let response = answer(StatusCode::CREATED, message, Some(&published.post), creator, &published);
            (response, published.number.map(|number| Verdict::Taken { number }))
        }
        Err(NotPublished::Refused { number, how }) => {
            let response = Problem::from(NotPublished::Refused { number, how }).into_response();
            (response, Some(Verdict::Refused { number, how }))
        }
        Err(why) => return Err(why.into()),
    };
    // For whoever carries the answer to the poster.
    if let Some(verdict) = verdict {
        response.extensions_mut().insert(verdict);
    }
    Ok(response)
}

pub(super) async fn update(
    State(app): State<App>,
    Caller(caller_id): Caller,
    PostId(id): PostId,
    To(audience): To,
    JsonFields(mut fields): JsonFields,
) -> Result<Response, Problem> {
    let title = fields.text(&TITLE);
    let content = fields.text(&CONTENT);
    let image_url = fields.optional_text(&IMAGE_URL);
    fields.finish()?;
    let edit = PostEdit { id, caller_id, title, content, image_url, at: clock::now() };
    let published = app.publisher.publish(Change::Update(edit), audience).await?;
    Ok(answer(StatusCode::OK, "Post updated!", Some(&published.post), None, &published))
}

pub(super) async fn delete(
    State(app): State<App>,
    Caller(caller_id): Caller,
    PostId(id): PostId,
    To(audience): To,
) -> Result<Response, Problem> {
    let removal = PostRemoval { id, caller_id };
    let published = app.publisher.publish(Change::Delete(removal), audience).await?;
    Ok(answer(StatusCode::OK, "Deleted post.", None, None, &published))
}

#[derive(Serialize)]
struct Answer<'a> {
    message: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    post: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    creator: Option<&'a Creator>,
}

fn answer(
    status: StatusCode,
    message: &'static str,
    post: Option<&RawValue>,
    creator: Option<&Creator>,
    published: &Published,
) -> Response {
    let mut response = (status, Json(Answer { message, post, creator })).into_response();
    let headers = response.headers_mut();
    headers.insert(ENQUEUED, HeaderValue::from(published.fanout.enqueued));
    headers.insert(REFUSED, HeaderValue::from(published.fanout.refused()));
    headers.insert(REFUSED_BUFFER_FULL, HeaderValue::from(published.fanout.refused_buffer_full));
    response
}

/// The id in the path. Ids are opaque: any text may be asked for.
pub(super) struct PostId(String);

impl FromRequestParts<App> for PostId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let id: Result<Path<String>, PathRejection> = Path::from_request_parts(parts, app).await;
        match id {
            Ok(Path(id)) => Ok(Self(id)),
            Err(why) => {
                Err(Problem::new(StatusCode::BAD_REQUEST, format!("the id in the path is broken: {why}")))
            }
        }
    }
}

/// `?audience=everyone` (the default) or `?audience=others&socket_id=SID`, Socket.IO's "broadcast".
pub(super) struct To(Audience);

impl FromRequestParts<App> for To {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let Query(query): QueryValues = Query::try_from_uri(&parts.uri)
            .map_err(|why| Problem::new(StatusCode::BAD_REQUEST, format!("the query is broken: {why}")))?;
        match query.get("audience").map(String::as_str) {
            None | Some("everyone") => Ok(Self(Audience::Everyone)),
            Some("others") => {
                let in_header = || parts.headers.get(SOCKET_ID).and_then(|value| value.to_str().ok());
                let text = query.get("socket_id").map(String::as_str).or_else(in_header).unwrap_or_default();
                let socket = text.parse::<Sid>().ok().and_then(|id| app.io.of("/")?.get_socket(id));
                let Some(socket) = socket else {
                    let message =
                        format!("socket_id is {text:?}: give the id of the poster's connected socket");
                    return Err(Problem::invalid_field("socket_id", message, text));
                };
                Ok(Self(Audience::Others(socket)))
            }
            Some(other) => {
                let message = format!("audience is {other}: give everyone or others");
                Err(Problem::invalid_field("audience", message, other))
            }
        }
    }
}
