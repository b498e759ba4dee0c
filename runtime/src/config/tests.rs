// SPDX-License-Identifier: Apache-2.0
//! The configuration as a whole: defaults, refusals, and whether a change of each key needs a restart.

use super::changes::Change;
use super::checked::check;
use super::*;
use gorae_image_service::Reserve;
use gorae_network::{Families, Masquerade};
use gorae_node::settings::MissingHostPath;
use std::net::SocketAddr;

#[test]
fn an_empty_configuration_is_valid() {
    let config = check(RawConfig::default(), &Overrides::default()).expect("defaults");
    assert_eq!(config.socket, Path::new("/run/gorae/gorae.sock"));
    assert_eq!(config.streaming.address, SocketAddr::from(([127, 0, 0, 1], 0)));
}

#[test]
fn the_socket_follows_the_state_directory() {
    let over = Overrides { state: Some("/tmp/x".into()), ..Overrides::default() };
    assert_eq!(check(RawConfig::default(), &over).expect("fine").socket, Path::new("/tmp/x/gorae.sock"));
}

#[test]
fn an_unknown_key_is_refused_with_its_line() {
    let error = parse("root = \"/a\"\n[images]\nhost_dirs = []\n").expect_err("typo");
    assert!(error.contains("line 3") && error.contains("host_dirs"), "{error}");
}

#[test]
fn the_handlers_are_the_built_in_one_and_those_in_the_file() {
    let text =
        "[runtimes.runc]\nkind = \"native\"\n[runtimes.gorae]\nkind = \"native\"\n[runtimes.crun]\nkind = \"native\"";
    let config = check(parse(text).expect("parses"), &Overrides::default()).expect("fine");
    assert_eq!(config.handlers.names(), ["gorae", "crun", "runc"]);
    for bad in
        ["[runtimes.kata]\nkind = \"vm\"", "[runtimes.runc]", "[runtimes.runc]\nkind = \"native\"\npath = \"/x\""]
    {
        assert!(parse(bad).expect_err("refused").contains("line"), "{bad}");
    }
}

#[test]
fn masquerade_is_a_switch_or_left_to_the_addresses_and_families_are_one_of_four() {
    for (value, masquerade) in
        [("true", Masquerade::Always), ("false", Masquerade::Never), ("\"auto\"", Masquerade::Auto)]
    {
        let raw = parse(&format!("[network]\nmasquerade = {value}\nfamilies = \"ipv6,ipv4\"")).expect(value);
        let network = check(raw, &Overrides::default()).expect("fine").network;
        assert_eq!((network.masquerade, network.families), (masquerade, Some(Families::V6First)), "{value}");
    }
    for bad in ["masquerade = \"maybe\"", "masquerade = 1", "families = \"ipv5\"", "families = \"ipv4,ipv4\""] {
        let error = parse(&format!("[network]\n{bad}")).expect_err(bad);
        assert!(error.contains("line 2") && error.contains("expected"), "{error}");
    }
}

#[test]
fn the_reserve_of_pulls_is_a_share_or_a_size() {
    for (value, reserve) in [
        ("\"10%\"", Reserve::Percent(10)),
        ("\"2GiB\"", Reserve::Bytes(2 << 30)),
        ("0", Reserve::Bytes(0)),
        ("1048576", Reserve::Bytes(1 << 20)),
    ] {
        let raw = parse(&format!("[images]\nreserve = {value}\n")).expect(value);
        assert_eq!(raw.images.reserve, Some(reserve), "{value}");
    }
    for value in ["\"much\"", "\"101%\"", "-1", "1.5", "true"] {
        let error = parse(&format!("[images]\nreserve = {value}\n")).expect_err(value);
        assert!(error.contains("line 2"), "{error}");
    }
}

#[test]
fn a_value_out_of_range_is_refused_with_its_line_however_it_is_written() {
    let dir = tempfile::tempdir().expect("tempdir");
    let file = dir.path().join("c.toml");
    for (text, line) in [
        ("# first\nreconcile_seconds = 0\n", "line 2: reconcile_seconds: must be"),
        ("[images]\n\nparallel_layers = 0", "line 3: images.parallel_layers: must be"),
        ("images.parallel_layers = 0", "line 1: images.parallel_layers: must be"),
        ("\nimages = { plain_http = [], parallel_layers = 0 }", "line 2: images.parallel_layers: must be"),
        ("[network]\nmtu = 9", "line 2: network.mtu: \"9\""),
        ("[network]\n\nsubnet = \"10.0.0.0/31\"", "line 3: network.subnet: "),
        ("[images]\nplain_http = [\"a/b\"]", "line 2: images.plain_http: \"a/b\""),
        ("\n[streaming]\ntls_key = \"/k\"", "line 2: streaming: tls_certificate"),
        ("root = \"/a\"\nstate = \"/a\"", "root and state are both"),
        ("[admin]\nlisten = \"0.0.0.0:1\"", "line 2: admin.listen: 0.0.0.0:1 is not a loopback address"),
        ("\nlog_format = \"xml\"", "line 2: log_format: \"xml\" is not one of text, json"),
    ] {
        std::fs::write(&file, text).expect("write");
        let error = load(Some(&file), &Overrides::default()).expect_err(text);
        assert!(error.contains(&format!("c.toml: {line}")), "{error}");
    }
}

