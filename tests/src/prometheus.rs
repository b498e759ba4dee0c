// SPDX-License-Identifier: Apache-2.0
//! Debian's Prometheus on a free loopback port, which reads one page; and promtool, which judges one.

use crate::{place, web};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};

/// A running Prometheus that reads a page five times a second; dropping it ends it.
#[derive(Debug)]
pub struct Prometheus {
    child: Child,
    address: SocketAddr,
    home: tempfile::TempDir,
}

impl Prometheus {
    /// Starts one that reads `/metrics` of an address.
    ///
    /// # Errors
    /// When the program is not there, or a file cannot be written.
    pub fn of(target: SocketAddr) -> Result<Prometheus> {
        let home = tempfile::tempdir()?;
        let config = format!(
            "scrape_configs:\n- job_name: gorae\n  scrape_interval: 200ms\n  scrape_timeout: 200ms\n  static_configs:\n  \
             - targets: ['{target}']\n"
        );
        std::fs::write(home.path().join("prometheus.yml"), config)?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let log = std::fs::File::create(home.path().join("log"))?;
        let child = Command::new(place::prometheus("prometheus"))
            .arg(format!("--config.file={}", home.path().join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", home.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .current_dir(home.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("run prometheus: run `make setup-images`")?;
        Ok(Prometheus { child, address, home })
    }

    /// The value of an expression that gives one number; `None` while it gives none.
    ///
    /// # Errors
    /// When Prometheus refuses the expression, or does not answer.
    pub async fn value(&self, expression: &str) -> Result<Option<f64>> {
        let encoded: String = expression.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let path = format!("/api/v1/query?query={encoded}");
        let (status, body) = web::get(&self.address.to_string(), &path).await?;
        ensure!(status == 200, "{expression}: {status} {body}");
        let answer: Value = serde_json::from_str(&body)?;
        let value = answer["data"]["result"][0]["value"][1].as_str();
        value.map(|value| value.parse().context("not a number")).transpose()
    }

    /// What it has written to its log.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.home.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Has promtool judge a page of metrics: its form, and its names.
///
/// # Errors
/// With what it says, when that is anything.
pub fn check_page(page: &str) -> Result<()> {
    let mut child = Command::new(place::prometheus("promtool"))
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("run promtool: run `make setup-images`")?;
    child.stdin.take().context("its input is a pipe")?.write_all(page.as_bytes())?;
    let done = child.wait_with_output()?;
    let said = [done.stdout, done.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    ensure!(done.status.success() && said.is_empty(), "promtool: {}: {said}\n{page}", done.status);
    Ok(())
}
