// SPDX-License-Identifier: Apache-2.0
//! The images of a cluster's own pods: kube-proxy with the firewall programs of this machine, and CoreDNS.

use crate::images::layer::{Layer, Packing, Writer};
use crate::images::push::{Form, Image};
use crate::place;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Where the images are pulled from.
pub const REGISTRY: &str = "cluster.gorae.test";
/// kube-proxy's image.
pub const PROXY: &str = "cluster.gorae.test/kube-proxy:1";
/// CoreDNS's image.
pub const DNS: &str = "cluster.gorae.test/coredns:1";

/// The names that kube-proxy calls the firewall programs by.
const IPTABLES: [&str; 6] =
    ["iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore"];

/// All of them, to be pushed.
///
/// # Errors
/// When a program is not on this machine.
pub fn all() -> Result<Vec<Image>> {
    Ok(vec![proxy()?, dns()?])
}

fn image(name: &str, layer: Layer, config: Value) -> Image {
    Image { repository: name.to_owned(), tags: vec!["1".to_owned()], layers: vec![layer], config, form: Form::Oci }
}

fn dns() -> Result<Image> {
    let mut layer = Writer::default();
    layer.host_file(&place::cluster_tool("coredns"), "/coredns", 0o755)?.dir("etc", 0o755, 0);
    // Large programs that go over loopback once: packing them costs more than it saves.
    Ok(image("coredns", layer.finish(Packing::Plain), json!({"Entrypoint": ["/coredns"]})))
}

fn proxy() -> Result<Image> {
    let mut layer = Writer::default();
    for directory in ["etc", "proc", "run", "sys", "var/lib"] {
        layer.dir(directory, 0o755, 0);
    }
    layer.dir("tmp", 0o1777, 0);
    layer.host_file(&place::cluster_tool("kube-proxy"), "/usr/local/bin/kube-proxy", 0o755)?;
    let extensions = extensions()?;
    let programs = [PathBuf::from("/usr/sbin/nft"), PathBuf::from("/usr/sbin/xtables-nft-multi")];
    for file in programs.iter().chain(&extensions) {
        layer.host_file(file, &file.display().to_string(), 0o755)?;
    }
    for library in libraries(programs.iter().chain(&extensions))? {
        layer.host_file(&library, &library.display().to_string(), 0o755)?;
    }
    for name in IPTABLES {
        layer.symlink(&format!("/usr/sbin/{name}"), "xtables-nft-multi");
    }
    let path = "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    Ok(image("kube-proxy", layer.finish(Packing::Plain), json!({"Env": [path], "Entrypoint": ["kube-proxy"]})))
}

/// The extensions that iptables loads.
fn extensions() -> Result<Vec<PathBuf>> {
    let directory = format!("/usr/lib/{}-linux-gnu/xtables", std::env::consts::ARCH);
    let entries = std::fs::read_dir(&directory).with_context(|| format!("read {directory}, of Debian's iptables"))?;
    let mut found: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    found.sort();
    Ok(found)
}

/// The libraries that some files need, the loader among them, as the loader itself finds them.
fn libraries<'a>(files: impl Iterator<Item = &'a PathBuf>) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for file in files {
        let text = super::run::output("ldd", &[&file.display().to_string()])?;
        found.extend(
            text.lines()
                .filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')))
                .map(PathBuf::from),
        );
    }
    found.sort();
    found.dedup();
    found.retain(|path: &PathBuf| Path::new(path).exists());
    Ok(found)
}
