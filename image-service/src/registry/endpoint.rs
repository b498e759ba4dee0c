// SPDX-License-Identifier: Apache-2.0
//! One host for one pull: sends requests with the right proof, follows redirects, tells passing from final failures.
//!
//! Credentials leave this file in two ways only: as `Authorization` to the registry's own origin, and to the token
//! server that this registry names. A redirect to any other origin gets neither that header nor the configured ones.

use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, LOCATION, RANGE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use reqwest::{Client, Response, Url};
use tokio::sync::Mutex;

use super::credentials::Credentials;
use super::error::{Error, Failure};
use super::{Clients, Reach, tls, token};
use gorae_digest::Digest;
use gorae_image_formats::challenge::{self, Challenge};
use gorae_image_formats::hosts::Host;
use gorae_image_formats::manifest;

const MAX_REDIRECTS: usize = 8;
/// Most of an error body that is read.
const MAX_DETAIL: usize = 16 << 10;
/// A registry's wish for a pause is granted up to this.
const MAX_WISH: Duration = Duration::from_secs(60);

/// One host, for one pull by one set of credentials.
#[derive(Debug)]
pub struct Endpoint {
    pub host: Host,
    pub client: Client,
    /// Where the client is from.
    pub clients: Clients,
    /// For requests that need a proof of access: only ever set on the registry itself, never on mirrors.
    pub credentials: Option<Credentials>,
    /// The repository path, for token scopes.
    pub repository: String,
    /// The registry's name, told to mirrors that serve several.
    pub registry: String,
    /// How long to wait for an answer to begin.
    pub patience: Duration,
    /// The hosts that could not be reached lately.
    pub reach: Reach,
    /// The proof that this host accepted last. Belongs to this pull alone.
    pub proof: Mutex<Option<HeaderValue>>,
}

/// A request relative to the repository.
#[derive(Debug, Clone)]
pub struct Ask<'a> {
    /// Method, GET or HEAD.
    pub method: Method,
    /// `manifests/latest`, `blobs/sha256:…`.
    pub path: String,
    /// Media types that are welcome.
    pub accept: Option<&'a str>,
    /// First and last byte wanted.
    pub range: Option<(u64, u64)>,
    /// What the body must hash to; a host with other bytes counts as not having it.
    pub digest: Option<&'a Digest>,
    /// What it is, for error texts.
    pub what: &'a str,
}

impl<'a> Ask<'a> {
    /// A manifest by tag or digest.
    pub fn manifest(method: Method, wanted: &str, digest: Option<&'a Digest>, what: &'a str) -> Self {
        let path = format!("manifests/{wanted}");
        Self { method, path, accept: Some(manifest::ACCEPT), range: None, digest, what }
    }

    /// A blob, or the rest of it.
    pub fn blob(digest: &'a Digest, range: Option<(u64, u64)>, what: &'a str) -> Self {
        Self { method: Method::GET, path: format!("blobs/{digest}"), accept: None, range, digest: Some(digest), what }
    }
}

impl Endpoint {
    /// Host and port, for error texts.
    pub fn name(&self) -> String {
        name_of(&self.host.base)
    }

    /// Whether this host could not be reached lately.
    pub fn is_lost(&self) -> bool {
        self.reach.is_lost(&self.origin())
    }

    /// Remembers that it could not be reached, for all pulls.
    pub fn lost(&self, why: &str, pause: Duration) {
        if self.reach.lost(&self.origin(), pause) {
            tracing::warn!(
                host = self.name(),
                registry = self.registry,
                why,
                seconds = pause.as_secs(),
                "a registry host cannot be reached: for a while it is asked last and once"
            );
        }
    }

    fn origin(&self) -> String {
        self.host.base.origin().ascii_serialization()
    }

