// SPDX-License-Identifier: Apache-2.0
//! SIGHUP: the configuration is read again. What a running daemon can change counts at once, of the rest it is said that
//! it needs a restart, and a file with a mistake changes nothing.

use crate::config::{self, Change, Config, Overrides};
use crate::log::Log;
use std::path::PathBuf;
use tokio::signal::unix::Signal;
use tokio::sync::watch;

/// Where the configuration comes from.
#[derive(Debug, Clone)]
pub struct Source {
    /// The file, when there is one.
    pub file: Option<PathBuf>,
    /// What the command line says over it.
    pub overrides: Overrides,
}

impl Source {
    /// Reads it.
    ///
    /// # Errors
    /// As [`config::load`].
    pub fn load(&self) -> Result<Config, String> {
        config::load(self.file.as_deref(), &self.overrides)
    }
}

/// Reads the configuration again at each signal; `config` is what the daemon was started with.
pub async fn at_each(mut hangup: Signal, source: Source, config: Config, log: Log) {
    while hangup.recv().await.is_some() {
        match source.load() {
            Ok(new) => take(&config, &new, &log),
            Err(error) => tracing::error!(error, "SIGHUP: the configuration cannot be used; nothing has changed"),
        }
    }
}

fn take(config: &Config, new: &Config, log: &Log) {
    let changes = config.changes(new);
    let level = *new.log_level.borrow();
    if replace(&config.log_level, level)
        && let Err(error) = log.set_level(level)
    {
        tracing::error!(error, "the level of the log stays as it is");
    }
    replace(&config.live, new.live.borrow().clone());
    for change in &changes {
        match change {
            Change::Taken(key) => tracing::info!(key, "SIGHUP: the new value counts from now on"),
            Change::NeedsRestart(key) => {
                tracing::warn!(key, "SIGHUP: the new value needs a restart; the old one counts until then");
            }
        }
    }
    tracing::info!(changed = changes.len(), "SIGHUP: the configuration was read again");
}

/// Sends a value that is another one than before; whether it is.
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
    fn the_level_of_the_log_is_set_when_it_changes_and_the_command_line_wins() {
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
        let read_again = |source: &Source| take(&config, &source.load().expect("fine"), &log);
        read_again(&source);
        write("log_level = \"debug\"\nreconcile_seconds = 7");
        read_again(&source);
        read_again(&source);
        assert_eq!(levels(), [Level::Debug]);
        assert_eq!(config.live.borrow().reconcile_every.as_secs(), 7);
        let overrides = Overrides { log_level: Some("error".into()), ..Overrides::default() };
        read_again(&Source { overrides, ..source });
        assert_eq!(levels(), [Level::Debug, Level::Error]);
    }
}
