//! Signed tokens that say who is calling, until they expire (JWT, RFC 7519, HS256).

use std::time::Duration;

use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode, errors::ErrorKind,
};
use serde::{Deserialize, Serialize};

use crate::{clock, config::Secret};

/// Bytes of a key drawn at random: as long as the hash of HS256 (RFC 7518, 3.2).
const RANDOM_KEY_BYTES: usize = 32;

/// Issues and checks tokens with one key.
pub(crate) struct Tokens {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
    ttl: Duration,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Claims {
    user_id: String,
    email: String,
    /// Seconds since 1970.
    exp: i64,
}

/// Why a token is worth nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenRefused {
    #[error("the token has expired: log in again")]
    Expired,
    #[error("the token is not one of ours: log in again")]
    Invalid,
}

impl Tokens {
    /// Without a secret, a key is drawn that dies with the process.
    pub(crate) fn new(secret: Option<&Secret>, ttl: Duration) -> Self {
        let random: [u8; RANDOM_KEY_BYTES];
        let key = match secret {
            Some(secret) => secret.as_bytes(),
            None => {
                tracing::info!(
                    "tokens are signed with a random key and end with this server: set --jwt-secret to keep them"
                );
                random = rand::random();
                &random
            }
        };
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = 0;
        Self {
            encoding: EncodingKey::from_secret(key),
            decoding: DecodingKey::from_secret(key),
            validation,
            ttl,
        }
    }

    /// A token for a user who has just proved to be that user.
    pub(crate) fn issue(&self, user_id: &str, email: &str) -> Result<String, jsonwebtoken::errors::Error> {
        let ttl_seconds = i64::try_from(self.ttl.as_secs()).unwrap_or(i64::MAX);
        let exp = clock::now().as_second().saturating_add(ttl_seconds);
        let claims = Claims { user_id: user_id.to_owned(), email: email.to_owned(), exp };
        encode(&Header::new(Algorithm::HS256), &claims, &self.encoding)
    }

    /// The id of the user that the token was issued to.
    pub(crate) fn verify(&self, token: &str) -> Result<String, TokenRefused> {
        match decode::<Claims>(token, &self.decoding, &self.validation) {
            Ok(data) => Ok(data.claims.user_id),
            Err(e) if matches!(e.kind(), ErrorKind::ExpiredSignature) => Err(TokenRefused::Expired),
            Err(_) => Err(TokenRefused::Invalid),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn tokens(secret: &str) -> Tokens {
        Tokens::new(Some(&Secret::new(secret)), HOUR)
    }

    #[test]
    fn a_token_names_its_user_to_the_same_key_only() {
        let token = tokens("one").issue("u1", "a@example.com").unwrap();
        assert_eq!(tokens("one").verify(&token), Ok("u1".to_owned()));
        assert_eq!(tokens("two").verify(&token), Err(TokenRefused::Invalid));
        assert_eq!(Tokens::new(None, HOUR).verify(&token), Err(TokenRefused::Invalid));
    }

    #[test]
    fn a_token_ends() {
        let claims =
            Claims { user_id: "u1".into(), email: "a@example.com".into(), exp: clock::now().as_second() - 1 };
        let tokens = tokens("one");
        let token = encode(&Header::new(Algorithm::HS256), &claims, &tokens.encoding).unwrap();
        assert_eq!(tokens.verify(&token), Err(TokenRefused::Expired));
    }

    #[test]
    fn an_unsigned_token_is_nothing() {
        let tokens = tokens("one");
        // {"alg":"none"} . {"userId":"u1","email":"","exp":9999999999} . no signature
        let unsigned = "eyJhbGciOiJub25lIn0.eyJ1c2VySWQiOiJ1MSIsImVtYWlsIjoiIiwiZXhwIjo5OTk5OTk5OTk5fQ.";
        for text in ["", "a.b.c", unsigned] {
            assert_eq!(tokens.verify(text), Err(TokenRefused::Invalid), "{text}");
        }
    }
}
