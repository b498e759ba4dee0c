// SPDX-License-Identifier: Apache-2.0
//! What `gorae-bench` is told on its command line.

use clap::Parser;
use std::path::PathBuf;

/// What is measured, and how often.
#[derive(Debug, Parser)]
pub struct Arguments {
    /// CRI socket of the runtime, unix:///PATH; without it, goraed is started.
    #[arg(long)]
    pub socket: Option<String>,
    /// Image of the containers.
    #[arg(long, default_value = gorae_tests::TINY)]
    pub image: String,
    /// Command of the containers: waits for SIGTERM and ends.
    #[arg(long, default_value = "/tiny sleep")]
    pub command: String,
    /// Command of execs: ends at once with 0.
    #[arg(long, default_value = "/tiny exit 0")]
    pub exec: String,
    /// Pods that live and die one after the other.
    #[arg(long, default_value_t = 100)]
    pub iterations: usize,
    /// Pods that live at the same time; 0 leaves that part out.
    #[arg(long, default_value_t = 50)]
    pub pods: usize,
    /// Pods without containers that fill the node, to compare the first with the last; 0 leaves that part out.
    #[arg(long, default_value_t = 0)]
    pub fill: usize,
    /// Calls of each kind while they live.
    #[arg(long, default_value_t = 40)]
    pub calls: usize,
    /// Seconds over which CPU at rest is measured.
    #[arg(long, default_value_t = 10)]
    pub rest: u64,
    /// Pause after each iteration in milliseconds: lets the kernel finish removing namespaces.
    #[arg(long, default_value_t = 0)]
    pub pause: u64,
    /// Cgroup below which the pods are.
    #[arg(long, default_value = "/gorae-bench")]
    pub cgroup_parent: String,
    /// The floor program; default: `gorae-floor` beside this one.
    #[arg(long)]
    pub floor: Option<PathBuf>,
    /// Writes everything as JSON into a file.
    #[arg(long)]
    pub json: Option<PathBuf>,
    /// Binaries of another build, which is measured in turns with this one.
    #[arg(long, value_name = "DIRECTORY", conflicts_with_all = ["socket", "json"])]
    pub base: Option<PathBuf>,
    /// How often either build is measured.
    #[arg(long, default_value_t = 5)]
    pub rounds: usize,
    /// The ratio to the base above which a figure is marked.
    #[arg(long, default_value_t = 1.03)]
    pub max: f64,
}
