// SPDX-License-Identifier: Apache-2.0
//! One-time tokens of streaming URLs.
//!
//! A token is the only credential of a streaming URL, and pods on the host network can reach the loopback address. So
//! it has 144 random bits, works once, lives for a minute, and is never printed. Redeeming a token removes it, whatever
//! happens to the connection.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long a token can be redeemed.
pub const LIFETIME: Duration = Duration::from_secs(60);
/// How many tokens can wait to be redeemed.
pub const CAPACITY: usize = 1000;

/// Why no token was issued.
#[derive(Debug, thiserror::Error)]
pub enum TokenRefused {
    /// [`CAPACITY`] tokens are waiting for their client.
    #[error("maximum number of in-flight requests exceeded")]
    Full,
    /// The kernel did not supply random bytes.
    #[error("cannot get random bytes for a streaming token: {0}")]
    Random(getrandom::Error),
}

/// The outstanding tokens, each with its request.
pub struct Tokens<T> {
    waiting: Mutex<HashMap<String, Waiting<T>>>,
}

struct Waiting<T> {
    request: T,
    until: Instant,
}

impl<T> Default for Tokens<T> {
    fn default() -> Self {
        Self { waiting: Mutex::default() }
    }
}

impl<T> fmt::Debug for Tokens<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens")
    }
}

impl<T> Tokens<T> {
    /// Issues a token for a request: 24 characters of URL-safe base64.
    ///
    /// # Errors
    /// [`TokenRefused::Full`] while [`CAPACITY`] tokens are outstanding; [`TokenRefused::Random`].
    pub fn issue(&self, request: T) -> Result<String, TokenRefused> {
        let mut bytes = [0; 18];
        getrandom::fill(&mut bytes).map_err(TokenRefused::Random)?;
        let token = URL_SAFE_NO_PAD.encode(bytes);
        let now = Instant::now();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|_, entry| entry.until > now);
        if waiting.len() >= CAPACITY {
            return Err(TokenRefused::Full);
        }
        waiting.insert(token.clone(), Waiting { request, until: now + LIFETIME });
        Ok(token)
    }

    /// Removes a token and returns its request; `None` when the token was never issued, was used, or has expired.
    pub fn redeem(&self, token: &str) -> Option<T> {
        let entry = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(token)?;
        (entry.until > Instant::now()).then_some(entry.request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_works_once_and_carries_144_bits() {
        let tokens = Tokens::default();
        let token = tokens.issue(7).unwrap();
        assert_eq!(URL_SAFE_NO_PAD.decode(&token).unwrap().len(), 18);
        assert_eq!((tokens.redeem(&token), tokens.redeem(&token), tokens.redeem("")), (Some(7), None, None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_expires_after_a_minute_and_makes_room() {
        let tokens = Tokens::default();
        let old: Vec<_> = (0..CAPACITY).map(|n| tokens.issue(n).unwrap()).collect();
        assert!(matches!(tokens.issue(0), Err(TokenRefused::Full)));
        tokio::time::advance(Duration::from_secs(59)).await;
        assert_eq!(tokens.redeem(&old[1]), Some(1));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(tokens.redeem(&old[2]), None);
        assert!(tokens.issue(1).is_ok());
    }
}