    /// Sends a request, answering one challenge.
    ///
    /// - Shapes: the answer is a success (2xx); its body has not been read.
    /// - Errors: [`Failure`].
    pub async fn send(&self, ask: &Ask<'_>) -> Result<Response, Failure> {
        let used = self.proof.lock().await.clone();
        let answer = self.follow(ask, used.clone()).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return self.judge(ask, answer).await;
        }
        let proof = self.new_proof(ask, &answer, used).await?;
        let answer = self.follow(ask, Some(proof)).await?;
        self.judge(ask, answer).await
    }

    fn url(&self, ask: &Ask<'_>) -> Url {
        let mut url = self.host.base.clone();
        let path = format!("{}/{}/{}", url.path().trim_end_matches('/'), self.repository, ask.path);
        url.set_path(&path);
        if !self.host.is_origin {
            url.query_pairs_mut().append_pair("ns", &self.registry);
        }
        url
    }

    /// Sends and follows redirects; anything that is no redirect is the answer.
    async fn follow(&self, ask: &Ask<'_>, proof: Option<HeaderValue>) -> Result<Response, Failure> {
        let mut url = self.url(ask);
        for _ in 0..MAX_REDIRECTS {
            let home = url.origin() == self.host.base.origin();
            let answer = self.request(ask, url.clone(), if home { proof.clone() } else { None }, home).await?;
            if !matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(answer);
            }
            let target = answer.headers().get(LOCATION).and_then(|l| l.to_str().ok()).and_then(|l| url.join(l).ok());
            let target = target.ok_or_else(|| self.invalid(ask, "it redirects to nowhere"))?;
            if url.scheme() == "https" && target.scheme() != "https" {
                return Err(self.invalid(ask, "it redirects from https to an unprotected place"));
            }
            if !matches!(target.scheme(), "http" | "https") {
                return Err(self.invalid(ask, "it redirects to something else than http"));
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
        let mut headers = if home { self.host.headers.clone() } else { HeaderMap::new() };
        if let Some(proof) = proof {
            headers.insert(AUTHORIZATION, proof);
        }
        if let Some(accept) = ask.accept.and_then(|a| HeaderValue::from_str(a).ok()) {
            headers.insert(ACCEPT, accept);
        }
        if let Some((first, last)) = ask.range {
            // Always closed: some registries refuse `bytes=N-`.
            headers.insert(RANGE, HeaderValue::from_str(&format!("bytes={first}-{last}")).expect("digits"));
        }
        let sent = self.client.request(ask.method.clone(), url.clone()).headers(headers).send();
        match tokio::time::timeout(self.patience, sent).await {
            Ok(Ok(answer)) => {
                if home {
                    self.reach.found(&self.origin());
                }
                Ok(answer)
            }
            Ok(Err(error)) => Err(self.unanswered(ask.what, &url, error)),
            Err(_) => Err(Failure::Unreached { why: format!("no answer within {:?}", self.patience), unknown: None }),
        }
    }

    /// Why a request to `url` has no answer. A host that is not trusted now will not be in a second.
    pub fn unanswered(&self, what: &str, url: &Url, error: reqwest::Error) -> Failure {
        if let Some(why) = tls::refusal(&error) {
            self.clients.forget();
            return Failure::Final(Error::Untrusted { host: name_of(url), what: what.to_owned(), why });
        }
        let hint = if tls::answers_no_http(&error) { self.https_hint(url) } else { None };
        let mut failure = Failure::transport(error);
        if let (Failure::Passing { why, .. }, Some(hint)) = (&mut failure, hint) {
            why.push_str(&format!("; if it speaks TLS, {hint}"));
        }
        // The name that was looked up may be the proxy's.
        if self.host.proxy.is_some()
            && let Failure::Unreached { why, unknown } = &mut failure
            && unknown.take().is_some()
        {
            "there is no such host as it, or as its proxy in hosts.toml".clone_into(why);
        }
        failure
    }

    /// What to do about a host of this registry that was asked over http and may want https.
    fn https_hint(&self, url: &Url) -> Option<String> {
        let mine = url.scheme() == "http" && url.origin() == self.host.base.origin();
        let (name, own) = (self.name(), self.host.is_origin);
        let key = if own { format!("server = \"https://{name}\"") } else { format!("[host.\"https://{name}\"]") };
        mine.then(|| format!("give it an https:// address in the hosts.toml of {}: {key}", self.registry))
    }

    /// Gets a proof for a challenge, once for all requests that met it at the same time.
    async fn new_proof(
        &self,
        ask: &Ask<'_>,
        answer: &Response,
        used: Option<HeaderValue>,
    ) -> Result<HeaderValue, Failure> {
        let mut known = self.proof.lock().await;
        if let Some(newer) = known.as_ref().filter(|newer| Some(*newer) != used.as_ref()) {
            return Ok(newer.clone());
        }
        let refused = || {
            let (host, what) = (self.name(), ask.what.to_owned());
            Failure::Final(Error::Unauthenticated { host, what, given: self.credentials.is_some() })
        };
        let headers = answer.headers().get_all(http::header::WWW_AUTHENTICATE);
        let challenges = headers.iter().filter_map(|h| h.to_str().ok()).flat_map(challenge::parse);
        for challenge in challenges {
            let proof = match (challenge, &self.credentials) {
                (Challenge::Basic, Some(Credentials::Basic { username, password })) => {
                    Credentials::basic_header(username, password)
                }
                (Challenge::Basic, _) => continue,
                (Challenge::Bearer { .. }, Some(Credentials::Registry(token))) => {
                    token::header(token).ok_or_else(refused)?
                }
                (Challenge::Bearer { realm, service, scope }, _) => {
                    let scope = scope.unwrap_or_else(|| format!("repository:{}:pull", self.repository));
                    token::fetch(self, &realm, service.as_deref(), &scope, ask.what).await?
                }
            };
            // The same proof again would only be refused again.
            if Some(&proof) == used.as_ref() {
                return Err(refused());
            }
            *known = Some(proof.clone());
            return Ok(proof);
        }
        Err(refused())
    }

    /// Success passes; everything else becomes a failure of the right sort.
    async fn judge(&self, ask: &Ask<'_>, answer: Response) -> Result<Response, Failure> {
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let (host, what) = (self.name(), ask.what.to_owned());
        let (after, hint) = (retry_after(answer.headers()), self.https_hint(answer.url()));
        let body = error_body(answer).await;
        let detail = match hint {
            Some(hint) if status == StatusCode::BAD_REQUEST && tls::is_wanted(&body) => {
                format!("; it speaks TLS but is asked over http: {hint}")
            }
            _ => detail(&body, &self.secrets().await),
        };
        Err(match status.as_u16() {
            401 => Failure::Final(Error::Unauthenticated { host, what, given: self.credentials.is_some() }),
            403 => Failure::Final(Error::Forbidden { host, what, detail }),
            404 => Failure::Final(Error::NotFound { host, what, detail }),
            408 | 429 | 500.. => Failure::Passing { why: format!("it answers {}{detail}", status.as_u16()), after },
            status => Failure::Final(Error::Status { host, status, what, detail }),
        })
    }

    /// What no error may show: what was given, and the token that was got for it.
    async fn secrets(&self) -> Vec<String> {
        let mut secrets = self.credentials.as_ref().map(Credentials::secrets).unwrap_or_default();
        let proof = self.proof.lock().await.clone();
        let token = proof.as_ref().and_then(|proof| proof.to_str().ok()).and_then(|proof| proof.split_once(' '));
        secrets.extend(token.map(|(_, token)| token.to_owned()));
        secrets.retain(|secret| !secret.is_empty());
        secrets
    }

    fn invalid(&self, ask: &Ask<'_>, why: &str) -> Failure {
        Failure::Final(Error::Invalid {
            what: format!("the answer of {} for {}", self.name(), ask.what),
            why: why.to_owned(),
        })
    }
}

