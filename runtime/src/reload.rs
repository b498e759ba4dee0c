// SPDX-License-Identifier: Apache-2.0
//! SIGHUP: the configuration is read again. What a running daemon can change counts at once, of the rest it is said that
//! it needs a restart, and a file with a mistake changes nothing.

use crate::config::{self, Change, Config, Overrides};
use std::path::PathBuf;
use tokio::signal::unix::Signal;

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
pub async fn at_each(
    mut hangup: Signal,
    source: Source,
    config: Config,
    set_log_level: impl Fn(&str) + Send + 'static,
) {
    while hangup.recv().await.is_some() {
        match source.load() {
            Ok(new) => take(&config, &new, &set_log_level),
            Err(error) => tracing::error!(error, "SIGHUP: the configuration cannot be used; nothing has changed"),
        }
    }
}

fn take(config: &Config, new: &Config, set_log_level: &impl Fn(&str)) {
    let changes = config.changes(new);
    let wanted = new.live.borrow().clone();
    if config.live.borrow().log_level != wanted.log_level {
        set_log_level(&wanted.log_level);
    }
    config.live.send_if_modified(|live| {
        *live != wanted && {
            *live = wanted.clone();
            true
        }
    });
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn the_level_of_the_log_is_set_when_it_changes_and_the_command_line_wins() {
        let dir = tempfile::tempdir().expect("tempdir");
        let file = dir.path().join("c.toml");
        let write = |text: &str| std::fs::write(&file, text).expect("write");
        write("log_level = \"warn\"");
        let source = Source { file: Some(file.clone()), overrides: Overrides::default() };
        let (config, levels) = (source.load().expect("fine"), RefCell::new(Vec::new()));
        let read_again = |source: &Source| {
            take(&config, &source.load().expect("fine"), &|level: &str| levels.borrow_mut().push(level.to_owned()));
        };
        read_again(&source);
        write("log_level = \"debug\"\nreconcile_seconds = 7");
        read_again(&source);
        read_again(&source);
        assert_eq!(*levels.borrow(), ["debug"]);
        assert_eq!(config.live.borrow().reconcile_every.as_secs(), 7);
        let overrides = Overrides { log_level: Some("error".into()), ..Overrides::default() };
        read_again(&Source { overrides, ..source });
        assert_eq!(*levels.borrow(), ["debug", "error"]);
    }
}
