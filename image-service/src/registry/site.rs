// SPDX-License-Identifier: Apache-2.0
//! A host and the registry that it serves: its name, and the error when it does not respond.

use crate::registry::error::{Error, Failure};
use crate::registry::tls;
use gorae_image_formats::hosts::Host;
use reqwest::Url;

/// A host of a registry.
#[derive(Debug)]
pub struct Site {
    /// Its settings.
    pub host: Host,
    /// The registry's name, which is sent to mirrors because they may serve several.
    pub registry: String,
}

impl Site {
    /// Host and port, for error messages.
    pub fn name(&self) -> String {
        name_of(&self.host.base)
    }

    /// Scheme, host and port, which its connections have in common.
    pub fn origin(&self) -> String {
        self.host.base.origin().ascii_serialization()
    }

    /// Why a request to `url` got no response. Retries are pointless for a host that is not trusted.
    pub fn unanswered(&self, what: &str, url: &Url, error: reqwest::Error) -> Failure {
        if let Some(why) = tls::refusal(&error) {
            return Failure::Final(Error::Untrusted { host: name_of(url), what: what.to_owned(), why });
        }
        let hint = if tls::answers_no_http(&error) { self.https_hint(url) } else { None };
        let mut failure = Failure::transport(error);
        if let (Failure::Passing { why, .. }, Some(hint)) = (&mut failure, hint) {
            why.push_str(&format!("; if it speaks TLS, {hint}"));
        }
        // The name that did not resolve may be the proxy's.
        if self.host.proxy.is_some()
            && let Failure::Unreached { why, unknown } = &mut failure
            && unknown.take().is_some()
        {
            "its host name, or that of its proxy in hosts.toml, does not resolve".clone_into(why);
        }
        failure
    }

    /// How to fix a host of this registry that was contacted over http and may require https.
    pub fn https_hint(&self, url: &Url) -> Option<String> {
        let mine = url.scheme() == "http" && url.origin() == self.host.base.origin();
        let (name, own) = (self.name(), self.host.is_origin);
        let key = if own { format!("server = \"https://{name}\"") } else { format!("[host.\"https://{name}\"]") };
        mine.then(|| format!("give it an https:// address in the hosts.toml of {}: {key}", self.registry))
    }
}

fn name_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or("?");
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}
