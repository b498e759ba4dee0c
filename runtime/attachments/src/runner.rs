// SPDX-License-Identifier: Apache-2.0
//! Runs plugins' programs in shims, where a hung one can be lost.

use crate::lookup;
use gorae_cni::run::{Ending, Program, Ran, Run};
use gorae_proto::shim::{PluginRan, RunPlugin, plugin_ran};
use gorae_shims::{Plugins, Spawner};
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::Mutex;

/// Variables of the daemon that are about the daemon's own service, and would mislead another program.
const OWN: [&str; 4] = ["NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "INVOCATION_ID"];
/// Where plugins find `iptables` and `nft`, after what the daemon has.
const SYSTEM: [&str; 4] = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin"];

/// Runs the programs of one verb for one attachment, or for the node: all in one shim, as long as none hangs.
#[derive(Debug)]
pub struct Runner {
    spawner: Spawner,
    /// Who it is for, as `ps` shows it.
    id: String,
    lock: Option<PathBuf>,
    shim: Mutex<Option<Plugins>>,
}

impl Runner {
    /// A runner for the pod whose directory is `lock`, or for the node.
    pub fn new(spawner: Spawner, id: impl Into<String>, lock: Option<PathBuf>) -> Self {
        Self { spawner, id: id.into(), lock, shim: Mutex::default() }
    }

    /// Runs a program in the shim of the one before, or in a new one.
    async fn in_shim(&self, request: RunPlugin) -> gorae_shims::Result<PluginRan> {
        let mut shim = self.shim.lock().await;
        let plugins = match shim.take() {
            Some(plugins) => plugins,
            None => Plugins::start(&self.spawner, &self.id)?,
        };
        let (ran, plugins) = plugins.run(request).await?;
        *shim = Some(plugins);
        Ok(ran)
    }
}

impl Run for Runner {
    async fn find(&self, directories: &[PathBuf], kind: &str) -> Result<Option<PathBuf>, String> {
        lookup::find(directories, kind).await
    }

    async fn run(&self, program: Program) -> Ran {
        let limit = program.limit;
        let request = RunPlugin {
            path: program.path.to_string_lossy().into_owned(),
            environment: environment(variables(), program.variables),
            input: program.input,
            timeout_ms: u32::try_from(limit.as_millis()).unwrap_or(u32::MAX).max(1),
            max_output: gorae_cni::result::MAX_BYTES as u32,
            lock: self.lock.as_ref().map(|path| path.to_string_lossy().into_owned()).unwrap_or_default(),
        };
        match self.in_shim(request).await {
            Ok(ran) => ran_of(ran, limit),
            Err(gorae_shims::Error::TimedOut(_)) => bare(Ending::Late(limit)),
            Err(error @ (gorae_shims::Error::Refused(_) | gorae_shims::Error::NoRoom(_))) => {
                bare(Ending::NotStarted(error.to_string()))
            }
            Err(error) => bare(Ending::Lost(error.to_string())),
        }
    }
}

fn bare(ending: Ending) -> Ran {
    Ran { ending, stdout: Vec::new(), stderr: Vec::new(), flooded: false }
}

fn ran_of(ran: PluginRan, limit: Duration) -> Ran {
    let flooded = ran.ending == Some(plugin_ran::Ending::Flooded(true));
    let ending = match ran.ending {
        Some(plugin_ran::Ending::Exited(code)) => Ending::Exited(code),
        Some(plugin_ran::Ending::Killed(signal)) => Ending::Killed(signal),
        Some(plugin_ran::Ending::NotStarted(why)) => Ending::NotStarted(why),
        Some(plugin_ran::Ending::Late(_)) => Ending::Late(limit),
        // It was killed for it.
        Some(plugin_ran::Ending::Flooded(_)) => Ending::Killed(9),
        None => Ending::NotStarted("the shim did not say how it ended".to_owned()),
    };
    Ran { ending, stdout: ran.stdout, stderr: ran.stderr, flooded }
}

/// The daemon's variables that are text.
fn variables() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// The daemon's environment without what is the daemon's own, with the plugin's variables, which win.
fn environment(of_daemon: impl Iterator<Item = (String, String)>, of_plugin: Vec<(String, String)>) -> Vec<String> {
    let is_own = |name: &str| OWN.contains(&name) || name.starts_with("LISTEN_") || name.starts_with("CNI_");
    let mut path = None;
    let mut all = Vec::new();
    for (name, value) in of_daemon {
        if name == "PATH" {
            path = Some(value);
        } else if !is_own(&name) && !name.contains('=') {
            all.push(format!("{name}={value}"));
        }
    }
    let own: Vec<String> =
        path.into_iter().flat_map(|path| path.split(':').map(str::to_owned).collect::<Vec<_>>()).collect();
    let more = SYSTEM.into_iter().filter(|dir| !own.iter().any(|own| own == dir)).map(str::to_owned);
    let path: Vec<String> = own.iter().cloned().chain(more).filter(|dir| !dir.is_empty()).collect();
    all.push(format!("PATH={}", path.join(":")));
    all.extend(of_plugin.into_iter().map(|(name, value)| format!("{name}={value}")));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_gets_the_daemons_environment_without_what_is_its_own_service() {
        let daemon = [
            ("HTTPS_PROXY", "http://p"),
            ("NOTIFY_SOCKET", "/run/x"),
            ("LISTEN_FDS", "1"),
            ("CNI_COMMAND", "DEL"),
            ("PATH", "/opt/bin::/usr/bin"),
        ];
        let daemon = daemon.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let got = environment(daemon.into_iter(), vec![("CNI_COMMAND".into(), "ADD".into())]);
        let path = "PATH=/opt/bin:/usr/bin:/usr/local/sbin:/usr/sbin:/sbin";
        assert_eq!(got, ["HTTPS_PROXY=http://p", path, "CNI_COMMAND=ADD"]);
        assert_eq!(environment(std::iter::empty(), Vec::new()), ["PATH=/usr/local/sbin:/usr/sbin:/sbin:/usr/bin"]);
    }
}
