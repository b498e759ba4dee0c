// SPDX-License-Identifier: Apache-2.0
//! Which hosts stand for a registry: `DIR/HOST/hosts.toml` in containerd's layout, or the registry itself.
//!
//! The files are read at each pull, so a change needs no restart. The schema is strict: an unknown key stops the pull
//! and names file and line, because a typo that silently sends pulls to the internet is worse. The name that was asked
//! for is the one that images keep; a mirror is only a place to get the bytes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use http::{HeaderMap, HeaderName, HeaderValue};
use reqwest::Url;
use serde::Deserialize;
use toml::Spanned;

use crate::config::Config;

/// A place to get a registry's content from.
#[derive(Debug, Clone)]
pub struct Host {
    /// Everything up to and including `/v2`, without a slash at the end.
    pub base: Url,
    /// May turn tags into digests.
    pub resolve: bool,
    /// May serve manifests and blobs by digest.
    pub pull: bool,
    /// Is the registry itself, so that its users' credentials are for it.
    pub is_origin: bool,
    /// How to speak TLS.
    pub tls: Tls,
    /// Headers for every request to it.
    pub headers: HeaderMap,
}

/// TLS settings of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Tls {
    /// PEM files with certificate authorities, besides the system's.
    pub ca: Vec<PathBuf>,
    /// PEM files with a client certificate and its key (which may be one file).
    pub client: Option<(PathBuf, Option<PathBuf>)>,
    /// Accept any certificate.
    pub skip_verify: bool,
}

/// Why a hosts.toml cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is there but cannot be read.
    #[error("cannot read {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The file is not valid. The text never shows values: headers can be secrets.
    #[error("{path} line {line}: {why}")]
    Invalid { path: PathBuf, line: usize, why: String },
    /// A registry name makes no URL.
    #[error("registry host {0:?} makes no URL")]
    Name(String),
}

/// The hosts to try for a registry, in order, the registry itself last.
///
/// - Shapes: never empty; `registry` is as in image names (`docker.io`, `127.0.0.1:5000`).
/// - Errors: [`Error`]; a directory that does not exist is not one.
pub fn hosts(config: &Config, registry: &str) -> Result<Vec<Host>, Error> {
    for root in &config.hosts_dirs {
        for name in directory_names(registry) {
            let directory = root.join(name);
            let path = directory.join("hosts.toml");
            match std::fs::read_to_string(&path) {
                Ok(text) => return parse(&path, &text, config, registry),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound && !directory.is_dir() => {}
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(vec![default_host(config, registry)?]),
                Err(source) => return Err(Error::Read { path, source }),
            }
        }
    }
    Ok(vec![default_host(config, registry)?])
}

/// `host_port_` is for file systems and tools that dislike colons.
fn directory_names(registry: &str) -> Vec<String> {
    let with_port = registry.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    let portable = with_port.map(|(host, port)| format!("{host}_{port}_"));
    portable.into_iter().chain([registry.to_owned(), "_default".to_owned()]).collect()
}

/// The registry itself: https, or http where that is safe or wanted.
fn default_host(config: &Config, registry: &str) -> Result<Host, Error> {
    let address = if registry == "docker.io" { "registry-1.docker.io" } else { registry };
    let plain = config.plain_http_hosts.iter().any(|host| host == registry) || is_loopback(address);
    let scheme = if plain { "http" } else { "https" };
    let base = Url::parse(&format!("{scheme}://{address}/v2")).map_err(|_| Error::Name(registry.to_owned()))?;
    let (tls, headers) = (Tls::default(), HeaderMap::new());
    Ok(Host { base, resolve: true, pull: true, is_origin: true, tls, headers })
}

