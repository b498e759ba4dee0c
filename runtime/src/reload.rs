// SPDX-License-Identifier: Apache-2.0
//! SIGHUP reloads the configuration. Settings that a running daemon can change apply at once; for the others, the log
//! says that they need a restart. A file with a mistake changes nothing.

use crate::config::{self, Change, Config, Overrides};
use crate::log::Log;
use std::path::PathBuf;
use tokio::signal::unix::Signal;
use tokio::sync::watch;

/// Where the configuration comes from.
#[derive(Debug, Clone)]
pub struct Source {
    /// The file, if there is one.
    pub file: Option<PathBuf>,
    /// The command-line options, which override the file.
    pub overrides: Overrides,
}

impl Source {
    /// Reads and checks the configuration.
    ///
    /// # Errors
    /// Those of [`config::load`].
    pub fn load(&self) -> Result<Config, String> {
        config::load(self.file.as_deref(), &self.overrides)
    }
}

/// Reloads the configuration on each signal; `config` is the one that the daemon was started with.
pub async fn on_hangup(mut hangup: Signal, source: Source, config: Config, log: Log) {
    while hangup.recv().await.is_some() {
        match source.load() {
            Ok(new) => apply(&config, &new, &log),
            Err(error) => tracing::error!(error, "SIGHUP: the configuration cannot be used; nothing has changed"),
        }
    }
}

fn apply(config: &Config, new: &Config, log: &Log) {
    let changes = config.changes(new);
    let level = *new.log_level.borrow();
    if replace(&config.log_level, level)
        && let Err(error) = log.set_level(level)
    {
        tracing::error!(error, "cannot change the log level");
    }
    replace(&config.live, new.live.borrow().clone());
    for change in &changes {
        match change {
            Change::Applied(key) => tracing::info!(key, "SIGHUP: the new value applies from now on"),
            Change::NeedsRestart(key) => {
                tracing::warn!(key, "SIGHUP: the new value needs a restart; the old one applies until then");
            }
        }
    }
    tracing::info!(changed = changes.len(), "SIGHUP: configuration reloaded");
}

/// Sends a value if it differs from the current one. Returns whether it does.
fn replace<T: PartialEq>(sender: &watch::Sender<T>, wanted: T) -> bool {
    sender.send_if_modified(|value| {
        let differs = *value != wanted;
        *value = wanted;
        differs
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Level;
    use std::sync::{Arc, Mutex};

    #[test]
    fn the_log_level_is_set_when_it_changes_and_the_command_line_wins() {
        let dir = tempfile::tempdir().expect("tempdir");
        let file = dir.path().join("c.toml");
        let write = |text: &str| std::fs::write(&file, text).expect("write");
        write("log_level = \"warn\"");
        let source = Source { file: Some(file.clone()), overrides: Overrides::default() };
        let (config, levels) = (source.load().expect("fine"), Arc::new(Mutex::new(Vec::new())));
        let set = levels.clone();
        let log = Log::new(move |level| {
            set.lock().expect("no panic").push(level);
            Ok(())
        });
        let levels = || levels.lock().expect("no panic").clone();
        let reload = |source: &Source| apply(&config, &source.load().expect("fine"), &log);
        reload(&source);
        write("log_level = \"debug\"\nreconcile_seconds = 7");
        reload(&source);
        reload(&source);
        assert_eq!(levels(), [Level::Debug]);
        assert_eq!(config.live.borrow().reconcile_every.as_secs(), 7);
        let overrides = Overrides { log_level: Some("error".into()), ..Overrides::default() };
        reload(&Source { overrides, ..source });
        assert_eq!(levels(), [Level::Debug, Level::Error]);
    }
}
