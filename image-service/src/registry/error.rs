// SPDX-License-Identifier: Apache-2.0
//! Why a registry did not provide an object, and whether a retry can help.

use gorae_digest::Digest;
use std::time::Duration;

/// A final failure of a registry operation, after retries and mirrors.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No host gave a usable response. The text begins with the word that kubelet looks for. `unknown` is the registry's
    /// name if it does not resolve.
    #[error("RegistryUnavailable: {what}: {tried}")]
    Unavailable { what: String, tried: String, unknown: Option<String> },
    /// A host failed to prove its identity in the TLS handshake; nothing else was sent to it.
    #[error("{host} is not trusted with the request for {what}: {why}")]
    Untrusted { host: String, what: String, why: String },
    /// The registry requires different credentials, or any at all.
    #[error("{host} refuses {what}: {}", if *.given { "the credentials are not accepted" } else { "it needs credentials" })]
    Unauthenticated { host: String, what: String, given: bool },
    /// The credentials are valid but not authorised.
    #[error("{host} forbids {what}{detail}")]
    Forbidden { host: String, what: String, detail: String },
    /// The manifest or blob does not exist.
    #[error("{host} has no {what}{detail}")]
    NotFound { host: String, what: String, detail: String },
    /// A status that no retry changes.
    #[error("{host} responded with {status} for {what}{detail}")]
    Status { host: String, status: u16, what: String, detail: String },
    /// The download stopped and could not be resumed.
    #[error("{what} stalled at {received} of {total} bytes after {attempts} attempts: {last}")]
    Stalled { what: String, received: u64, total: u64, attempts: u32, last: String },
    /// The bytes do not have the expected digest.
    #[error("{what} has digest {found} instead of {expected}")]
    Digest { what: String, expected: Digest, found: Digest },
    /// A manifest or config is larger than the limit, or than the size in its descriptor.
    #[error("{what} is larger than {limit} bytes")]
    TooLarge { what: String, limit: u64 },
    /// A response that does not follow the specifications.
    #[error("{what} cannot be used: {why}")]
    Invalid { what: String, why: String },
    /// A manifest or index cannot be used.
    #[error(transparent)]
    Manifest(#[from] gorae_image_formats::manifest::Error),
    /// Indexes are nested too deeply.
    #[error("{what} cannot be used: indexes are nested deeper than {limit}")]
    TooDeep { what: String, limit: usize },
    /// A client certificate or authority cannot be used.
    #[error("cannot set up TLS: {0}")]
    Tls(String),
    /// The proxy of a host cannot be used.
    #[error("the proxy in hosts.toml cannot be used")]
    Proxy,
    /// `AuthConfig.auth` is malformed.
    #[error(transparent)]
    Credentials(#[from] crate::registry::credentials::Malformed),
    /// The consumer of the bytes stopped.
    #[error("the download was cancelled")]
    GivenUp,
}

/// One failed attempt at one host.
#[derive(Debug)]
pub enum Failure {
    /// Another attempt, or another host, may succeed; `after` is the pause that the registry requests.
    Passing { why: String, after: Option<Duration> },
    /// The host does not respond at all, so other requests to it are pointless for a while. `unknown` is its name if it
    /// does not resolve.
    Unreached { why: String, unknown: Option<String> },
    /// The response to a request for the rest of a blob is not the rest. The whole blob may still be available.
    /// `no_parts`: the host does not support such requests.
    Rest { why: String, no_parts: bool },
    /// This host will not provide the object, however often it is tried.
    Final(Error),
}

impl Failure {
    /// Converts a transport error. URLs are removed, because redirects carry tokens in them.
    pub fn transport(error: reqwest::Error) -> Self {
        let (connecting, name) = (error.is_connect(), error.url().and_then(|url| url.host_str()).map(str::to_owned));
        let looking_up = error.is_dns();
        let why = chain(&error.without_url());
        // This compares the resolver's message, since there is no error type for it.
        let unresolved = looking_up && (why.contains("no records found") || why.contains("Non-Existent Domain"));
        match unresolved {
            true => Self::Unreached { why: "no such host".to_owned(), unknown: name },
            false if connecting => Self::Unreached { why, unknown: None },
            false => Self::Passing { why, after: None },
        }
    }
}

/// An error and its causes in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        // Wrappers often repeat the error that they wrap.
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}
