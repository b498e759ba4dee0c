// SPDX-License-Identifier: Apache-2.0
//! What /proc shows of a process that has not become another program: its command line and its environment, which are
//! memory of its own, and what else its memory remembers.

use std::ffi::CString;
use std::ops::Range;
use std::sync::OnceLock;

/// Where the kernel put the arguments, the environment, and the beginning of the heap.
#[derive(Debug)]
struct Regions {
    arguments: Range<usize>,
    environment: Range<usize>,
    heap: usize,
}

static REGIONS: OnceLock<Option<Regions>> = OnceLock::new();

/// Takes them from this process's /proc/PID/stat, once and at its begin: a process that has gone elsewhere since cannot
/// trust what is called /proc there.
pub(super) fn remember(stat: &str) {
    REGIONS.get_or_init(|| regions(stat));
}

/// Reads /proc/PID/stat: fields 47 to 51.
fn regions(stat: &str) -> Option<Regions> {
    // The name before the last ')' may hold anything.
    let after_name = stat.rsplit_once(") ")?.1;
    let mut fields = after_name.split_whitespace().skip(44).map(str::parse::<usize>);
    let mut next = || fields.next()?.ok();
    let (heap, arguments, environment) = (next()?, next()?..next()?, next()?..next()?);
    Some(Regions { arguments, environment, heap })
}

/// Has /proc show `words` as this process's command line, as much of them as there is room for, and no environment.
///
/// For a process that needs neither its own arguments nor its environment any more. No-op without
/// [`Single::begin`](super::Single::begin).
pub fn set_title(words: &[CString]) {
    let Some(Some(regions)) = REGIONS.get() else { return };
    fill(&regions.environment, &[]);
    let line: Vec<u8> = words.iter().flat_map(|word| word.as_bytes_with_nul()).copied().collect();
    fill(&regions.arguments, &line);
}

/// Where the heap begins, once it is known.
pub(super) fn begin_of_heap() -> Option<usize> {
    REGIONS.get()?.as_ref().map(|regions| regions.heap)
}

/// Writes `bytes`, cut so that a NUL is left at the end, and NULs over the rest.
fn fill(place: &Range<usize>, bytes: &[u8]) {
    let cut = bytes.len().min(place.len().saturating_sub(1));
    // SAFETY: the kernel has mapped the range for the strings that this process was started with, at the top of its
    // stack, which is writable and never unmapped. What points into it are argv and environ: wherever in the range,
    // there is a NUL at its end. The process has one thread (lib.rs), and the standard library hands out copies.
    unsafe {
        let start = place.start as *mut u8;
        std::ptr::write_bytes(start, 0, place.len());
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), start, cut);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_places_are_found_behind_any_name() {
        let own = std::fs::read_to_string("/proc/self/stat").unwrap();
        let found = regions(&own).unwrap();
        assert!(!found.arguments.is_empty() && found.arguments.end <= found.environment.start);
        let (front, rest) = own.rsplit_once(") ").unwrap();
        let odd = regions(&format!("{front}) 1 2 3 (x) {rest}")).unwrap();
        assert_eq!((odd.arguments, odd.heap), (found.arguments, found.heap));
        assert!(regions("7 (a) S 1 2").is_none());
    }
}
