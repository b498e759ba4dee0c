// SPDX-License-Identifier: Apache-2.0
//! Follows the directories of network configurations: what counts is known a moment after it changes.

mod bell;

use crate::directory::{Directory, Found};
use bell::Bell;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How often the directories are read although nothing was heard: a linked file may change elsewhere.
const AT_LEAST: Duration = Duration::from_secs(60);
/// The same where the kernel has no room for a bell.
const WITHOUT_BELL: Duration = Duration::from_secs(2);
/// How long a broken file may just be half written.
const HALF_WRITTEN: Duration = Duration::from_secs(2);
/// The pause before it is read again.
const AGAIN: Duration = Duration::from_millis(100);

/// Follows the directories until the last receiver is gone. `also` are directories whose changes count as well, such as
/// those of plugins' programs. The first value is there when this returns.
///
/// # Panics
/// Outside a tokio runtime.
pub async fn follow(directory: Directory, also: Vec<PathBuf>) -> watch::Receiver<Found> {
    let (bell, first) = look(&directory, &also).await;
    let (told, receiver) = watch::channel(first);
    tokio::spawn(run(directory, also, bell, told));
    receiver
}

async fn run(directory: Directory, also: Vec<PathBuf>, mut bell: Option<Bell>, told: watch::Sender<Found>) {
    loop {
        let patience = if bell.is_some() { AT_LEAST } else { WITHOUT_BELL };
        tokio::select! {
            () = told.closed() => return,
            () = heard(bell.as_mut()) => {}
            () = tokio::time::sleep(patience) => {}
        }
        let begun = Instant::now();
        let found = loop {
            let (armed, found) = look(&directory, &also).await;
            bell = armed;
            if !matches!(found, Found::Broken { .. }) || begun.elapsed() > HALF_WRITTEN {
                break found;
            }
            tokio::time::sleep(AGAIN).await;
        };
        told.send_if_modified(|last| std::mem::replace(last, found.clone()) != found);
    }
}

/// Arms a bell and reads: what changes after the reading is heard.
async fn look(directory: &Directory, also: &[PathBuf]) -> (Option<Bell>, Found) {
    let (directory, also) = (directory.clone(), also.to_owned());
    let work = move || {
        let below: Vec<PathBuf> = match directory.read() {
            Found::Network(chosen) => directory.paths.iter().map(|path| path.join(&chosen.list.name)).collect(),
            _ => Vec::new(),
        };
        let all = directory.paths.iter().chain(&below).chain(&also);
        (bell::arm(all.map(PathBuf::as_path)), directory.read())
    };
    let (armed, found) = tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| {
        let why = "reading the network configuration panicked".to_owned();
        (Err(std::io::ErrorKind::Other.into()), Found::Broken { file: PathBuf::new(), why })
    });
    let bell = armed.and_then(Bell::new).map_err(|error| {
        tracing::debug!(%error, "cannot watch the network configuration; reading it every {} s", WITHOUT_BELL.as_secs());
    });
    (bell.ok(), found)
}

async fn heard(bell: Option<&mut Bell>) {
    match bell {
        Some(bell) => bell.rung().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const SOON: Duration = Duration::from_secs(10);

    async fn until(receiver: &mut watch::Receiver<Found>, what: &str, is: impl Fn(&Found) -> bool) {
        let found = tokio::time::timeout(SOON, receiver.wait_for(|found| is(found))).await;
        assert!(found.is_ok(), "not within {SOON:?}: {what}");
    }

    fn named(name: &'static str) -> impl Fn(&Found) -> bool {
        move |found| matches!(found, Found::Network(chosen) if chosen.list.name == name)
    }

    fn network(name: &str) -> String {
        format!(r#"{{"name":"{name}","cniVersion":"1.0.0","plugins":[{{"type":"x"}}]}}"#)
    }

    async fn following(path: &Path) -> watch::Receiver<Found> {
        follow(Directory { paths: vec![path.to_owned()], network: None }, Vec::new()).await
    }

    #[tokio::test]
    async fn a_directory_that_comes_goes_and_comes_back_is_followed() {
        let dir = tempfile::tempdir().unwrap();
        let conf = dir.path().join("etc/cni/net.d");
        let mut found = following(&conf).await;
        assert_eq!(*found.borrow(), Found::Nothing);
        for name in ["a", "b"] {
            std::fs::create_dir_all(&conf).unwrap();
            std::fs::write(conf.join("1.conflist"), network(name)).unwrap();
            until(&mut found, "it is there", named(name)).await;
            std::fs::remove_dir_all(dir.path().join("etc")).unwrap();
            until(&mut found, "it is gone", |found| *found == Found::Nothing).await;
        }
    }

    #[tokio::test]
    async fn a_file_is_followed_however_it_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let mut found = following(dir.path()).await;
        let path = dir.path().join("1.conflist");
        std::fs::write(&path, network("written")).unwrap();
        until(&mut found, "written", named("written")).await;
        std::fs::write(dir.path().join("new"), network("renamed")).unwrap();
        std::fs::rename(dir.path().join("new"), &path).unwrap();
        until(&mut found, "renamed", named("renamed")).await;
        std::fs::remove_file(&path).unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        std::fs::write(elsewhere.path().join("x"), network("linked")).unwrap();
        std::os::unix::fs::symlink(elsewhere.path().join("x"), &path).unwrap();
        until(&mut found, "linked", named("linked")).await;
        std::fs::create_dir(dir.path().join("linked")).unwrap();
        std::fs::write(dir.path().join("linked/1.conf"), r#"{"type":"more"}"#).unwrap();
        let more = |found: &Found| matches!(found, Found::Network(chosen) if chosen.list.plugins.len() == 2);
        until(&mut found, "a plugin in the network's directory", more).await;
    }

    #[tokio::test]
    async fn a_half_written_file_is_not_believed_and_a_broken_one_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("1.conflist");
        std::fs::write(&path, network("a")).unwrap();
        let mut found = following(dir.path()).await;
        found.borrow_and_update();
        std::fs::write(&path, "{").unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
        std::fs::write(&path, network("b")).unwrap();
        until(&mut found, "b", |found| {
            *found != Found::Nothing && found.clone() != Found::Nothing && named("b")(found)
        })
        .await;
        std::fs::write(&path, "{").unwrap();
        until(&mut found, "broken", |found| matches!(found, Found::Broken { .. })).await;
    }
}
