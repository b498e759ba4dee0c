// SPDX-License-Identifier: Apache-2.0
//! Reads a hosts.toml: the hosts that it names, in order.

use crate::hosts::error::Error;
use crate::hosts::host::{Host, Settings};
use crate::hosts::keys;
use crate::hosts::table::{ClientCertificates, Fault, HostTable, OneOrMany, Role, host};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use toml::Spanned;

/// The whole file. At the top level, the keys of a [`HostTable`] describe the server. They are repeated here because
/// serde's `flatten` would read them through a buffer, which loses the positions in the file ([`Spanned`]).
#[derive(Deserialize)]
struct HostsFile {
    server: Option<Spanned<String>>,
    #[serde(default)]
    host: BTreeMap<String, Spanned<HostTable>>,
    // As in a `HostTable`.
    capabilities: Option<Vec<String>>,
    ca: Option<OneOrMany>,
    client: Option<ClientCertificates>,
    skip_verify: Option<bool>,
    override_path: Option<bool>,
    header: Option<BTreeMap<String, OneOrMany>>,
    dial_timeout: Option<Spanned<String>>,
    proxy: Option<Spanned<String>>,
}

/// Parses a file that is not empty.
///
/// # Errors
/// [`Error::Invalid`] with the line number, [`Error::Name`].
pub fn parse(path: &Path, text: &str, settings: Settings<'_>, registry: &str) -> Result<Vec<Host>, Error> {
    let line_of = |offset: usize| text.as_bytes()[..offset.min(text.len())].iter().filter(|&&b| b == b'\n').count() + 1;
    let invalid = |offset: usize, why: String| Error::Invalid { path: path.to_owned(), line: line_of(offset), why };
    let file: HostsFile =
        toml::from_str(text).map_err(|e| invalid(e.span().map_or(0, |span| span.start), without_value(e.message())))?;
    keys::tell_unknown(path, text);
    let directory = path.parent().unwrap_or(Path::new("/"));
    let mut tables: Vec<(String, Spanned<HostTable>)> = file.host.into_iter().collect();
    // Hosts are tried in the order of the file.
    tables.sort_by_key(|(_, table)| table.span().start);
    let mut hosts = Vec::new();
    for (url, table) in tables {
        let start = table.span().start;
        let found = host(&url, table.into_inner(), directory, Role::Mirror);
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
        None => (0, Host::of_registry(settings, registry)?.base.as_str().trim_end_matches("/v2").to_owned()),
    };
    let found = host(&server, top, directory, Role::Origin);
    hosts.push(found.map_err(|Fault { at, why }| invalid(at.unwrap_or(start), why))?);
    Ok(hosts)
}

/// The first line of a parser message, without the value that serde quotes: it may be a misplaced header.
fn without_value(message: &str) -> String {
    let line = message.lines().next().unwrap_or("");
    let Some(kind) = ["invalid type", "invalid value"].into_iter().find(|kind| line.starts_with(kind)) else {
        return line.to_owned();
    };
    let expected = line.rsplit_once(", expected ").map_or("something else", |(_, expected)| expected);
    format!("{kind}, expected {expected}")
}
