// SPDX-License-Identifier: Apache-2.0
//! hosts.toml files and their directories.

use crate::hosts::error::Error;
use crate::hosts::file::parse;
use crate::hosts::host::{Host, Settings};
use crate::hosts::lookup::hosts;
use std::path::{Path, PathBuf};
use std::time::Duration;

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
    assert_eq!(found.iter().map(|host| (host.pull, host.resolve)).collect::<Vec<_>>(), [(true, false), (true, true)]);
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
        assert_eq!(Host::of_registry(settings, name).unwrap().base.scheme(), scheme, "{name}");
    }
}
