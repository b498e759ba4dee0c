// SPDX-License-Identifier: Apache-2.0
//! Bearer tokens from a registry's token server (the distribution token flow, with the OAuth form for refresh tokens).

use crate::registry::credentials::Credentials;
use crate::registry::error::{Error, Failure};
use crate::registry::site::Site;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method};
use reqwest::{Client, RequestBuilder, Response, Url};
use serde::Deserialize;
use std::time::Duration;

/// Largest token server response that is read, in bytes.
const MAX_ANSWER: usize = 1 << 20;

#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
}

/// `Authorization: Bearer …`; `None` if the token has characters that a header cannot contain.
pub fn header(token: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The token server of a host, and what to request from it.
#[derive(Debug)]
pub struct Server<'a> {
    /// The host that named the token server.
    pub site: &'a Site,
    /// The HTTP client for it.
    pub client: &'a Client,
    /// The credentials for the token server.
    pub credentials: Option<&'a Credentials>,
    /// How long to wait for a response.
    pub patience: Duration,
    /// What the token is for, in error messages.
    pub what: &'a str,
}

impl Server<'_> {
    /// Requests a token from `realm`, with the credentials if there are any.
    ///
    /// # Errors
    /// [`Failure`]. Credentials are never sent over a connection that is less secure than the registry's own.
    pub async fn fetch(&self, realm: &str, service: Option<&str>, scope: &str) -> Result<HeaderValue, Failure> {
        let url = self.address(realm)?;
        let request = self.build(url.clone(), service, scope);
        let answering = async {
            let answer = request.send().await.map_err(|error| self.site.unanswered(self.what, &url, error))?;
            let status = answer.status();
            Ok::<_, Failure>((status, read(answer).await?))
        };
        let slow = || Failure::Passing { why: "the token server does not respond".to_owned(), after: None };
        let (status, body) = tokio::time::timeout(self.patience, answering).await.map_err(|_| slow())??;
        match status.as_u16() {
            200..=299 => self.token(&body),
            // Token servers respond with 400 to unknown refresh tokens, and with 401 or 403 to wrong passwords.
            400..=404 => {
                let (host, what) = (self.site.name(), self.what.to_owned());
                Err(Failure::Final(Error::Unauthenticated { host, what, given: self.credentials.is_some() }))
            }
            other => Err(Failure::Passing { why: format!("the token server responded with {other}"), after: None }),
        }
    }

    fn address(&self, realm: &str) -> Result<Url, Failure> {
        let url = Url::parse(realm).map_err(|_| self.invalid("its address is not a URL"))?;
        let weaker = self.site.host.base.scheme() == "https" && url.scheme() != "https";
        if !matches!(url.scheme(), "http" | "https") || weaker {
            return Err(self.invalid("its address is unencrypted while the registry's is not"));
        }
        Ok(url)
    }

    fn build(&self, mut url: Url, service: Option<&str>, scope: &str) -> RequestBuilder {
        if let Some(Credentials::Identity(refresh)) = self.credentials {
            return self.with_refresh_token(url, service, scope, refresh);
        }
        let mut query = url.query_pairs_mut();
        if let Some(service) = service {
            query.append_pair("service", service);
        }
        for scope in scope.split(' ') {
            query.append_pair("scope", scope);
        }
        drop(query);
        let request = self.client.request(Method::GET, url);
        match self.credentials {
            Some(Credentials::Basic { username, password }) => {
                request.header(AUTHORIZATION, Credentials::basic_header(username, password))
            }
            _ => request,
        }
    }

    fn with_refresh_token(&self, url: Url, service: Option<&str>, scope: &str, refresh: &str) -> RequestBuilder {
        let mut form = vec![("grant_type", "refresh_token"), ("client_id", "gorae"), ("scope", scope)];
        form.extend(service.map(|service| ("service", service)));
        form.push(("refresh_token", refresh));
        // The URL type provides the form encoding that OAuth requires.
        let mut encoded = Url::parse("http://x/").expect("constant");
        encoded.query_pairs_mut().extend_pairs(form);
        let body = encoded.query().unwrap_or("").to_owned();
        let request = self.client.request(Method::POST, url);
        request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body)
    }

    fn token(&self, body: &[u8]) -> Result<HeaderValue, Failure> {
        let answer: Answer =
            serde_json::from_slice(body).map_err(|_| self.invalid("its response is not JSON with a token"))?;
        let token = answer.token.filter(|t| !t.is_empty()).or(answer.access_token).filter(|t| !t.is_empty());
        token.and_then(|token| header(&token)).ok_or_else(|| self.invalid("its response has no token"))
    }

    fn invalid(&self, why: &str) -> Failure {
        let what = format!("the token server of {}", self.site.name());
        Failure::Final(Error::Invalid { what, why: why.to_owned() })
    }
}

async fn read(mut answer: Response) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(Failure::transport)? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_ANSWER {
            return Err(Failure::Passing { why: "the token server's response is too long".to_owned(), after: None });
        }
    }
    Ok(body)
}
