// SPDX-License-Identifier: Apache-2.0
//! The floor: a pod and a container made by system calls alone, timed. No daemon, no records, no other process.
//!
//! ```text
//! gorae-floor [N]        N iterations (200), prints p50 and p95 of every phase in microseconds as one JSON object
//! gorae-floor --serve    one iteration for each line on stdin, one JSON object of microseconds a line on stdout
//! ```
//!
//! It does what a node runtime cannot leave out: namespaces, a veth pair in a bridge, cgroups with limits, an overlay,
//! mounts, devices, masked paths, capabilities, a seccomp filter, execve of a static program, and the way back. It
//! does each in the cheapest way known: the child joins its v1 cgroups itself, the overlay is a detached mount, the
//! network goes with its namespace. It runs on one thread, so that the clone is cheap and namespaces can be changed.

mod cgroup;
mod child;
mod container;
mod netlink;
mod phases;
mod pod;
mod program;
#[allow(unsafe_code)]
mod sys;

use anyhow::{Context, Result, bail};
use cgroup::Cgroups;
use phases::{Clock, Sample, Summary};
use pod::Host;
use std::io::BufRead;
use std::path::PathBuf;

/// Iterations without an argument.
const ITERATIONS: usize = 200;
/// Iterations that are not counted.
const WARM_UP: usize = 5;

/// What is made once.
struct Floor {
    host: Host,
    cgroups: Cgroups,
    directory: tempfile::TempDir,
    iteration: u32,
}

impl Floor {
    fn set_up() -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("gorae-floor-").tempdir()?;
        for name in ["lower/proc", "lower/dev", "lower/sys", "root"] {
            std::fs::create_dir_all(directory.path().join(name))?;
        }
        program::write(&directory.path().join("lower/true"))?;
        Ok(Self { host: Host::set_up()?, cgroups: Cgroups::set_up()?, directory, iteration: 0 })
    }

    /// A pod, a container until its end, and their removal.
    fn iterate(&mut self) -> Result<Sample> {
        self.iteration += 1;
        let name = format!("p{}", self.iteration);
        let mut clock = Clock::start();
        let pod = self.host.make_pod(self.iteration, &mut clock).context("make a pod")?;
        self.cgroups.make(&name, false).context("make the pod's cgroup")?;
        clock.lap("pod: cgroup");
        let group = format!("{name}/c");
        let container = container::Container { name: &group, directory: self.directory.path() };
        container.run(&self.cgroups, &self.host, &mut clock).context("run a container")?;
        self.cgroups.remove(&group)?;
        self.cgroups.remove(&name)?;
        clock.lap("down: cgroups");
        drop(pod);
        clock.lap("down: close namespaces");
        Ok(clock.finish())
    }

    /// Removes what an iteration left on disk; not counted, a runtime does it when it likes.
    fn tidy(&self) {
        for name in ["upper", "work"] {
            let path: PathBuf = self.directory.path().join(name);
            let _ = std::fs::remove_dir_all(path);
        }
    }
}

fn main() -> Result<()> {
    let argument = std::env::args().nth(1);
    let mut floor = Floor::set_up().context("the floor needs root, ip forwarding is not needed")?;
    match argument.as_deref() {
        Some("--serve") => serve(&mut floor),
        None => summarise(&mut floor, ITERATIONS),
        Some(n) => match n.parse() {
            Ok(n) if n > 0 => summarise(&mut floor, n),
            _ => bail!("usage: gorae-floor [N] | --serve"),
        },
    }
}

fn serve(floor: &mut Floor) -> Result<()> {
    for line in std::io::stdin().lock().lines() {
        line?;
        println!("{}", floor.iterate()?.to_json());
        floor.tidy();
    }
    Ok(())
}

fn summarise(floor: &mut Floor, iterations: usize) -> Result<()> {
    let mut summary = Summary::default();
    for i in 0..iterations + WARM_UP {
        let sample = floor.iterate()?;
        floor.tidy();
        if i >= WARM_UP {
            summary.add(&sample);
        }
    }
    println!("{:#}", summary.to_json());
    Ok(())
}
