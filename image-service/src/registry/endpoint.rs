// SPDX-License-Identifier: Apache-2.0
//! One host for one pull: sends requests with the right authorization, follows redirects, and distinguishes transient
//! failures from final ones.
//!
//! Credentials leave this module in only two ways: here, as `Authorization` to the registry's own origin, and in
//! `token.rs`, to the token server that this registry names. A redirect to any other origin carries neither that header
//! nor the configured ones.

use crate::registry::ask::Ask;
use crate::registry::client::Clients;
use crate::registry::credentials::Credentials;
use crate::registry::error::{Error, Failure};
use crate::registry::proof::Proofs;
use crate::registry::reach::Reach;
use crate::registry::refusal::{detail, error_body, retry_after};
use crate::registry::site::Site;
use crate::registry::tls;
use crate::registry::token::Server;
use http::header::{ACCEPT, AUTHORIZATION, LOCATION, RANGE};
use http::{HeaderMap, HeaderValue, StatusCode};
use reqwest::{Client, Response, Url};
use std::time::Duration;

const MAX_REDIRECTS: usize = 8;

/// One host, for one pull with one set of credentials.
#[derive(Debug)]
pub struct Endpoint {
    /// The host and its settings.
    pub site: Site,
    /// The HTTP client for it.
    pub client: Client,
    /// The pool that the client comes from.
    pub clients: Clients,
    /// For requests that need authorization. Only ever set for the registry itself, never for mirrors.
    pub credentials: Option<Credentials>,
    /// The repository path, for token scopes.
    pub repository: String,
    /// How long to wait for a response to begin.
    pub patience: Duration,
    /// The hosts that were recently unreachable.
    pub reach: Reach,
    /// The authorization that this host accepted last.
    pub proofs: Proofs,
}

impl Endpoint {
    /// Whether this host was recently unreachable.
    pub fn is_lost(&self) -> bool {
        self.reach.is_lost(&self.site.origin())
    }

    /// Records, for all pulls, that it was unreachable.
    pub fn lost(&self, why: &str, pause: Duration) {
        if self.reach.lost(&self.site.origin(), pause) {
            tracing::warn!(
                host = self.site.name(),
                registry = self.site.registry,
                why,
                seconds = pause.as_secs(),
                "a registry host is unreachable: for a while it is tried last and only once"
            );
        }
    }

    /// Sends a request, and answers one authentication challenge.
    ///
    /// - Shapes: the response is a success (2xx), and its body has not been read.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn send(&self, ask: &Ask<'_>) -> Result<Response, Failure> {
        let sent = self.send_with_proof(ask).await;
        if matches!(sent, Err(Failure::Final(Error::Untrusted { .. }))) {
            self.clients.forget();
        }
        sent
    }

    async fn send_with_proof(&self, ask: &Ask<'_>) -> Result<Response, Failure> {
        let used = self.proofs.known().await;
        let answer = self.follow(ask, used.clone()).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return self.judge(ask, answer).await;
        }
        let (site, client, credentials) = (&self.site, &self.client, self.credentials.as_ref());
        let server = Server { site, client, credentials, patience: self.patience, what: ask.what };
        let scope = format!("repository:{}:pull", self.repository);
        let proof = self.proofs.answering(&answer, used.as_ref(), &server, &scope).await?;
        let answer = self.follow(ask, Some(proof)).await?;
        self.judge(ask, answer).await
    }

    fn url(&self, ask: &Ask<'_>) -> Url {
        let mut url = self.site.host.base.clone();
        let path = format!("{}/{}/{}", url.path().trim_end_matches('/'), self.repository, ask.path);
        url.set_path(&path);
        if !self.site.host.is_origin {
            url.query_pairs_mut().append_pair("ns", &self.site.registry);
        }
        url
    }

    /// Sends the request and follows redirects; returns the first response that is not a redirect.
    async fn follow(&self, ask: &Ask<'_>, proof: Option<HeaderValue>) -> Result<Response, Failure> {
        let mut url = self.url(ask);
        for _ in 0..MAX_REDIRECTS {
            let home = url.origin() == self.site.host.base.origin();
            let answer = self.request(ask, url.clone(), if home { proof.clone() } else { None }, home).await?;
            if !matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(answer);
            }
            let target = answer.headers().get(LOCATION).and_then(|l| l.to_str().ok()).and_then(|l| url.join(l).ok());
            let target = target.ok_or_else(|| self.invalid(ask, "it redirects without a valid target"))?;
            if url.scheme() == "https" && target.scheme() != "https" {
                return Err(self.invalid(ask, "it redirects from https to an unencrypted address"));
            }
            if !matches!(target.scheme(), "http" | "https") {
                return Err(self.invalid(ask, "it redirects to something other than http"));
            }
            url = target;
        }
        Err(self.invalid(ask, "it redirects too often"))
    }

    async fn request(
        &self,
        ask: &Ask<'_>,
        url: Url,
        proof: Option<HeaderValue>,
        home: bool,
    ) -> Result<Response, Failure> {
        let mut headers = if home { self.site.host.headers.clone() } else { HeaderMap::new() };
        if let Some(proof) = proof {
            headers.insert(AUTHORIZATION, proof);
        }
        if let Some(accept) = ask.accept.and_then(|a| HeaderValue::from_str(a).ok()) {
            headers.insert(ACCEPT, accept);
        }
        if let Some((first, last)) = ask.range {
            // Always send an end: some registries reject `bytes=N-`.
            headers.insert(RANGE, HeaderValue::from_str(&format!("bytes={first}-{last}")).expect("digits"));
        }
        let sent = self.client.request(ask.method.clone(), url.clone()).headers(headers).send();
        match tokio::time::timeout(self.patience, sent).await {
            Ok(Ok(answer)) => {
                if home {
                    self.reach.found(&self.site.origin());
                }
                Ok(answer)
            }
            Ok(Err(error)) => Err(self.site.unanswered(ask.what, &url, error)),
            Err(_) => Err(Failure::Unreached { why: format!("no response within {:?}", self.patience), unknown: None }),
        }
    }

    /// Returns a success unchanged, and turns anything else into a failure of the right kind.
    async fn judge(&self, ask: &Ask<'_>, answer: Response) -> Result<Response, Failure> {
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let (host, what) = (self.site.name(), ask.what.to_owned());
        let (after, hint) = (retry_after(answer.headers()), self.site.https_hint(answer.url()));
        let body = error_body(answer).await;
        let detail = match hint {
            Some(hint) if status == StatusCode::BAD_REQUEST && tls::is_wanted(&body) => {
                format!("; it speaks TLS but was contacted over http: {hint}")
            }
            _ => detail(&body, &self.proofs.secrets(self.credentials.as_ref()).await),
        };
        Err(match status.as_u16() {
            401 => Failure::Final(Error::Unauthenticated { host, what, given: self.credentials.is_some() }),
            403 => Failure::Final(Error::Forbidden { host, what, detail }),
            404 => Failure::Final(Error::NotFound { host, what, detail }),
            408 | 429 | 500.. => {
                Failure::Passing { why: format!("it responded with {}{detail}", status.as_u16()), after }
            }
            status => Failure::Final(Error::Status { host, status, what, detail }),
        })
    }

    fn invalid(&self, ask: &Ask<'_>, why: &str) -> Failure {
        Failure::Final(Error::Invalid {
            what: format!("the response of {} for {}", self.site.name(), ask.what),
            why: why.to_owned(),
        })
    }
}
