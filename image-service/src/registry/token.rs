// SPDX-License-Identifier: Apache-2.0
//! Bearer tokens from a registry's token server (the distribution token flow, with the OAuth form for refresh tokens).

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method};
use reqwest::Url;
use serde::Deserialize;

use super::credentials::Credentials;
use super::endpoint::Endpoint;
use super::error::{Error, Failure};

/// Largest answer of a token server that is read.
const MAX_ANSWER: usize = 1 << 20;

#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
}

/// `Authorization: Bearer …`; `None` for a token with letters that no header takes.
pub fn header(token: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Asks `realm` for a token, with the endpoint's credentials if it has any.
///
/// - Errors: [`Failure`]; credentials are never sent over a less protected connection than the registry's own.
pub async fn fetch(
    endpoint: &Endpoint,
    realm: &str,
    service: Option<&str>,
    scope: &str,
    what: &str,
) -> Result<HeaderValue, Failure> {
    let invalid = |why: &str| {
        Failure::Final(Error::Invalid { what: format!("the token server of {}", endpoint.name()), why: why.to_owned() })
    };
    let url = Url::parse(realm).map_err(|_| invalid("its address is no URL"))?;
    let weaker = endpoint.host.base.scheme() == "https" && url.scheme() != "https";
    if !matches!(url.scheme(), "http" | "https") || weaker {
        return Err(invalid("its address is unprotected while the registry's is not"));
    }
    let request = build(endpoint, url.clone(), service, scope);
    let answering = async {
        let answer = request.send().await.map_err(|error| endpoint.unanswered(what, &url, error))?;
        let status = answer.status();
        Ok::<_, Failure>((status, read(answer).await?))
    };
    let slow = || Failure::Passing { why: "the token server does not answer".to_owned(), after: None };
    let (status, body) = tokio::time::timeout(endpoint.patience, answering).await.map_err(|_| slow())??;
    match status.as_u16() {
        200..=299 => {}
        // Token servers say 400 to unknown refresh tokens, 401 or 403 to wrong passwords.
        400..=404 => {
            let (host, what) = (endpoint.name(), what.to_owned());
            return Err(Failure::Final(Error::Unauthenticated { host, what, given: endpoint.credentials.is_some() }));
        }
        other => return Err(Failure::Passing { why: format!("the token server answers {other}"), after: None }),
    }
    let answer: Answer = serde_json::from_slice(&body).map_err(|_| invalid("its answer is not JSON with a token"))?;
    let token = answer.token.filter(|t| !t.is_empty()).or(answer.access_token).filter(|t| !t.is_empty());
    token.and_then(|token| header(&token)).ok_or_else(|| invalid("its answer has no token"))
}

fn build(endpoint: &Endpoint, mut url: Url, service: Option<&str>, scope: &str) -> reqwest::RequestBuilder {
    if let Some(Credentials::Identity(refresh)) = &endpoint.credentials {
        let mut form = vec![("grant_type", "refresh_token"), ("client_id", "gorae"), ("scope", scope)];
        form.extend(service.map(|service| ("service", service)));
        form.push(("refresh_token", refresh));
        // The URL type has the form encoding that OAuth wants.
        let mut encoded = Url::parse("http://x/").expect("constant");
        encoded.query_pairs_mut().extend_pairs(form);
        let body = encoded.query().unwrap_or("").to_owned();
        let request = endpoint.client.request(Method::POST, url);
        return request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
    }
    let mut query = url.query_pairs_mut();
    if let Some(service) = service {
        query.append_pair("service", service);
    }
    for scope in scope.split(' ') {
        query.append_pair("scope", scope);
    }
    drop(query);
    let request = endpoint.client.request(Method::GET, url);
    match &endpoint.credentials {
        Some(Credentials::Basic { username, password }) => {
            request.header(AUTHORIZATION, Credentials::basic_header(username, password))
        }
        _ => request,
    }
}

async fn read(mut answer: reqwest::Response) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(Failure::transport)? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_ANSWER {
            return Err(Failure::Passing { why: "the token server's answer is too long".to_owned(), after: None });
        }
    }
    Ok(body)
}
