// SPDX-License-Identifier: Apache-2.0
//! Changes what /proc shows of a process that has not become another program: its command line and its environment, which
//! are part of its own memory. Also finds the heap.

use gorae_kernel::process::Stat;
use std::ffi::CString;
use std::ops::Range;
use std::sync::OnceLock;

/// The addresses of the arguments, the environment, and the beginning of the heap.
#[derive(Debug)]
struct Regions {
    arguments: Range<usize>,
    environment: Range<usize>,
    heap: usize,
}

static REGIONS: OnceLock<Option<Regions>> = OnceLock::new();

/// Reads the regions from this process's /proc/PID/stat, once, when it starts. A process that has entered other namespaces
/// since then cannot trust the /proc there.
pub(super) fn remember(stat: &Stat) {
    REGIONS.get_or_init(|| regions(stat));
}

fn regions(stat: &Stat) -> Option<Regions> {
    Some(Regions { arguments: stat.arguments()?, environment: stat.environment()?, heap: stat.heap()? })
}

/// Makes /proc show `words`, truncated to the available space, as this process's command line, and no environment.
///
/// For a process that needs neither its own arguments nor its environment any more. No-op without
/// [`Single::begin`](super::Single::begin).
pub fn set_title(words: &[CString]) {
    let Some(Some(regions)) = REGIONS.get() else { return };
    fill(&regions.environment, &[]);
    let line: Vec<u8> = words.iter().flat_map(|word| word.as_bytes_with_nul()).copied().collect();
    fill(&regions.arguments, &line);
}

/// The address at which the heap begins, if it is known.
pub(super) fn begin_of_heap() -> Option<usize> {
    REGIONS.get()?.as_ref().map(|regions| regions.heap)
}

/// The address above which the stack holds the strings that the process was started with, if it is known.
pub(super) fn end_of_stack() -> Option<usize> {
    REGIONS.get()?.as_ref().map(|regions| regions.arguments.start).filter(|&start| start > 0)
}

/// Writes `bytes`, truncated to leave room for a final NUL, and fills the rest with NULs.
fn fill(place: &Range<usize>, bytes: &[u8]) {
    let cut = bytes.len().min(place.len().saturating_sub(1));
    // SAFETY: the kernel has mapped the range for the strings that this process was started with, at the top of its
    // stack, which is writable and never unmapped. Only argv and environ point into it, and wherever they point, there is
    // a NUL at the end. The process has one thread (lib.rs), and the standard library returns copies.
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
    fn a_process_finds_its_own_regions() {
        let found = regions(&Stat::own().unwrap()).unwrap();
        assert!(!found.arguments.is_empty() && found.arguments.end <= found.environment.start && found.heap > 0);
    }
}
