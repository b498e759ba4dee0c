// SPDX-License-Identifier: Apache-2.0
//! Which hosts stand for a registry: `DIR/HOST/hosts.toml` in containerd's layout, or the registry itself.
//!
//! The files are read at each pull, so a change needs no restart. A value that makes no sense stops the pull and names file
//! and line, because a typo that silently sends pulls to the internet is worse; a key that is not known is told in the
//! log. The name that was asked for is the one that images keep; a mirror is only a place to get the bytes.

mod keys;

use crate::go_duration;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::Spanned;
use url::Url;

/// Where hosts are looked up, and which registries are reached without TLS.
#[derive(Debug, Clone, Copy)]
pub struct Settings<'a> {
    /// Directories of directories with a `hosts.toml`; the first that has one for the registry counts.
    pub directories: &'a [PathBuf],
    /// Registries (`host` or `host:port`) reached over http. Loopback hosts always are.
    pub plain_http: &'a [String],
}

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
    /// How long a connection may take to be there; `None` for the usual time.
    pub dial_timeout: Option<Duration>,
    /// The way to it, in place of what the environment says.
    pub proxy: Option<Proxy>,
    /// Headers for every request to it.
    pub headers: HeaderMap,
}

/// A proxy's address. It may have a password in it, so it is not shown.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Proxy(pub Url);

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Proxy")
    }
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
#[allow(missing_docs, reason = "the variants' lines say what their fields are")]
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
pub fn hosts(settings: Settings<'_>, registry: &str) -> Result<Vec<Host>, Error> {
    for root in settings.directories {
        for name in directory_names(registry) {
            let directory = root.join(name);
            let path = directory.join("hosts.toml");
            match std::fs::read_to_string(&path) {
                Ok(text) if text.trim().is_empty() => {
                    return Ok(vec![with_certificates(settings, registry, &directory)?]);
                }
                Ok(text) => return parse(&path, &text, settings, registry),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound && !directory.is_dir() => {}
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                    return Ok(vec![with_certificates(settings, registry, &directory)?]);
                }
                Err(source) => return Err(Error::Read { path, source }),
            }
        }
    }
    Ok(vec![default_host(settings, registry)?])
}

/// `host_port_` is for file systems and tools that dislike colons.
fn directory_names(registry: &str) -> Vec<String> {
    let with_port = registry.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    let portable = with_port.map(|(host, port)| format!("{host}_{port}_"));
    portable.into_iter().chain([registry.to_owned(), "_default".to_owned()]).collect()
}

/// The registry itself: https, or http where that is safe or wanted.
fn default_host(settings: Settings<'_>, registry: &str) -> Result<Host, Error> {
    let address = if registry == "docker.io" { "registry-1.docker.io" } else { registry };
    let plain = settings.plain_http.iter().any(|host| host == registry) || is_loopback(address);
    let scheme = if plain { "http" } else { "https" };
    let base = Url::parse(&format!("{scheme}://{address}/v2")).map_err(|_| Error::Name(registry.to_owned()))?;
    let (tls, headers) = (Tls::default(), HeaderMap::new());
    Ok(Host { base, resolve: true, pull: true, is_origin: true, tls, dial_timeout: None, proxy: None, headers })
}

