// SPDX-License-Identifier: Apache-2.0
//! `deploy/config.toml` holds every key that goraed knows, and nothing else.

use gorae_runtime::config::{self, RawAdmin, RawCdi, RawConfig, RawImages, RawMounts, RawNetwork, RawStreaming};

const SAMPLE: &str = include_str!("../../deploy/config.toml");

/// The sample with its keys switched on: `#key = …` becomes `key = …`; prose begins with `# `.
fn switched_on() -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|c: char| c == '[' || c.is_ascii_lowercase()) => format!("{rest}\n"),
        _ => format!("{line}\n"),
    };
    SAMPLE.lines().map(line).collect()
}

#[test]
fn the_sample_as_it_is_changes_nothing() {
    let raw = config::parse(SAMPLE).expect("valid");
    assert_eq!(format!("{raw:?}"), format!("{:?}", RawConfig::default()));
}

#[test]
fn the_sample_shows_every_key_with_a_value_that_is_taken() {
    let file = std::env::temp_dir().join(format!("gorae-sample-{}.toml", std::process::id()));
    std::fs::write(&file, switched_on()).expect("writes");
    let checked = config::load(Some(&file), &config::Overrides::default());
    std::fs::remove_file(&file).expect("removes");
    checked.expect("every value is in range");
    // Spelled out, so that a new key cannot be forgotten here.
    let RawConfig {
        root,
        state,
        listen,
        log_level,
        log_format,
        shim,
        reconcile_seconds,
        images,
        network,
        streaming,
        admin,
        cdi,
        mounts,
        runtimes,
    } = config::parse(&switched_on()).expect("valid");
    let RawImages { hosts_dirs, plain_http, parallel_layers, reserve } = images;
    let RawNetwork {
        mode,
        configuration_directories,
        plugin_directories,
        name,
        bridge,
        families,
        subnet,
        subnet6,
        mtu,
        masquerade,
        open_forward,
    } = network;
    let RawStreaming { address, port, tls_certificate, tls_key } = streaming;
    let RawAdmin { listen: admin_listen } = admin;
    let RawCdi { directories } = cdi;
    let RawMounts { missing_host_path } = mounts;
    assert!(root.is_some() && state.is_some() && listen.is_some() && log_level.is_some() && shim.is_some());
    assert!(log_format.is_some() && reconcile_seconds.is_some() && reserve.is_some());
    assert!(hosts_dirs.is_some() && !plain_http.is_empty() && parallel_layers.is_some());
    assert!(mode.is_some() && configuration_directories.is_some() && plugin_directories.is_some() && name.is_some());
    assert!(families.is_some() && masquerade.is_some());
    assert!(bridge.is_some() && subnet.is_some() && subnet6.is_some() && mtu.is_some() && !open_forward);
    assert!(admin_listen.is_some() && directories.is_some() && missing_host_path.is_some());
    assert!(runtimes.contains_key("runc"));
    assert!(tls_certificate.is_some() && tls_key.is_some());
    assert!(address.is_some() && port == 0 && switched_on().contains("\nport = 0\n"));
}
