//! The shape of the database, as the steps that lead to it.
//!
//! `user_version` counts the steps done. Each step commits with its number, so a crash between two steps leaves a
//! database that continues where it stopped. Steps are never edited, only added.

use rusqlite::{Connection, TransactionBehavior};

use crate::user::{ANONYMOUS_EMAIL, ANONYMOUS_ID, ANONYMOUS_NAME, FIRST_STATUS, NO_PASSWORD};

/// `seq` is the order of arrival; ids are what the world sees.
/// `posts_by_creator` is the list of a user's posts, newest last.
const STEPS: [&str; 1] = ["
    CREATE TABLE users (
        seq           INTEGER PRIMARY KEY,
        id            TEXT NOT NULL UNIQUE,
        email         TEXT NOT NULL UNIQUE,
        password_hash TEXT NOT NULL,
        name          TEXT NOT NULL,
        status        TEXT NOT NULL
    ) STRICT;
    CREATE TABLE posts (
        seq           INTEGER PRIMARY KEY AUTOINCREMENT,
        id            TEXT NOT NULL UNIQUE,
        creator_seq   INTEGER NOT NULL REFERENCES users (seq),
        title         TEXT NOT NULL,
        content       TEXT NOT NULL,
        image_url     TEXT,
        created_at_ms INTEGER NOT NULL,
        updated_at_ms INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX posts_by_creator ON posts (creator_seq, seq);
"];

/// The newest version known here.
pub(super) const NEWEST: u32 = STEPS.len() as u32;

/// Brings a database up to date; returns the version it had.
///
/// # Errors
/// SQLite's, or `Ok(Err(version))` when the database is newer than this program.
pub(super) fn run(connection: &mut Connection) -> rusqlite::Result<Result<u32, u32>> {
    // Immediate: two servers that start on one file migrate one after the other.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: u32 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found > NEWEST {
        return Ok(Err(found));
    }
    for step in STEPS.iter().skip(found as usize) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", NEWEST)?;
    transaction.execute(
        "INSERT OR IGNORE INTO users (id, email, password_hash, name, status) VALUES (?, ?, ?, ?, ?)",
        (ANONYMOUS_ID, ANONYMOUS_EMAIL, NO_PASSWORD, ANONYMOUS_NAME, FIRST_STATUS),
    )?;
    transaction.commit()?;
    Ok(Ok(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(connection: &Connection) -> Vec<String> {
        let mut query =
            connection.prepare("SELECT sql FROM sqlite_schema WHERE sql NOT NULL ORDER BY sql").unwrap();
        query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn running_twice_changes_nothing() {
        let mut connection = Connection::open_in_memory().unwrap();
        assert_eq!(run(&mut connection).unwrap(), Ok(0));
        let first = schema(&connection);
        assert!(!first.is_empty());
        assert_eq!(run(&mut connection).unwrap(), Ok(NEWEST));
        assert_eq!(schema(&connection), first);
        let users: u32 = connection.query_row("SELECT count(*) FROM users", [], |row| row.get(0)).unwrap();
        assert_eq!(users, 1, "the built-in author, once");
    }

    #[test]
    fn a_newer_database_is_left_as_it_is() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.pragma_update(None, "user_version", NEWEST + 1).unwrap();
        assert_eq!(run(&mut connection).unwrap(), Err(NEWEST + 1));
        assert!(schema(&connection).is_empty());
    }

    #[test]
    fn a_users_posts_are_found_by_index() {
        let mut connection = Connection::open_in_memory().unwrap();
        run(&mut connection).unwrap().unwrap();
        let plan: String = connection
            .query_row(
                "EXPLAIN QUERY PLAN SELECT id FROM posts WHERE creator_seq = 1 ORDER BY seq DESC",
                [],
                |row| row.get(3),
            )
            .unwrap();
        assert!(plan.contains("USING INDEX posts_by_creator"), "{plan}");
    }
}
