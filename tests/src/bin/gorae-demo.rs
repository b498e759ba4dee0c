// SPDX-License-Identifier: Apache-2.0
//! `make demo`: a pod's life on a node of its own, by the commands a person would type, with the time of each.
//!
//! Needs no network: the image is one small static program, made here and served by a registry on loopback. Fails
//! when a step does not do what it says, and when anything is left behind at the end.

#![forbid(unsafe_code)]

use anyhow::{Context, Result, ensure};
use gorae_tests::leaks::Snapshot;
use gorae_tests::registry::Registry;
use gorae_tests::{Node, TINY, place, testing, web};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const PAGE: &str = "<h1>Hello from Gorae</h1>\n";
const CHANGED: &str = "<h1>Changed on the host</h1>\n";
const HOST_PORT: &str = "127.0.0.1:8080";

/// Prints what is done and how long it took.
struct Steps {
    begun: Instant,
    number: u32,
}

impl Steps {
    async fn step<T>(&mut self, what: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.number += 1;
        let begun = Instant::now();
        let done = work.await.with_context(|| format!("step {}: {what}", self.number))?;
        println!("{:>2}. {what:<62} {:>8.1} ms", self.number, begun.elapsed().as_secs_f64() * 1000.0);
        Ok(done)
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut steps = Steps { begun: Instant::now(), number: 0 };
    let outside = Snapshot::take(&[]);
    let registry =
        steps.step("make the image, push it to a registry on loopback", async { Registry::with_own_images() });
    let registry = registry.await?;
    let node = steps.step("start goraed in temporary directories", Node::start_with(registry, "")).await?;
    node.warm_up().await?;
    let directories = [node.daemon().root(), node.daemon().state()];
    let directories = directories.each_ref().map(std::path::PathBuf::as_path);
    let before = testing::settled(&directories);

    let told = life(&mut steps, &node).await;
    if told.is_err() {
        eprintln!("---- goraed said ----\n{}----", node.daemon().log());
    }
    told?;

    steps.step("look for anything left behind", nothing_left(&before, &directories)).await?;
    steps.step("end goraed", async { node.terminate() }).await?;
    drop(node);
    let left: Vec<_> = outside.difference(&Snapshot::take(&[])).into_iter().filter(|l| l.contains("process")).collect();
    ensure!(left.is_empty(), "left behind: {left:?}");
    println!("\nEverything worked and nothing was left behind: {:.1} s.", steps.begun.elapsed().as_secs_f64());
    Ok(())
}

async fn life(steps: &mut Steps, node: &Node) -> Result<()> {
    let www = node.directory("www");
    let page = www.join("index.html");
    std::fs::write(&page, PAGE)?;
    let volume = format!("{}:/www:ro", www.display());
    let type_in = |words: &[&str]| gorae(node, words);

    steps.step("gorae pull", async { type_in(&["pull", TINY]) }).await?;
    let run = ["run", "-d", "--name", "web", "-p", "8080:80", "-v", &volume, TINY, "serve", "80", "/www"];
    steps.step("gorae run -d --name web -p 8080:80 -v HOST:/www:ro", async { type_in(&run) }).await?;
    steps.step("fetch the page through the host port", page_is(HOST_PORT, PAGE)).await?;
    let address = steps.step("gorae pods, for the pod's address", async { pod_address(node) }).await?;
    steps.step("fetch the page through the pod's address", page_is(&format!("{address}:80"), PAGE)).await?;
    let said = steps.step("gorae exec web", async { type_in(&["exec", "web", "/tiny", "echo", "hello"]) }).await?;
    ensure!(said.trim() == "hello", "exec printed {said:?}");
    std::fs::write(&page, CHANGED)?;
    steps.step("edit the page on the host, fetch it changed", page_is(HOST_PORT, CHANGED)).await?;
    let log = steps.step("gorae logs web", async { type_in(&["logs", "web"]) }).await?;
    ensure!(log.matches("GET / 200").count() >= 3, "the log has {log:?}");
    steps.step("kill -9 goraed, start it again", kill_and_restart(node)).await?;
    steps.step("fetch the page: nobody noticed", page_is(HOST_PORT, CHANGED)).await?;
    let said =
        steps.step("gorae exec web, by the new daemon", async { type_in(&["exec", "web", "/tiny", "echo", "again"]) });
    ensure!(said.await?.trim() == "again", "exec after the restart");
    steps.step("gorae stop web", async { type_in(&["stop", "web"]) }).await?;
    ensure!(web::get(HOST_PORT, "/").await.is_err(), "the host port is still open");
    steps.step("gorae rm web", async { type_in(&["rm", "web"]) }).await?;
    steps.step("gorae rmi", async { type_in(&["rmi", TINY]) }).await?;
    Ok(())
}

/// Runs the command line as a person would and returns what it printed.
fn gorae(node: &Node, words: &[&str]) -> Result<String> {
    let mut command = Command::new(place::binary("gorae"));
    command.arg("--host").arg(node.cri().endpoint()).args(words);
    let out = command.output().context("run gorae")?;
    let errors = String::from_utf8_lossy(&out.stderr);
    ensure!(out.status.success(), "gorae {} ended with {}: {errors}", words.join(" "), out.status);
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

async fn kill_and_restart(node: &Node) -> Result<()> {
    node.kill_and_restart().await;
    Ok(())
}

fn pod_address(node: &Node) -> Result<String> {
    let pods: serde_json::Value = serde_json::from_str(&gorae(node, &["pods", "--format", "json"])?)?;
    let address = pods[0]["addresses"][0].as_str();
    address.map(str::to_owned).with_context(|| format!("no address in {pods}"))
}

async fn page_is(place: &str, wanted: &str) -> Result<()> {
    let (status, text) = web::get_soon(place, "/").await;
    ensure!(status == 200 && text == wanted, "{place} answered {status} {text:?}");
    Ok(())
}

/// The kernel takes namespaces and cgroups down in its own time: a few seconds are allowed.
async fn nothing_left(before: &Snapshot, directories: &[&Path]) -> Result<()> {
    let begun = Instant::now();
    loop {
        let mut left = before.difference(&Snapshot::take(directories));
        // The daemon is another process now, and the directory of all logs (empty again) stays for the next one.
        left.retain(|line| !line.contains(" goraed: ") && !line.ends_with("/root/logs"));
        if left.is_empty() {
            return Ok(());
        }
        ensure!(begun.elapsed() < Duration::from_secs(10), "not as before:\n{}", left.join("\n"));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
