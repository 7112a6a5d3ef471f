//! The statements, each a function over a connection; whoever calls decides about transactions.

use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row};

use super::StoreError;
use crate::{
    post::{Creator, NewPost, Page, PageRequest, Post, PostEdit, PostRemoval},
    user::{Credentials, FIRST_STATUS, NewUser},
};

const POSTS: &str = "SELECT posts.id, title, content, image_url, users.id, users.name, created_at_ms, updated_at_ms \
                     FROM posts JOIN users ON users.seq = posts.creator_seq";

fn read_post(row: &Row<'_>) -> rusqlite::Result<Post> {
    Ok(Post {
        id: row.get(0)?,
        title: row.get(1)?,
        content: row.get(2)?,
        image_url: row.get(3)?,
        creator: Creator { id: row.get(4)?, name: row.get(5)? },
        created_at: read_time(row, 6)?,
        updated_at: read_time(row, 7)?,
    })
}

fn read_time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    let milliseconds: i64 = row.get(column)?;
    Timestamp::from_millisecond(milliseconds)
        .map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, milliseconds))
}

pub(super) fn insert_user(connection: &Connection, user: &NewUser) -> Result<(), StoreError> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO users (id, email, password_hash, name, status) VALUES (?, ?, ?, ?, ?)",
    )?;
    match insert.execute((&user.id, &user.email, &user.password_hash, &user.name, FIRST_STATUS)) {
        Ok(_) => Ok(()),
        Err(e) if e.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
            Err(StoreError::EmailTaken { email: user.email.clone() })
        }
        Err(e) => Err(e.into()),
    }
}

pub(super) fn credentials(connection: &Connection, email: &str) -> Result<Option<Credentials>, StoreError> {
    let mut query = connection.prepare_cached("SELECT id, password_hash FROM users WHERE email = ?")?;
    let found =
        query.query_row([email], |row| Ok(Credentials { id: row.get(0)?, password_hash: row.get(1)? }));
    Ok(found.optional()?)
}

pub(super) fn status(connection: &Connection, user_id: &str) -> Result<Option<String>, StoreError> {
    let mut query = connection.prepare_cached("SELECT status FROM users WHERE id = ?")?;
    Ok(query.query_row([user_id], |row| row.get(0)).optional()?)
}

pub(super) fn set_status(connection: &Connection, user_id: &str, status: &str) -> Result<(), StoreError> {
    let mut update = connection.prepare_cached("UPDATE users SET status = ? WHERE id = ?")?;
    match update.execute([status, user_id])? {
        0 => Err(StoreError::UnknownUser { id: user_id.to_owned() }),
        _ => Ok(()),
    }
}

pub(super) fn insert_post(connection: &Connection, post: NewPost) -> Result<Post, StoreError> {
    let mut find = connection.prepare_cached("SELECT seq, name FROM users WHERE id = ?")?;
    let creator: Option<(i64, String)> =
        find.query_row([&post.creator_id], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let Some((creator_seq, name)) = creator else {
        return Err(StoreError::UnknownUser { id: post.creator_id });
    };
    let mut insert = connection.prepare_cached(
        "INSERT INTO posts (id, creator_seq, title, content, image_url, created_at_ms, updated_at_ms) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)",
    )?;
    insert.execute((
        &post.id,
        creator_seq,
        &post.title,
        &post.content,
        &post.image_url,
        post.at.as_millisecond(),
    ))?;
    Ok(post.stored_as(name))
}

pub(super) fn update_post(connection: &Connection, edit: PostEdit) -> Result<Post, StoreError> {
    let mut post = own_post(connection, &edit.id, &edit.caller_id)?;
    post.apply(edit);
    let mut update = connection.prepare_cached(
        "UPDATE posts SET title = ?, content = ?, image_url = ?, updated_at_ms = ? WHERE id = ?",
    )?;
    update.execute((
        &post.title,
        &post.content,
        &post.image_url,
        post.updated_at.as_millisecond(),
        &post.id,
    ))?;
    Ok(post)
}

pub(super) fn delete_post(connection: &Connection, removal: &PostRemoval) -> Result<Post, StoreError> {
    let post = own_post(connection, &removal.id, &removal.caller_id)?;
    connection.prepare_cached("DELETE FROM posts WHERE id = ?")?.execute([&removal.id])?;
    Ok(post)
}

fn own_post(connection: &Connection, id: &str, caller_id: &str) -> Result<Post, StoreError> {
    let post = post(connection, id)?.ok_or_else(|| StoreError::UnknownPost { id: id.to_owned() })?;
    if post.creator.id == caller_id { Ok(post) } else { Err(StoreError::NotCreator { id: id.to_owned() }) }
}

pub(super) fn post(connection: &Connection, id: &str) -> Result<Option<Post>, StoreError> {
    let mut query = connection.prepare_cached(&format!("{POSTS} WHERE posts.id = ?"))?;
    Ok(query.query_row([id], read_post).optional()?)
}

/// Page and total are read in one transaction, so that they speak of the same moment.
pub(super) fn page(connection: &mut Connection, page: PageRequest) -> Result<Page, StoreError> {
    let transaction = connection.transaction()?;
    let total_items: i64 =
        transaction.prepare_cached("SELECT count(*) FROM posts")?.query_row([], |row| row.get(0))?;
    let as_integer = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let posts = transaction
        .prepare_cached(&format!("{POSTS} ORDER BY posts.seq DESC LIMIT ? OFFSET ?"))?
        .query_map([as_integer(page.per_page), as_integer(page.offset())], read_post)?
        .collect::<Result<Vec<_>, _>>()?;
    transaction.commit()?;
    Ok(Page { posts, total_items: u64::try_from(total_items).unwrap_or(0) })
}
