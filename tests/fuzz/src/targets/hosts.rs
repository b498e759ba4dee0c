// SPDX-License-Identifier: Apache-2.0
//! hosts.toml, as a file where the node looks for it.

use gorae_image_formats::hosts::{self, Error, Host, Settings};
use std::fs;
use std::path::Path;

const REGISTRY: &str = "reg.example";
/// A value of a header that no error and no log may show.
const SECRET: &str = "s3cr3t";

pub fn check(input: &[u8]) {
    let place = tempfile::tempdir().expect("a directory");
    fs::create_dir(place.path().join(REGISTRY)).expect("a directory");
    fs::write(place.path().join(REGISTRY).join("hosts.toml"), input).expect("a file");
    match hosts_in(place.path()) {
        Ok(found) => usable(&found),
        Err(Error::Invalid { line, why, .. }) => {
            let lines = 1 + input.iter().filter(|&&byte| byte == b'\n').count();
            assert!((1..=lines).contains(&line), "line {line} of {lines}: {why}");
            assert!(!why.contains('\n'), "{why:?}");
        }
        Err(Error::Read { source, .. }) => assert!(std::str::from_utf8(input).is_err(), "{source}"),
        Err(other) => panic!("{other}"),
    }
    no_error_shows(input);
}

fn hosts_in(place: &Path) -> Result<Vec<Host>, Error> {
    hosts::hosts(Settings { directories: &[place.to_owned()], plain_http: &[] }, REGISTRY)
}

fn usable(hosts: &[Host]) {
    let (registry, mirrors) = hosts.split_last().expect("the registry itself is there");
    assert!(registry.is_origin && mirrors.iter().all(|mirror| !mirror.is_origin));
    for host in hosts {
        let base = &host.base;
        assert!(
            matches!(base.scheme(), "http" | "https") && base.host_str().is_some_and(|name| !name.is_empty()),
            "{base}"
        );
        assert!(base.username().is_empty() && base.password().is_none() && base.query().is_none(), "{base}");
        assert!(base.path() == "/" || !base.path().ends_with('/'), "{base}");
        assert!(host.headers.values().all(http::HeaderValue::is_sensitive), "a header would be logged");
    }
}

/// The input as the value of a key that holds secrets, beside one: whatever is wrong with it, the secret is not told.
fn no_error_shows(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if text.contains(SECRET) || text.contains(['"', '\'', '#', '\\']) || text.contains(char::is_control) {
        return;
    }
    let place = tempfile::tempdir().expect("a directory");
    fs::create_dir(place.path().join(REGISTRY)).expect("a directory");
    for around in [
        ["[header]\nauthorization = \"", "\"\n"],
        ["header = \"", "\"\n"],
        ["header = { x = [\"", "\", 1] }\n"],
        ["proxy = \"", "\"\n"],
        ["[host.\"http://a\"]\nproxy = \"http://u:", "@p:1\"\n"],
    ] {
        let file = format!("{}{SECRET}{text}{}", around[0], around[1]);
        fs::write(place.path().join(REGISTRY).join("hosts.toml"), file).expect("a file");
        match hosts_in(place.path()) {
            Ok(hosts) => assert!(!format!("{hosts:?}").contains(SECRET), "{hosts:?}"),
            Err(error) => assert!(!error.to_string().contains(SECRET), "{error}"),
        }
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    [
        "server = \"https://up.example/base\"\nca = [\"a.pem\", \"/b.pem\"]\n[host.\"http://127.0.0.1:5000\"]\n\
         capabilities = [\"pull\", \"resolve\", \"push\"]\nskip_verify = true\noverride_path = true\n",
        "[host.\"https://m.example/v2/cache\"]\nclient = [[\"c.pem\", \"k.pem\"]]\n\
         [host.\"https://m.example/v2/cache\".header]\nx-key = [\"1\", \"2\"]\nauthorization = \"Basic eA==\"\n",
        "server = \"localhost:1\"\nclient = \"c.pem\"\n[host.\"[::1]:9\"]\nclient = [\"c.pem\"]\n",
        "[host.\"http://user:pw@h\"]\n",
        "novelty = 1\ndial_timeout = \"1m1.5s\"\nproxy = \"socks5h://u:p@q:1\"\n[host.\"http://m\"]\ncapabilities = [\"Pull\", \"fly\"]\n\
         client = [[\"a\", \"b\"], \"c\"]\ndial_timeout = \"0s\"\nproxy = \"\"\n[host.\"http://m\".more]\nx = 1\n",
        "server = 1\nskip_verify = \"yes\"\n",
        "[host.a]\ncapabilities = [\"fly\"]\n",
        "key words",
        "\u{e9}",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}