/// Whether traffic to `host[:port]` stays on this machine.
pub fn is_loopback(address: &str) -> bool {
    let Ok(url) = Url::parse(&format!("http://{address}")) else { return false };
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback()),
        None => false,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HostsFile {
    server: Option<Spanned<String>>,
    #[serde(default)]
    host: BTreeMap<String, Spanned<HostTable>>,
    // The same keys at the top speak about the server.
    capabilities: Option<Vec<Capability>>,
    ca: Option<OneOrMany>,
    client: Option<ClientCertificate>,
    skip_verify: Option<bool>,
    override_path: Option<bool>,
    header: Option<BTreeMap<String, OneOrMany>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct HostTable {
    capabilities: Option<Vec<Capability>>,
    ca: Option<OneOrMany>,
    client: Option<ClientCertificate>,
    skip_verify: Option<bool>,
    override_path: Option<bool>,
    header: Option<BTreeMap<String, OneOrMany>>,
}

#[derive(Deserialize, PartialEq, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Capability {
    Pull,
    Resolve,
    Push,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
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
enum ClientCertificate {
    File(String),
    Files(Vec<String>),
    Pairs(Vec<(String, String)>),
}

fn parse(path: &Path, text: &str, config: &Config, registry: &str) -> Result<Vec<Host>, Error> {
    let line_of = |offset: usize| text.as_bytes()[..offset.min(text.len())].iter().filter(|&&b| b == b'\n').count() + 1;
    let invalid = |offset: usize, why: String| Error::Invalid { path: path.to_owned(), line: line_of(offset), why };
    let file: HostsFile =
        toml::from_str(text).map_err(|e| invalid(e.span().map_or(0, |span| span.start), without_value(e.message())))?;
    let directory = path.parent().unwrap_or(Path::new("/"));
    let mut tables: Vec<(String, Spanned<HostTable>)> = file.host.into_iter().collect();
    // The order in the file is the order of trying.
    tables.sort_by_key(|(_, table)| table.span().start);
    let mut hosts = Vec::new();
    for (url, table) in tables {
        let start = table.span().start;
        hosts.push(host(&url, table.into_inner(), directory, false).map_err(|why| invalid(start, why))?);
    }
    let top = HostTable {
        capabilities: file.capabilities,
        ca: file.ca,
        client: file.client,
        skip_verify: file.skip_verify,
        override_path: file.override_path,
        header: file.header,
    };
    let (start, server) = match file.server {
        Some(server) => (server.span().start, server.into_inner()),
        None => (0, default_host(config, registry)?.base.as_str().trim_end_matches("/v2").to_owned()),
    };
    hosts.push(host(&server, top, directory, true).map_err(|why| invalid(start, why))?);
    Ok(hosts)
}

/// The first line of what the reader says, without the value that serde quotes: it may be a header in the wrong place.
fn without_value(message: &str) -> String {
    let line = message.lines().next().unwrap_or("");
    let Some(kind) = ["invalid type", "invalid value"].into_iter().find(|kind| line.starts_with(kind)) else {
        return line.to_owned();
    };
    let expected = line.rsplit_once(", expected ").map_or("something else", |(_, expected)| expected);
    format!("{kind}, expected {expected}")
}

fn host(url: &str, table: HostTable, directory: &Path, is_origin: bool) -> Result<Host, String> {
    let able = |wanted| table.capabilities.as_ref().is_none_or(|list| list.contains(&wanted));
    let (resolve, pull) = (able(Capability::Resolve), able(Capability::Pull));
    let base = base_url(url, table.override_path.unwrap_or(false))?;
    let mut headers = HeaderMap::new();
    for (name, values) in table.header.unwrap_or_default() {
        let key: HeaderName = name.parse().map_err(|_| format!("{name:?} is no header name"))?;
        for value in values.into_vec() {
            let mut value =
                HeaderValue::from_str(&value).map_err(|_| format!("the value of header {name} is not valid"))?;
            value.set_sensitive(true);
            headers.append(key.clone(), value);
        }
    }
    let absolute = |file: String| directory.join(file);
    let ca = table.ca.map(OneOrMany::into_vec).unwrap_or_default().into_iter().map(absolute).collect();
    let client = match table.client {
        None => None,
        Some(ClientCertificate::File(file)) => Some((absolute(file), None)),
        Some(ClientCertificate::Files(mut files)) if files.len() == 1 => Some((absolute(files.remove(0)), None)),
        Some(ClientCertificate::Pairs(mut pairs)) if pairs.len() == 1 => {
            let (certificate, key) = pairs.remove(0);
            Some((absolute(certificate), Some(absolute(key))))
        }
        Some(_) => return Err("one client certificate is possible".to_owned()),
    };
    let tls = Tls { ca, client, skip_verify: table.skip_verify.unwrap_or(false) };
    Ok(Host { base, resolve, pull, is_origin, tls, headers })
}

/// `http://host/path` → the URL that paths are added to: with `/v2` at its end unless `exact`.
fn base_url(text: &str, exact: bool) -> Result<Url, String> {
    let with_scheme = match text.contains("://") {
        true => text.to_owned(),
        false if is_loopback(text) => format!("http://{text}"),
        false => format!("https://{text}"),
    };
    let mut url = Url::parse(&with_scheme).map_err(|e| format!("a host is no URL: {e}"))?;
    let plain =
        url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() || !plain {
        return Err("a host is an http or https URL without user, query and fragment".to_owned());
    }
    let path = url.path().trim_end_matches('/').to_owned();
    let complete = exact || path.ends_with("/v2") || path.contains("/v2/");
    url.set_path(&if complete { path } else { format!("{path}/v2") });
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts_of(text: &str) -> Result<Vec<Host>, Error> {
        parse(Path::new("/etc/x/reg.io/hosts.toml"), text, &Config::new("/x"), "reg.io")
    }

    #[test]
    fn mirrors_come_in_the_order_of_the_file_and_the_registry_last() {
        let found = hosts_of(
            "server = \"https://up.io\"\n[host.\"http://z:1\"]\ncapabilities = [\"pull\"]\n[host.\"https://a/cache\"]\nskip_verify = true\n\
             ca = \"ca.pem\"\n[host.\"https://a/cache\".header]\nx-key = [\"1\", \"2\"]\n",
        )
        .unwrap();
        let bases: Vec<&str> = found.iter().map(|h| h.base.as_str()).collect();
        assert_eq!(bases, ["http://z:1/v2", "https://a/cache/v2", "https://up.io/v2"]);
        assert_eq!(found.iter().map(|h| h.is_origin).collect::<Vec<_>>(), [false, false, true]);
        assert_eq!((found[0].resolve, found[0].pull), (false, true));
        assert!(found[1].tls.skip_verify);
        assert_eq!(found[1].tls.ca, [PathBuf::from("/etc/x/reg.io/ca.pem")]);
        assert_eq!(found[1].headers.get_all("x-key").iter().count(), 2);
    }

    #[test]
    fn without_a_server_the_registry_itself_is_last() {
        let found = hosts_of("[host.\"http://127.0.0.1:5000\"]\n").unwrap();
        assert_eq!(found[1].base.as_str(), "https://reg.io/v2");
    }

    #[test]
    fn an_override_path_is_taken_as_it_is() {
        let found = hosts_of("[host.\"https://h/proxy/reg\"]\noverride_path = true\n").unwrap();
        assert_eq!(found[0].base.as_str(), "https://h/proxy/reg");
    }

    #[test]
    fn errors_name_the_line_and_never_a_value() {
        for (text, line) in [
            ("server = \"https://a\"\nmirror = 1\n", 2),
            ("[host.\"http://a\"]\n\nskip_verfy = true\n", 3),
            ("[host.\"http://a\"]\ncapabilities = [\"fly\"]\n", 2),
            ("[host.\"ftp://a\"]\n", 1),
            ("[host.\"http://user:pw@a\"]\n", 1),
            ("x", 1),
            ("[host.\"http://a\"]\nheader = { authorization = \"s3cret\\u0001\" }\n", 1),
            ("[host.\"http://a\"]\nheader = { authorization = \"s3cret }\n", 2),
            ("[host.\"http://a\"]\nheader = \"authorization: s3cret\"\n", 2),
            ("[header]\nauthorization = [\"s3cret\", 1]\n", 2),
            ("skip_verify = \"s3cret, expected s3cret\"\n", 1),
            ("server = \"https://user:s3cret@a b\"\n", 1),
        ] {
            let error = hosts_of(text).unwrap_err();
            let Error::Invalid { line: found, .. } = &error else { panic!("{error:?}") };
            assert_eq!(*found, line, "{text:?}: {error}");
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn the_directory_is_looked_for_under_three_names() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::new("/x");
        config.hosts_dirs = vec![dir.path().join("absent"), dir.path().to_owned()];
        let bases =
            |config: &Config, name| hosts(config, name).unwrap().iter().map(|h| h.base.to_string()).collect::<Vec<_>>();
        assert_eq!(bases(&config, "docker.io"), ["https://registry-1.docker.io/v2"]);
        for (directory, mirror) in [("_default", "http://d"), ("r.io:5", "http://c"), ("r.io_5_", "http://u")] {
            std::fs::create_dir(dir.path().join(directory)).unwrap();
            std::fs::write(dir.path().join(directory).join("hosts.toml"), format!("[host.\"{mirror}\"]\n")).unwrap();
            assert_eq!(bases(&config, "r.io:5"), [format!("{mirror}/v2"), "https://r.io:5/v2".to_owned()]);
        }
    }

    #[test]
    fn plain_http_is_for_loopback_and_for_listed_hosts() {
        let mut config = Config::new("/x");
        config.plain_http_hosts = vec!["reg.lan:5000".into()];
        for (name, scheme) in [
            ("localhost:5000", "http"),
            ("127.9.0.1", "http"),
            ("[::1]:5000", "http"),
            ("reg.lan:5000", "http"),
            ("reg.lan", "https"),
            ("localhost.evil.io", "https"),
            ("10.0.0.1:5000", "https"),
        ] {
            assert_eq!(default_host(&config, name).unwrap().base.scheme(), scheme, "{name}");
        }
    }
}
