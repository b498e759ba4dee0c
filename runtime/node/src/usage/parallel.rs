// SPDX-License-Identifier: Apache-2.0
//! Reads a long list with several threads: the client waits, and each object needs about twenty kernel files.

use std::sync::LazyLock;
use std::thread;

/// The most threads that read one list.
const MOST_READERS: usize = 4;
/// The fewest objects that are worth a thread.
const FEWEST_OBJECTS: usize = 8;
/// Read once: the standard library reads cgroup files to find it out.
static PROCESSORS: LazyLock<usize> = LazyLock::new(|| thread::available_parallelism().map_or(1, usize::from));

/// Reads the parts of a list in parallel; the result is in the list's order. If a thread cannot be started, the caller's
/// thread reads its part, which only takes longer.
pub fn read<T: Sync, R: Send>(list: &[T], read: impl Fn(&[T]) -> Vec<R> + Sync) -> Vec<R> {
    let readers = (*PROCESSORS).min(MOST_READERS).min(list.len() / FEWEST_OBJECTS).max(1);
    let mut parts = list.chunks(list.len().div_ceil(readers).max(1));
    let Some(first) = parts.next() else { return Vec::new() };
    let read = &read;
    thread::scope(|scope| {
        let spawn = |part| {
            let named = thread::Builder::new().name("usage".into()).stack_size(256 << 10);
            (part, named.spawn_scoped(scope, move || read(part)))
        };
        let others: Vec<_> = parts.map(spawn).collect();
        let mut all = read(first);
        for (part, other) in others {
            all.extend(match other.map(thread::ScopedJoinHandle::join) {
                Ok(answer) => answer.unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                Err(_) => read(part),
            });
        }
        all
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::sync::Mutex;

    #[test]
    fn a_list_of_any_length_is_read_once_and_in_its_order_by_few_threads() {
        for length in [0, 1, FEWEST_OBJECTS, 2 * FEWEST_OBJECTS, 50, 1000] {
            let list: Vec<usize> = (0..length).collect();
            let readers = Mutex::new(HashSet::new());
            let read = super::read(&list, |part| {
                readers.lock().expect("whole").insert(thread::current().id());
                part.to_vec()
            });
            assert_eq!(read, list);
            let readers = readers.into_inner().expect("whole").len();
            let expected = (*PROCESSORS).min(MOST_READERS).min(length / FEWEST_OBJECTS).max(length.min(1));
            assert_eq!(readers, expected, "for {length}");
        }
    }
}
