// SPDX-License-Identifier: Apache-2.0
//! The keys of one host in a file, and their conversion to a [`Host`].

use crate::go_duration;
use crate::hosts::host::{Host, Proxy, Tls, is_loopback};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::Spanned;
use url::Url;

/// The settings of one host.
#[derive(Deserialize, Default)]
pub struct HostTable {
    pub capabilities: Option<Vec<String>>,
    pub ca: Option<OneOrMany>,
    pub client: Option<ClientCertificates>,
    pub skip_verify: Option<bool>,
    pub override_path: Option<bool>,
    pub header: Option<BTreeMap<String, OneOrMany>>,
    pub dial_timeout: Option<Spanned<String>>,
    pub proxy: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
pub enum ClientCertificates {
    File(String),
    List(Vec<OneOrMany>),
}

/// What is wrong with a host, and its offset in the file unless that is the start of the table.
pub struct Fault {
    pub at: Option<usize>,
    pub why: String,
}

impl From<String> for Fault {
    fn from(why: String) -> Self {
        Self { at: None, why }
    }
}

/// What a host is to the registry whose images it serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A third party with copies.
    Mirror,
    /// The registry itself.
    Origin,
}

/// Converts the settings of `url` to a host; relative paths are below `directory`.
///
/// # Errors
/// [`Fault`] for an invalid value. It never shows the value.
pub fn host(url: &str, table: HostTable, directory: &Path, role: Role) -> Result<Host, Fault> {
    // An empty list counts as absent, as it does in containerd.
    let listed = table.capabilities.filter(|list| !list.is_empty());
    let able =
        |wanted: &str| listed.as_ref().is_none_or(|list| list.iter().any(|own| own.eq_ignore_ascii_case(wanted)));
    let (resolve, pull) = (able("resolve"), able("pull"));
    let base = base_url(url, table.override_path.unwrap_or(false))?;
    let headers = headers(table.header.unwrap_or_default())?;
    let absolute = |file: String| directory.join(file);
    let ca = table.ca.map(OneOrMany::into_vec).unwrap_or_default().into_iter().map(absolute).collect();
    let client = table.client.map(|client| client_certificate(client, directory)).transpose()?.flatten();
    let tls = Tls { ca, client, skip_verify: table.skip_verify.unwrap_or(false) };
    let (dial_timeout, proxy) = (at(table.dial_timeout, dial_timeout)?.flatten(), at(table.proxy, proxy)?);
    Ok(Host { base, resolve, pull, is_origin: role == Role::Origin, tls, dial_timeout, proxy, headers })
}

/// Reads a value, and adds its offset to the error.
fn at<T>(value: Option<Spanned<String>>, read: impl FnOnce(&str) -> Result<T, String>) -> Result<Option<T>, Fault> {
    let Some(value) = value.filter(|value| !value.get_ref().is_empty()) else { return Ok(None) };
    read(value.get_ref()).map(Some).map_err(|why| Fault { at: Some(value.span().start), why })
}

fn headers(given: BTreeMap<String, OneOrMany>) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, values) in given {
        let key: HeaderName = name.parse().map_err(|_| format!("{name:?} is not a header name"))?;
        for value in values.into_vec() {
            let mut value =
                HeaderValue::from_str(&value).map_err(|_| format!("the value of header {name} is not valid"))?;
            value.set_sensitive(true);
            headers.append(key.clone(), value);
        }
    }
    Ok(headers)
}

/// Returns the first of several certificates, because a handshake uses only one.
fn client_certificate(
    given: ClientCertificates,
    directory: &Path,
) -> Result<Option<(PathBuf, Option<PathBuf>)>, String> {
    let mut files = match given {
        ClientCertificates::File(file) => vec![vec![file]],
        ClientCertificates::List(list) => list.into_iter().map(OneOrMany::into_vec).collect(),
    };
    if files.iter().any(|files| files.is_empty() || files.len() > 2 || files[0].is_empty()) {
        return Err("client must be a file, a list of files, or a list of pairs of certificate and key".to_owned());
    }
    if files.len() > 1 {
        tracing::warn!(path = %directory.display(), "hosts.toml names several client certificates: using the first one");
    }
    files.truncate(1);
    Ok(files.pop().map(|files| {
        let mut files = files.into_iter().filter(|file| !file.is_empty()).map(|file| directory.join(file));
        (files.next().unwrap_or_default(), files.next())
    }))
}

/// Parses a timeout. Zero means the default, as in Go.
fn dial_timeout(text: &str) -> Result<Option<Duration>, String> {
    let time = go_duration::parse(text).ok_or("dial_timeout must be a duration such as \"200ms\" or \"1m30s\"")?;
    Ok(Some(time).filter(|time| !time.is_zero()))
}

fn proxy(text: &str) -> Result<Proxy, String> {
    let url = Url::parse(text).ok().filter(|url| {
        let bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        let known = matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h");
        bare && known && url.host_str().is_some_and(|host| !host.is_empty())
    });
    let why = "proxy must be an http, https, socks5 or socks5h URL with a host and without path, query or fragment";
    url.map(Proxy).ok_or_else(|| why.to_owned())
}

/// `http://host/path` → the URL that paths are added to: with `/v2` at its end unless `exact`.
fn base_url(text: &str, exact: bool) -> Result<Url, String> {
    let with_scheme = match text.contains("://") {
        true => text.to_owned(),
        false if is_loopback(text) => format!("http://{text}"),
        false => format!("https://{text}"),
    };
    let mut url = Url::parse(&with_scheme).map_err(|e| format!("a host is not a URL: {e}"))?;
    let plain =
        url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() || !plain {
        return Err("a host must be an http or https URL without user, query or fragment".to_owned());
    }
    let path = url.path().trim_end_matches('/').to_owned();
    let complete = exact || path.ends_with("/v2") || path.contains("/v2/");
    url.set_path(&if complete { path } else { format!("{path}/v2") });
    Ok(url)
}