#[test]
fn a_missing_host_path_is_created_unless_the_file_says_otherwise() {
    let said = |text| check(parse(text).expect("parses"), &Overrides::default()).expect("fine").missing_host_path;
    assert_eq!(said(""), MissingHostPath::Create);
    assert_eq!(said("[mounts]\nmissing_host_path = \"refuse\""), MissingHostPath::Refuse);
    let error = parse("[mounts]\nmissing_host_path = \"ignore\"").expect_err("a third way");
    assert!(error.contains("line 2") && error.contains("create") && error.contains("refuse"), "{error}");
}

#[test]
fn each_changed_key_is_reported_with_whether_it_needs_a_restart() {
    let of = |text: &str| check(parse(text).expect("parses"), &Overrides::default()).expect("fine");
    let before = of("");
    for (text, change) in [
        ("log_level = \"debug\"", Change::Applied("log_level")),
        ("reconcile_seconds = 5", Change::Applied("reconcile_seconds")),
        ("[cdi]\ndirectories = [\"/c\"]", Change::Applied("cdi.directories")),
        (
            "state = \"/s\"\nlisten = \"unix:///run/gorae/gorae.sock\"\nadmin.listen = \"unix:///run/gorae/admin.sock\"",
            Change::NeedsRestart("state"),
        ),
        ("root = \"/r\"", Change::NeedsRestart("root")),
        ("listen = \"unix:///l\"", Change::NeedsRestart("listen")),
        ("shim = \"/shim\"", Change::NeedsRestart("shim")),
        ("log_format = \"json\"", Change::NeedsRestart("log_format")),
        ("[images]\nhosts_dirs = [\"/h\"]", Change::NeedsRestart("images.hosts_dirs")),
        ("[images]\nplain_http = [\"h\"]", Change::NeedsRestart("images.plain_http")),
        ("[images]\nreserve = \"10%\"", Change::NeedsRestart("images.reserve")),
        ("[images]\nparallel_layers = 3", Change::NeedsRestart("images.parallel_layers")),
        ("[network]\nbridge = \"b\"", Change::NeedsRestart("network.bridge")),
        ("[network]\nsubnet = \"10.1.0.0/20\"", Change::NeedsRestart("network.subnet")),
        ("[network]\nsubnet6 = \"fd00::/64\"", Change::NeedsRestart("network.subnet6")),
        ("[network]\nfamilies = \"ipv4\"", Change::NeedsRestart("network.families")),
        ("[network]\nmasquerade = false", Change::NeedsRestart("network.masquerade")),
        ("[network]\nmtu = 1400", Change::NeedsRestart("network.mtu")),
        ("[network]\nopen_forward = true", Change::NeedsRestart("network.open_forward")),
        ("[streaming]\naddress = \"127.0.0.2\"", Change::NeedsRestart("streaming.address")),
        ("[streaming]\nport = 9", Change::NeedsRestart("streaming.port")),
        ("[admin]\nlisten = \"off\"", Change::NeedsRestart("admin.listen")),
        ("[runtimes.runc]\nkind = \"native\"", Change::NeedsRestart("runtimes")),
        ("[mounts]\nmissing_host_path = \"refuse\"", Change::NeedsRestart("mounts.missing_host_path")),
    ] {
        assert_eq!(before.changes(&of(text)), [change], "{text}");
        assert_eq!(of(text).changes(&of(text)), [], "{text}");
    }
    let tls = of("[streaming]\ntls_certificate = \"/c\"\ntls_key = \"/k\"");
    let both = ["streaming.tls_certificate", "streaming.tls_key"].map(Change::NeedsRestart);
    assert_eq!(before.changes(&tls), both);
}

#[test]
fn every_key_of_the_file_is_compared_on_a_reload() {
    let sample = include_str!("../../../deploy/config.toml");
    let source = include_str!("changes.rs");
    let mut section = String::new();
    let mut keys = 0;
    for line in sample.lines().filter_map(|line| line.strip_prefix('#')).filter(|line| !line.starts_with(' ')) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = format!("{name}.");
        } else if let Some((key, _)) = line.split_once(" = ") {
            keys += 1;
            // A table whose name the user chooses is compared as a whole.
            let name = if section.starts_with("runtimes.") { "runtimes".to_owned() } else { format!("{section}{key}") };
            assert!(source.contains(&format!("(\"{name}\", ")), "{section}{key} is not compared");
        }
    }
    assert_eq!(keys, 30, "keys of the sample");
}

#[test]
fn values_out_of_range_are_refused() {
    for text in [
        "root = \"relative\"",
        "root = \"/a/../b\"",
        "root = \"/a\"\nstate = \"/a/\"",
        "listen = \"tcp://0.0.0.0:1\"",
        "log_level = \"loud\"",
        "log_format = \"xml\"",
        "reconcile_seconds = 0",
        "[network]\nbridge = \"much-too-long-a-name\"",
        "[network]\nmtu = 1000",
        "[network]\nfamilies = \"ipv6\"\nsubnet = \"10.1.0.0/20\"",
        "[network]\nsubnet = \"10.0.0.0/31\"",
        "[images]\nplain_http = [\"http://registry\"]",
        "[images]\nparallel_layers = 0",
        "[images]\nhosts_dirs = [\"hosts.d\"]",
        "[streaming]\ntls_certificate = \"/a.crt\"",
        "[streaming]\ntls_key = \"/a.key\"",
        "[streaming]\ntls_certificate = \"a.crt\"\ntls_key = \"/a.key\"",
        "[cdi]\ndirectories = [\"cdi\"]",
        "[runtimes.\"a b\"]\nkind = \"native\"",
        "[runtimes.\"\"]\nkind = \"native\"",
    ] {
        assert!(check(parse(text).expect("parses"), &Overrides::default()).is_err(), "{text}");
    }
}
