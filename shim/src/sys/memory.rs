// SPDX-License-Identifier: Apache-2.0
//! Releases memory that is not needed any more.

use super::single::InChild;
use super::title;

/// Releases the stack pages that deeper calls have used. Called once the set-up is over and the shim starts to wait.
pub fn release_stack() {
    const PAGE: usize = 4096;
    /// Deeper than the set-up goes, and far less than the smallest stack limit.
    const REACH: usize = 128 << 10;
    let here = 0u8;
    let below = (&raw const here as usize & !(PAGE - 1)) - 2 * PAGE;
    // SAFETY: the range ends two pages below this frame, so it holds no live frame (nor the red zone) of the only
    // thread; its contents were left by calls that have returned. The stack's limit keeps other mappings further away,
    // and the kernel skips parts that are not mapped.
    unsafe { libc::madvise((below - REACH) as *mut libc::c_void, REACH, libc::MADV_DONTNEED) };
}

/// Returns free heap pages to the kernel. Called once the set-up's buffers are gone and the shim starts to wait.
pub fn release_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: no precondition; it only releases pages that hold no allocation.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Clears the heap: nothing that was ever allocated can be read in this process's memory.
///
/// For a child that is about to sleep, and never again allocates, frees or reads anything allocated. No-op without
/// [`Single::begin`](super::Single::begin).
pub fn forget_heap(_child: InChild) {
    const PAGE: usize = 4096;
    let Some(begin) = title::begin_of_heap() else { return };
    // SAFETY: with 0 it only returns the end of the heap.
    let end = unsafe { libc::sbrk(0) } as usize;
    let start = begin.next_multiple_of(PAGE);
    if start < end {
        // SAFETY: the range is the heap that brk has made, which is all private memory. Its pages read as zeroes from now
        // on, and by this function's contract nothing reads them.
        unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_DONTNEED) };
    }
}