/// A directory without a hosts.toml has certificates in Docker's layout, or none: `*.crt` are authorities, `*.cert` with
/// `*.key` is the client's.
fn with_certificates(settings: Settings<'_>, registry: &str, directory: &Path) -> Result<Host, Error> {
    let unreadable = |source| Error::Read { path: directory.to_owned(), source };
    let entries = std::fs::read_dir(directory).map_err(unreadable)?.collect::<Result<Vec<_>, _>>();
    let mut files: Vec<PathBuf> = entries.map_err(unreadable)?.into_iter().map(|entry| entry.path()).collect();
    files.sort();
    let with = |ending: &str| {
        files.iter().filter(move |file| file.extension().is_some_and(|own| own == ending)).cloned().collect::<Vec<_>>()
    };
    let mut host = default_host(settings, registry)?;
    host.tls.ca = with("crt");
    let client = with("cert").into_iter().next();
    host.tls.client = client.map(|file| {
        let key = file.with_extension("key");
        (file, files.contains(&key).then_some(key))
    });
    Ok(host)
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
struct HostsFile {
    server: Option<Spanned<String>>,
    #[serde(default)]
    host: BTreeMap<String, Spanned<HostTable>>,
    // The same keys at the top speak about the server.
    capabilities: Option<Vec<String>>,
    ca: Option<OneOrMany>,
    client: Option<ClientCertificates>,
    skip_verify: Option<bool>,
    override_path: Option<bool>,
    header: Option<BTreeMap<String, OneOrMany>>,
    dial_timeout: Option<Spanned<String>>,
    proxy: Option<Spanned<String>>,
}

#[derive(Deserialize, Default)]
struct HostTable {
    capabilities: Option<Vec<String>>,
    ca: Option<OneOrMany>,
    client: Option<ClientCertificates>,
    skip_verify: Option<bool>,
    override_path: Option<bool>,
    header: Option<BTreeMap<String, OneOrMany>>,
    dial_timeout: Option<Spanned<String>>,
    proxy: Option<Spanned<String>>,
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
enum ClientCertificates {
    File(String),
    List(Vec<OneOrMany>),
}

fn parse(path: &Path, text: &str, settings: Settings<'_>, registry: &str) -> Result<Vec<Host>, Error> {
    let line_of = |offset: usize| text.as_bytes()[..offset.min(text.len())].iter().filter(|&&b| b == b'\n').count() + 1;
    let invalid = |offset: usize, why: String| Error::Invalid { path: path.to_owned(), line: line_of(offset), why };
    let file: HostsFile =
        toml::from_str(text).map_err(|e| invalid(e.span().map_or(0, |span| span.start), without_value(e.message())))?;
    keys::tell_unknown(path, text);
    let directory = path.parent().unwrap_or(Path::new("/"));
    let mut tables: Vec<(String, Spanned<HostTable>)> = file.host.into_iter().collect();
    // The order in the file is the order of trying.
    tables.sort_by_key(|(_, table)| table.span().start);
    let mut hosts = Vec::new();
    for (url, table) in tables {
        let start = table.span().start;
        let found = host(&url, table.into_inner(), directory, false);
        hosts.push(found.map_err(|Fault { at, why }| invalid(at.unwrap_or(start), why))?);
    }
    let top = HostTable {
        capabilities: file.capabilities,
        ca: file.ca,
        client: file.client,
        skip_verify: file.skip_verify,
        override_path: file.override_path,
        header: file.header,
        dial_timeout: file.dial_timeout,
        proxy: file.proxy,
    };
    let (start, server) = match file.server.filter(|server| !server.get_ref().is_empty()) {
        Some(server) => (server.span().start, server.into_inner()),
        None => (0, default_host(settings, registry)?.base.as_str().trim_end_matches("/v2").to_owned()),
    };
    let found = host(&server, top, directory, true);
    hosts.push(found.map_err(|Fault { at, why }| invalid(at.unwrap_or(start), why))?);
    Ok(hosts)
}

/// What is wrong with a host, and where in the file if that is not its beginning.
struct Fault {
    at: Option<usize>,
    why: String,
}

impl From<String> for Fault {
    fn from(why: String) -> Self {
        Self { at: None, why }
    }
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

fn host(url: &str, table: HostTable, directory: &Path, is_origin: bool) -> Result<Host, Fault> {
    // An empty list is none, as containerd takes it.
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
    Ok(Host { base, resolve, pull, is_origin, tls, dial_timeout, proxy, headers })
}

/// Reads a value whose place in the file is known.
fn at<T>(value: Option<Spanned<String>>, read: impl FnOnce(&str) -> Result<T, String>) -> Result<Option<T>, Fault> {
    let Some(value) = value.filter(|value| !value.get_ref().is_empty()) else { return Ok(None) };
    read(value.get_ref()).map(Some).map_err(|why| Fault { at: Some(value.span().start), why })
}

fn headers(given: BTreeMap<String, OneOrMany>) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, values) in given {
        let key: HeaderName = name.parse().map_err(|_| format!("{name:?} is no header name"))?;
        for value in values.into_vec() {
            let mut value =
                HeaderValue::from_str(&value).map_err(|_| format!("the value of header {name} is not valid"))?;
            value.set_sensitive(true);
            headers.append(key.clone(), value);
        }
    }
    Ok(headers)
}

/// The first of several: one is shown in a handshake.
fn client_certificate(
    given: ClientCertificates,
    directory: &Path,
) -> Result<Option<(PathBuf, Option<PathBuf>)>, String> {
    let mut files = match given {
        ClientCertificates::File(file) => vec![vec![file]],
        ClientCertificates::List(list) => list.into_iter().map(OneOrMany::into_vec).collect(),
    };
    if files.iter().any(|files| files.is_empty() || files.len() > 2 || files[0].is_empty()) {
        return Err("client is a file, a list of files, or a list of pairs of certificate and key".to_owned());
    }
    if files.len() > 1 {
        tracing::warn!(path = %directory.display(), "hosts.toml names several client certificates: the first one is used");
    }
    files.truncate(1);
    Ok(files.pop().map(|files| {
        let mut files = files.into_iter().filter(|file| !file.is_empty()).map(|file| directory.join(file));
        (files.next().unwrap_or_default(), files.next())
    }))
}

/// Zero is no limit of its own, as in Go.
fn dial_timeout(text: &str) -> Result<Option<Duration>, String> {
    let time = go_duration::parse(text).ok_or("dial_timeout is a duration such as \"200ms\" or \"1m30s\"")?;
    Ok(Some(time).filter(|time| !time.is_zero()))
}

fn proxy(text: &str) -> Result<Proxy, String> {
    let url = Url::parse(text).ok().filter(|url| {
        let bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        let known = matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h");
        bare && known && url.host_str().is_some_and(|host| !host.is_empty())
    });
    let why = "proxy is an http, https, socks5 or socks5h URL with a host and without path, query and fragment";
    url.map(Proxy).ok_or_else(|| why.to_owned())
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

    const NOWHERE: Settings<'_> = Settings { directories: &[], plain_http: &[] };

    fn hosts_of(text: &str) -> Result<Vec<Host>, Error> {
        parse(Path::new("/etc/x/reg.io/hosts.toml"), text, NOWHERE, "reg.io")
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
            ("server = \"https://a\"\nskip_verify = 1\n", 2),
            ("[host.\"http://a\"]\ncapabilities = [1]\n", 2),
            ("[host.\"http://a\"]\nclient = [[]]\n", 1),
            ("[host.\"http://a\"]\nclient = [[\"a\", \"b\", \"s3cret\"]]\n", 1),
            ("[host.\"http://a\"]\n\ndial_timeout = \"s3cret\"\n", 3),
            ("[host.\"http://a\"]\ndial_timeout = 5\n", 2),
            ("dial_timeout = \"-1s\"\n", 1),
            ("server = \"a\"\nproxy = \"http://u:s3cret@p:1/path\"\n", 2),
            ("proxy = \"ftp://u:s3cret@p\"\n", 1),
            ("proxy = \"s3cret\"\n", 1),
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
    fn every_key_that_containerd_documents_is_taken() {
        let keys = "capabilities = [\"Pull\", \"referrers\"]\nca = [\"a.pem\", \"/b.pem\"]\noverride_path = true\nskip_verify = true\n\
                    client = [[\"c.cert\", \"c.key\"], [\"d.pem\", \"\"]]\ndial_timeout = \"200ms\"\nproxy = \"http://u:p@proxy:8080\"\n";
        let found = hosts_of(&format!(
            "{keys}server = \"https://up.io\"\n[header]\nx = \"1\"\n[host.\"http://m/x\"]\n{keys}\
                                       [host.\"http://m/x\".header]\nx = [\"1\", \"2\"]\n"
        ))
        .unwrap();
        assert_eq!(found.len(), 2);
        for host in &found {
            assert_eq!((host.pull, host.resolve, host.tls.skip_verify), (true, false, true));
            assert_eq!(host.tls.ca, [PathBuf::from("/etc/x/reg.io/a.pem"), PathBuf::from("/b.pem")]);
            let (certificate, key) = host.tls.client.clone().unwrap();
            assert_eq!((certificate.ends_with("c.cert"), key.unwrap().ends_with("c.key")), (true, true));
            assert_eq!(host.dial_timeout, Some(Duration::from_millis(200)));
            assert_eq!(host.proxy.as_ref().unwrap().0.host_str(), Some("proxy"));
            assert!(!format!("{host:?}").contains("u:p"), "{host:?}");
        }
        assert_eq!(found[0].base.as_str(), "http://m/x");
    }

    #[test]
    fn a_key_that_is_not_known_stops_nothing() {
        let found = hosts_of(
            "mirror = 1\nserver = \"\"\ncapabilities = []\n[host.\"http://a\"]\nskip_verfy = true\ncapabilities = [\"fly\", \"pull\"]\n\
             dial_timeout = \"0s\"\n[host.\"http://a\".more]\nx = 1\n",
        )
        .unwrap();
        assert_eq!(
            found.iter().map(|host| (host.pull, host.resolve)).collect::<Vec<_>>(),
            [(true, false), (true, true)]
        );
        assert_eq!((found[0].dial_timeout, found[1].base.as_str()), (None, "https://reg.io/v2"));
    }

    #[test]
    fn one_client_certificate_may_be_written_in_every_form() {
        for (form, key) in [
            ("\"c.pem\"", None),
            ("[\"c.pem\"]", None),
            ("[\"c.pem\", \"d.pem\"]", None),
            ("[[\"c.pem\", \"\"]]", None),
            ("[[\"c.pem\", \"k.pem\"]]", Some("k.pem")),
            ("[[\"c.pem\", \"k.pem\"], \"d.pem\"]", Some("k.pem")),
        ] {
            let found = hosts_of(&format!("client = {form}\n")).unwrap();
            let (certificate, found) = found[0].tls.client.clone().unwrap();
            assert_eq!(certificate, Path::new("/etc/x/reg.io/c.pem"), "{form}");
            assert_eq!(found, key.map(|key| Path::new("/etc/x/reg.io").join(key)), "{form}");
        }
        assert_eq!(hosts_of("client = []\n").unwrap()[0].tls.client, None);
    }

    #[test]
    fn a_directory_without_a_file_has_certificates_in_dockers_layout() {
        let dir = tempfile::tempdir().unwrap();
        let directories = [dir.path().to_owned()];
        let settings = Settings { directories: &directories, ..NOWHERE };
        let own = dir.path().join("r.io");
        std::fs::create_dir(&own).unwrap();
        for file in ["b.crt", "a.crt", "c.cert", "c.key", "d.key", "e.pem"] {
            std::fs::write(own.join(file), "x").unwrap();
        }
        for empty in [false, true] {
            if empty {
                std::fs::write(own.join("hosts.toml"), "\n").unwrap();
            }
            let found = hosts(settings, "r.io").unwrap();
            assert_eq!(found[0].tls.ca, [own.join("a.crt"), own.join("b.crt")]);
            assert_eq!(found[0].tls.client, Some((own.join("c.cert"), Some(own.join("c.key")))));
        }
    }

    #[test]
    fn the_directory_is_looked_for_under_three_names() {
        let dir = tempfile::tempdir().unwrap();
        let directories = [dir.path().join("absent"), dir.path().to_owned()];
        let settings = Settings { directories: &directories, ..NOWHERE };
        let bases = |settings: Settings<'_>, name| {
            hosts(settings, name).unwrap().iter().map(|h| h.base.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(bases(settings, "docker.io"), ["https://registry-1.docker.io/v2"]);
        for (directory, mirror) in [("_default", "http://d"), ("r.io:5", "http://c"), ("r.io_5_", "http://u")] {
            std::fs::create_dir(dir.path().join(directory)).unwrap();
            std::fs::write(dir.path().join(directory).join("hosts.toml"), format!("[host.\"{mirror}\"]\n")).unwrap();
            assert_eq!(bases(settings, "r.io:5"), [format!("{mirror}/v2"), "https://r.io:5/v2".to_owned()]);
        }
    }

    #[test]
    fn plain_http_is_for_loopback_and_for_listed_hosts() {
        let settings = Settings { plain_http: &["reg.lan:5000".to_owned()], ..NOWHERE };
        for (name, scheme) in [
            ("localhost:5000", "http"),
            ("127.9.0.1", "http"),
            ("[::1]:5000", "http"),
            ("reg.lan:5000", "http"),
            ("reg.lan", "https"),
            ("localhost.evil.io", "https"),
            ("10.0.0.1:5000", "https"),
        ] {
            assert_eq!(default_host(settings, name).unwrap().base.scheme(), scheme, "{name}");
        }
    }
}
