// SPDX-License-Identifier: Apache-2.0
//! `gorae-bench`: a runtime's latencies, memory and idle CPU, with the kernel's own floor measured in the same run.
//!
//! Floor and runtime take turns, one iteration each, so that whatever else the machine does falls on both. Without
//! `--socket` it starts a registry and goraed in fresh directories and needs the namespaces of `tests/run`.

#![forbid(unsafe_code)]

mod arguments;
mod calls;
mod compare;
mod density;
mod floor;
mod growth;
mod hung;
mod lifecycle;
mod pods;
mod processes;
mod summary;
mod target;

use anyhow::{Context, Result};
use arguments::Arguments;
use clap::Parser;
use gorae_tests::place;
use serde_json::json;
use summary::Table;
use target::Target;

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(base) = &arguments.base {
        place::assert_own_namespaces();
        return compare::compare(&arguments, base);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(run(arguments))
}

async fn run(arguments: Arguments) -> Result<()> {
    let target = Target::find(arguments.socket.as_deref()).await?;
    let (name, version) = target.version().await?;
    target.pull(&arguments.image).await.with_context(|| format!("pull {}", arguments.image))?;
    println!("{name} {version}, kernel {}, {} CPUs, load {}", kernel(), cpus(), load());
    let pods = pods::Pods::new(&target, &arguments)?;
    let idle = processes::settled_pss(target.daemon())?;

    let floor = floor::Floor::start(arguments.floor.as_deref())?;
    let lifecycle = lifecycle::measure(&pods, floor, &arguments).await?;
    let mut table = Table::default();
    lifecycle.rows(&mut table);
    table.row("daemon idle, PSS", &format!("{idle} kB"), "");
    print!("{}", table.take());

    let density = match arguments.pods {
        0 => None,
        _ => Some(density::measure(&pods, &arguments).await?),
    };
    if let Some(density) = &density {
        density.rows(&mut table);
        print!("{}", table.take());
    }
    if arguments.fill > 0 {
        growth::measure(&pods, arguments.fill, &mut table).await?;
        print!("{}", table.take());
    }
    if let Some(path) = &arguments.json {
        let all = json!({
            "runtime": name, "version": version, "kernel": kernel(), "cpus": cpus(), "load_after": load(),
            "daemon_idle_pss_kb": idle, "lifecycle_ms": lifecycle.to_json(),
            "density": density.as_ref().map(density::Density::to_json),
        });
        std::fs::write(path, format!("{all:#}\n")).with_context(|| format!("write {}", path.display()))?;
    }
    drop(pods);
    target.end()
}

fn kernel() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned()
}

fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

fn cpus() -> usize {
    std::thread::available_parallelism().map_or(0, usize::from)
}
