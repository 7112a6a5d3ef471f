//! A user as the store keeps it.

/// The built-in author of posts without a token. Its password hash matches nothing.
pub(crate) const ANONYMOUS_ID: &str = "00000000-0000-0000-0000-000000000000";
/// The address of the built-in author; `.invalid` is reserved (RFC 2606), so nobody can own it.
pub(crate) const ANONYMOUS_EMAIL: &str = "anonymous@feedmark.invalid";
/// What subscribers read as the name of the built-in author.
pub(crate) const ANONYMOUS_NAME: &str = "anonymous";
/// No PHC string, so no password verifies against it.
pub(crate) const NO_PASSWORD: &str = "!";
/// The status that the course's app gives to everyone who signs up.
pub(crate) const FIRST_STATUS: &str = "I am new!";

/// Someone who signs up.
#[derive(Debug, Clone)]
pub(crate) struct NewUser {
    pub(crate) id: String,
    pub(crate) email: String,
    pub(crate) password_hash: String,
    pub(crate) name: String,
}

/// What a login is checked against.
#[derive(Debug, Clone)]
pub(crate) struct Credentials {
    pub(crate) id: String,
    pub(crate) password_hash: String,
}
