// SPDX-License-Identifier: Apache-2.0
//! Authorization: from a challenge to the `Authorization` header that answers it, shared by all requests of a pull.

use crate::registry::credentials::Credentials;
use crate::registry::error::{Error, Failure};
use crate::registry::token::{self, Server};
use gorae_image_formats::challenge::{self, Challenge};
use http::HeaderValue;
use http::header::WWW_AUTHENTICATE;
use reqwest::Response;
use tokio::sync::Mutex;

/// The authorization that a host accepted last. It belongs to one pull only.
#[derive(Debug, Default)]
pub struct Proofs(Mutex<Option<HeaderValue>>);

impl Proofs {
    /// The authorization that was obtained last.
    pub async fn known(&self) -> Option<HeaderValue> {
        self.0.lock().await.clone()
    }

    /// Obtains authorization for the challenges of `answer`, once for all requests that are challenged at the same time.
    /// `used` is the header that was rejected; `own_scope` is the scope to request if the challenge does not name one.
    ///
    /// # Errors
    /// [`Failure`]; `Unauthenticated` if no challenge can be answered with these credentials.
    pub async fn answering(
        &self,
        answer: &Response,
        used: Option<&HeaderValue>,
        server: &Server<'_>,
        own_scope: &str,
    ) -> Result<HeaderValue, Failure> {
        let mut known = self.0.lock().await;
        if let Some(newer) = known.as_ref().filter(|newer| Some(*newer) != used) {
            return Ok(newer.clone());
        }
        let refused = || {
            let (host, what) = (server.site.name(), server.what.to_owned());
            Failure::Final(Error::Unauthenticated { host, what, given: server.credentials.is_some() })
        };
        let headers = answer.headers().get_all(WWW_AUTHENTICATE);
        let challenges = headers.iter().filter_map(|h| h.to_str().ok()).flat_map(challenge::parse);
        for challenge in challenges {
            let proof = match (challenge, server.credentials) {
                (Challenge::Basic, Some(Credentials::Basic { username, password })) => {
                    Credentials::basic_header(username, password)
                }
                (Challenge::Basic, _) => continue,
                (Challenge::Bearer { .. }, Some(Credentials::Registry(token))) => {
                    token::header(token).ok_or_else(refused)?
                }
                (Challenge::Bearer { realm, service, scope }, _) => {
                    server.fetch(&realm, service.as_deref(), scope.as_deref().unwrap_or(own_scope)).await?
                }
            };
            // The same header would only be rejected again.
            if Some(&proof) == used {
                return Err(refused());
            }
            *known = Some(proof.clone());
            return Ok(proof);
        }
        Err(refused())
    }

    /// The strings that no error may show: the credentials, and the token that was obtained with them.
    pub async fn secrets(&self, credentials: Option<&Credentials>) -> Vec<String> {
        let mut secrets = credentials.map(Credentials::secrets).unwrap_or_default();
        let proof = self.known().await;
        let token = proof.as_ref().and_then(|proof| proof.to_str().ok()).and_then(|proof| proof.split_once(' '));
        secrets.extend(token.map(|(_, token)| token.to_owned()));
        secrets.retain(|secret| !secret.is_empty());
        secrets
    }
}
