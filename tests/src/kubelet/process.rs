// SPDX-License-Identifier: Apache-2.0
//! One kubelet process over directories that outlive it.

use super::api::Api;
use super::config::{self, Gates, NODE_NAME, Ports};
use super::pod::StaticPod;
use super::{complaints, places};
use crate::cri::Cri;
use crate::leaks;
use crate::node::Node;
use crate::place;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Longest start of a kubelet.
const START: Duration = Duration::from_secs(30);
/// Longest end of a kubelet after SIGTERM.
const END: Duration = Duration::from_secs(10);
/// Longest time after which kubelet removes what belonged to a pod that has ended.
const HOUSEKEEPING: Duration = Duration::from_secs(30);
/// The cgroups of the classes of service, the innermost first.
const CLASSES: [&str; 3] = ["kubepods/burstable", "kubepods/besteffort", "kubepods"];
/// How much of kubelet's log a failing test prints, in bytes.
const LOG_TAIL: usize = 8_000;

/// A kubelet on a node. Dropping it kills it.
#[derive(Debug)]
pub struct Kubelet {
    home: PathBuf,
    cri: Cri,
    api: Api,
    child: Mutex<Option<Child>>,
    expected: Mutex<Vec<&'static str>>,
    _covered: Vec<places::Covered>,
}

impl Kubelet {
    /// Starts a kubelet on a node and waits until it is healthy; panics when it is not.
    pub async fn start(node: &Node, gates: Gates) -> Kubelet {
        let home = node.directory("kubelet");
        let kubelet = Kubelet::configure(&home, node.cri(), gates).unwrap_or_else(|e| panic!("{e:#}"));
        kubelet.start_again().await;
        kubelet
    }

    fn configure(home: &Path, cri: &Cri, gates: Gates) -> Result<Kubelet> {
        for directory in ["manifests", "logs", "root", "pki", "volume-plugins"] {
            std::fs::create_dir_all(home.join(directory))?;
        }
        let ports = Ports { api: free_port()?, health: free_port()? };
        let config = config::kubelet(home, &cri.endpoint(), ports, gates);
        std::fs::write(home.join("config.json"), serde_json::to_vec_pretty(&config)?)?;
        let api = Api::new(ports, &home.join("pki/kubelet.crt"));
        let covered = places::directories(home)?;
        Ok(Kubelet {
            home: home.to_owned(),
            cri: cri.clone(),
            api,
            child: Mutex::default(),
            expected: Mutex::default(),
            _covered: covered,
        })
    }

    /// Starts the process, over what an earlier one left, and waits until it is healthy; panics when it is not.
    pub async fn start_again(&self) {
        let settings = places::kernel_settings(&self.home).unwrap_or_else(|e| panic!("{e:#}"));
        self.spawn().unwrap_or_else(|e| panic!("{e:#}"));
        let begun = Instant::now();
        while !self.api.is_healthy().await {
            assert!(begun.elapsed() < START, "kubelet is not healthy after {START:?}");
            if let Some(child) = self.child.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
                let ended = child.try_wait().expect("kubelet is a child of ours");
                assert!(ended.is_none(), "kubelet ended: {ended:?}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        drop(settings);
    }

    fn spawn(&self) -> Result<()> {
        let log = File::options().create(true).append(true).open(self.home.join("kubelet.log"))?;
        let mut command = Command::new(place::tool("kubelet"));
        command.arg("--config").arg(self.home.join("config.json"));
        command.arg("--root-dir").arg(self.home.join("root")).arg("--cert-dir").arg(self.home.join("pki"));
        command.args(["--hostname-override", NODE_NAME, "--v", "2"]);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().context("run kubelet")?;
        *self.child.lock().unwrap_or_else(PoisonError::into_inner) = Some(child);
        Ok(())
    }

    /// Ends the process at once.
    pub fn kill(&self) {
        if let Some(mut child) = self.child.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // Both fail only when it has ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Its API.
    #[must_use]
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// What it said, over all its starts.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.home.join("kubelet.log")).unwrap_or_default()
    }

    /// Takes lines with this part for no complaint: the test is the reason for them.
    pub fn expect(&self, part: &'static str) {
        self.expected.lock().unwrap_or_else(PoisonError::into_inner).push(part);
    }

    fn complaints<'a>(&self, log: &'a str) -> Vec<&'a str> {
        complaints::of(log, &self.expected.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Writes the manifest of a pod with this specification; kubelet sees it by itself.
    #[must_use]
    pub fn run(&self, name: &str, spec: Value) -> StaticPod {
        let manifest = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "tests"}, "spec": spec,
        });
        let pod = StaticPod::new(name, self.home.join("manifests"), self.api.clone(), self.cri.clone());
        pod.write(&manifest);
        pod
    }

    /// Ends it after the last pod is withdrawn, and looks at what it complained of and left; panics when a complaint
    /// is not its own affair, and when it could not remove what it made for pods.
    pub async fn end(&self) {
        self.until_no_pod_is_left().await;
        let child = self.child.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut child = child.expect("kubelet runs");
        let told = self.log().len();
        let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).expect("a process id"));
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("kubelet takes signals");
        let begun = Instant::now();
        while child.try_wait().expect("kubelet is a child of ours").is_none() {
            assert!(begun.elapsed() < END, "kubelet still runs {END:?} after SIGTERM");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let log = self.log();
        let found = {
            let expected = self.expected.lock().unwrap_or_else(PoisonError::into_inner);
            complaints::of_an_end(&log, told, &expected)
        };
        assert!(found.is_empty(), "kubelet complained:\n{}", found.join("\n"));
        remove_cgroups();
    }

    /// Waits until kubelet has removed the directories and cgroups of all pods.
    async fn until_no_pod_is_left(&self) {
        let begun = Instant::now();
        loop {
            let mut left = entries(&self.home.join("root/pods"));
            for hierarchy in leaks::hierarchies() {
                for class in CLASSES {
                    left.extend(entries(&hierarchy.join(class)).into_iter().filter(|path| is_pods(path)));
                }
            }
            if left.is_empty() {
                return;
            }
            assert!(begun.elapsed() < HOUSEKEEPING, "after {HOUSEKEEPING:?} kubelet has not removed {left:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let start = log.len().saturating_sub(LOG_TAIL);
            let start = (start..log.len()).find(|i| log.is_char_boundary(*i)).unwrap_or(log.len());
            eprintln!("---- kubelet's last words ----\n{}\n----", &log[start..]);
            let found = self.complaints(&log);
            eprintln!("---- kubelet's complaints ----\n{}\n----", found.join("\n"));
        }
    }
}

/// A TCP port that was free a moment ago.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// What is in a directory; nothing when there is none.
fn entries(directory: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// True for a pod's own cgroup.
fn is_pods(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("pod"))
}

/// Removes the groups of the classes of service, which kubelet makes once.
fn remove_cgroups() {
    for hierarchy in leaks::hierarchies() {
        for class in CLASSES {
            // Not there in every hierarchy. What is not empty is found by the leak check.
            let _ = std::fs::remove_dir(hierarchy.join(class));
        }
    }
}