fn name_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or("?");
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(MAX_WISH))
}

/// The beginning of an error body, for at most five seconds: the status says enough when it does not come.
async fn error_body(mut answer: Response) -> Vec<u8> {
    let mut body = Vec::new();
    let reading = async {
        while let Ok(Some(chunk)) = answer.chunk().await {
            body.extend_from_slice(&chunk[..chunk.len().min(MAX_DETAIL - body.len())]);
            if body.len() >= MAX_DETAIL {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(5), reading).await;
    body
}

/// The first error of a registry's error body: its code and message, cleaned of what does not belong into an event.
/// Nothing of one that says back what it was sent.
fn detail(body: &[u8], secrets: &[String]) -> String {
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(body) else { return String::new() };
    let text = |key: &str| value["errors"][0][key].as_str().unwrap_or("");
    if secrets.iter().any(|secret| text("code").contains(secret) || text("message").contains(secret)) {
        return String::new();
    }
    let clean = |text: &str| -> String {
        let words = text.split_whitespace().map(|word| word.split(['?', '#']).next().unwrap_or(""));
        words.collect::<Vec<_>>().join(" ").chars().filter(|c| !c.is_control()).take(160).collect()
    };
    match (clean(text("code")), clean(text("message"))) {
        (code, message) if code.is_empty() && message.is_empty() => String::new(),
        (code, message) => format!(" ({code}: {message})"),
    }
}
