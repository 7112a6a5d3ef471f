//! Password hashes (argon2id), off the async workers and a few at a time.
//!
//! Invariant: a login for an unknown address costs as much as one with a wrong password, so that time does not tell
//! who has an account.

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use tokio::{sync::Semaphore, task};

/// Hashes computed at the same time: each takes 19 MiB and a core for tens of milliseconds.
const HASHES_AT_ONCE_MAX: usize = 2;

/// What an unknown address is checked against: the cost of a real hash, and no password that anyone knows.
const DECOY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$ZGVjb3lzYWx0ZGVjb3k$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Hashes and checks passwords.
pub(crate) struct Passwords {
    permits: Semaphore,
}

/// The hash could not be computed.
#[derive(Debug, thiserror::Error)]
#[error("hashing the password failed: {0}")]
pub(crate) struct HashFailed(String);

impl Passwords {
    pub(crate) fn new() -> Self {
        Self { permits: Semaphore::new(HASHES_AT_ONCE_MAX) }
    }

    /// A salted hash in PHC form.
    pub(crate) async fn hash(&self, password: String) -> Result<String, HashFailed> {
        self.off_the_workers(move || hash(&password)).await
    }

    /// Whether the password belongs to the hash. `None`: there is no such account.
    pub(crate) async fn verify(&self, password: String, phc: Option<String>) -> Result<bool, HashFailed> {
        self.off_the_workers(move || {
            let real = phc.as_deref().and_then(|phc| PasswordHash::new(phc).ok());
            let is_real = real.is_some();
            let against = match real {
                Some(real) => real,
                None => PasswordHash::new(DECOY).map_err(|e| HashFailed(e.to_string()))?,
            };
            Ok(Argon2::default().verify_password(password.as_bytes(), &against).is_ok() && is_real)
        })
        .await
    }

    async fn off_the_workers<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, HashFailed> + Send + 'static,
    ) -> Result<T, HashFailed> {
        let _permit = self.permits.acquire().await.map_err(|e| HashFailed(e.to_string()))?;
        task::spawn_blocking(work).await.map_err(|e| HashFailed(e.to_string()))?
    }
}

fn hash(password: &str) -> Result<String, HashFailed> {
    let hash = Argon2::default().hash_password(password.as_bytes()).map_err(|e| HashFailed(e.to_string()))?;
    Ok(hash.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_same_password_of_a_real_account_fits() {
        let passwords = Passwords::new();
        let phc = passwords.hash("secret".to_owned()).await.unwrap();
        assert!(phc.starts_with("$argon2id$"), "{phc}");
        assert!(passwords.verify("secret".to_owned(), Some(phc.clone())).await.unwrap());
        assert!(!passwords.verify("Secret".to_owned(), Some(phc)).await.unwrap());
        assert!(!passwords.verify("decoy".to_owned(), None).await.unwrap());
        assert!(!passwords.verify("!".to_owned(), Some("!".to_owned())).await.unwrap());
    }

    #[tokio::test]
    async fn an_unknown_account_costs_what_a_real_one_costs() {
        let cost = |phc: &str| phc.rsplitn(3, '$').nth(2).map(str::to_owned);
        let real = Passwords::new().hash("secret".to_owned()).await.unwrap();
        assert_eq!(cost(DECOY), cost(&real));
        assert!(PasswordHash::new(DECOY).is_ok());
    }
}
