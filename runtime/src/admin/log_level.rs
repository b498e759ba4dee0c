// SPDX-License-Identifier: Apache-2.0
//! `/log-level`: shows the log level and sets it while the daemon runs. A level that is set here applies until the
//! configuration is reloaded or the daemon exits.

use crate::log::{Level, Log};
use tokio::sync::watch;

/// Longest request body that is read, in bytes.
pub const LONGEST: usize = 64;

/// Sets the level; returns the old one and the new one.
///
/// # Errors
/// A sentence that lists the allowed levels, or says why the level cannot be changed.
pub fn set(word: &[u8], log: &Log, level: &watch::Sender<Level>) -> Result<(Level, Level), String> {
    let word = std::str::from_utf8(word).map_err(|_| "the body is not UTF-8 text".to_owned())?;
    let new: Level = word.trim().parse()?;
    log.set_level(new)?;
    let mut old = new;
    // SIGHUP compares with the level in force.
    level.send_modify(|level| old = std::mem::replace(level, new));
    tracing::info!(%old, %new, "an operator set the log level");
    Ok((old, new))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[test]
    fn a_known_word_sets_the_level_and_any_other_changes_nothing() {
        let level = watch::Sender::new(Level::Info);
        let levels = Arc::new(Mutex::new(Vec::new()));
        let in_force = levels.clone();
        let log = Log::new(move |level| {
            in_force.lock().expect("no panic").push(level);
            Ok(())
        });
        assert_eq!(set(b"debug\n", &log, &level), Ok((Level::Info, Level::Debug)));
        for wrong in [&b"loud"[..], b"", b"\xff", b"debug,h2=trace"] {
            set(wrong, &log, &level).expect_err("refused");
        }
        let error = set(b"loud", &log, &level).expect_err("refused");
        assert_eq!(error, "\"loud\" is not one of error, warn, info, debug, trace");
        assert_eq!((*level.borrow(), levels.lock().expect("no panic").len()), (Level::Debug, 1));
    }
}
