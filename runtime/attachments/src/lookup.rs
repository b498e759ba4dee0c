// SPDX-License-Identifier: Apache-2.0
//! Looks at paths that are not ours: directories of plugins, namespaces of other runtimes. One that does not answer costs a few
//! threads, and is named in an error.

use gorae_cni::programs;
use gorae_disposable::{PlainData, run};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot};

/// How long a look may take, including the wait for its turn.
const PATIENCE: Duration = Duration::from_secs(2);
/// The most looks into one directory at one time, hung ones included. Each is a thread.
const MOST: usize = 4;

/// The turns of each directory. They are few: those of configurations, and those of records.
static TURNS: Mutex<Option<HashMap<PathBuf, Arc<Semaphore>>>> = Mutex::new(None);

/// The first program of that name in the directories.
///
/// # Errors
/// In words: which directory does not answer.
pub async fn find(directories: &[PathBuf], kind: &str) -> Result<Option<PathBuf>, String> {
    for directory in directories {
        let path = directory.join(kind);
        if look(directory, path.clone(), |path| programs::is_program(&path)).await? {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// Runs `work`, which touches nothing but `directory` and what is in it.
///
/// # Errors
/// In words: the directory does not answer.
pub async fn look<I: PlainData, T: PlainData>(directory: &Path, input: I, work: fn(I) -> T) -> Result<T, String> {
    let at = directory.display();
    let answer = async {
        // It is never closed.
        let turn = turns(directory).acquire_owned().await.map_err(|e| format!("look into {at}: {e}"))?;
        let (tell, told) = oneshot::channel();
        let deliver = move |found| {
            drop(turn);
            // Nobody listens any more if this was given up.
            let _ = tell.send(found);
        };
        run(input, work, deliver).map_err(|e| format!("look into {at}: {e}"))?;
        told.await.ok().flatten().ok_or_else(|| format!("look into {at}: it panicked; see the daemon's log"))
    };
    let late = || format!("{at} has not answered for {} s; its file system does not respond", PATIENCE.as_secs());
    tokio::time::timeout(PATIENCE, answer).await.unwrap_or_else(|_| Err(late()))
}

fn turns(directory: &Path) -> Arc<Semaphore> {
    let mut all = TURNS.lock().unwrap_or_else(PoisonError::into_inner);
    let all = all.get_or_insert_with(HashMap::new);
    all.entry(directory.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(MOST))).clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Instant;

    #[tokio::test]
    async fn a_directory_that_hangs_is_named_and_costs_few_threads() {
        let (hung, well) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
        let pipe = hung.path().join("pipe");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a pipe");
        static OPENED: AtomicUsize = AtomicUsize::new(0);
        // Nobody writes to it, so its opening waits.
        let open = |path: PathBuf| {
            OPENED.fetch_add(1, Ordering::SeqCst);
            std::fs::File::open(path).is_ok()
        };
        let begun = Instant::now();
        let all = (0..2 * MOST).map(|_| look(hung.path(), pipe.clone(), open));
        for answer in futures_util::future::join_all(all).await {
            let why = answer.expect_err("it hangs");
            assert!(why.contains(hung.path().to_str().expect("text")), "{why}");
        }
        assert!(begun.elapsed() < 4 * PATIENCE, "{:?}", begun.elapsed());
        assert_eq!(OPENED.load(Ordering::SeqCst), MOST);
        std::fs::write(well.path().join("plugin"), "").expect("written");
        let directories = [well.path().to_owned(), hung.path().to_owned()];
        assert_eq!(find(&directories, "plugin").await, Ok(Some(well.path().join("plugin"))));
        // The readers go on, and end.
        drop(std::fs::File::options().write(true).open(&pipe).expect("opened"));
    }
}
