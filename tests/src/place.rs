// SPDX-License-Identifier: Apache-2.0
//! Where things are: the checkout, what was built from it, and the namespace everything must run in.

use std::path::PathBuf;

/// The root of the checkout.
#[must_use]
pub fn checkout() -> PathBuf {
    match std::env::var_os("GORAE_CHECKOUT") {
        Some(path) => path.into(),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is in the checkout").to_owned(),
    }
}

/// What `make` builds besides cargo's own files.
#[must_use]
pub fn build() -> PathBuf {
    checkout().join("build")
}

/// A binary of the project, as `make build` leaves it; `GORAE_BIN` names another directory.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let path = std::env::var_os("GORAE_BIN").map_or_else(|| build().join("bin"), PathBuf::from).join(name);
    assert!(path.exists(), "{} is not there: run `make build`", path.display());
    path
}

/// A pinned third-party tool (`kubelet`, `crictl`, `critest`, a CNI plugin), as `tests/tools/build.sh` leaves it.
#[must_use]
pub fn tool(name: &str) -> PathBuf {
    let path = build().join("tools").join(name);
    assert!(path.exists(), "{} is not there: run `make tools`", path.display());
    path
}

/// A program of a control plane or of a cluster's network, as `tests/tools/cluster/build.sh` leaves it.
#[must_use]
pub fn cluster_tool(name: &str) -> PathBuf {
    let path = build().join("cluster-tools").join(name);
    assert!(path.exists(), "{} is not there: run `make cluster`", path.display());
    path
}

/// The Debian packages that `make setup` downloads for the images.
#[must_use]
pub fn packages() -> PathBuf {
    build().join("packages")
}

/// Debian's docker-registry: the installed one, or the one that `make setup` unpacks.
#[must_use]
pub fn docker_registry() -> PathBuf {
    let unpacked = build().join("docker-registry/usr/bin/docker-registry");
    if unpacked.exists() { unpacked } else { "docker-registry".into() }
}

/// A program of Debian's prometheus package (`prometheus`, `promtool`), which `make setup-images` unpacks.
#[must_use]
pub fn prometheus(name: &str) -> PathBuf {
    build().join("prometheus/usr/bin").join(name)
}

/// The parent of a process: for a container's first process, its shim. Panics when the process does not exist.
#[must_use]
pub fn parent_of(pid: u32) -> u32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process is there");
    let (_, rest) = stat.rsplit_once(") ").expect("stat has a name");
    rest.split(' ').nth(1).and_then(|p| p.parse().ok()).expect("stat has a parent")
}

/// Panics outside the namespaces of `tests/run`, with the command to type: a node changes the network, the
/// mounts and the cgroups of whatever it runs in.
pub fn assert_own_namespaces() {
    let here = std::fs::read_link("/proc/self/ns/net").expect("this process has a network namespace");
    let made = std::env::var_os("GORAE_TEST_NAMESPACE");
    assert!(
        made.is_some_and(|made| here == made),
        "these tests need namespaces of their own: run `make test`, or `tests/run cargo test --workspace NAME`"
    );
}
