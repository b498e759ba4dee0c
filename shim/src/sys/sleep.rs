// SPDX-License-Identifier: Apache-2.0
//! The last thing that the init of a pod does: it forgets everything, and sleeps.

use super::descriptors::close_from;
use super::memory::forget_heap;
use super::process::exit_now;
use super::single::InChild;
use super::title;
use std::arch::asm;

const PAGE: usize = 4096;

/// Further below this frame than any call of the set-up went.
const REACH: usize = 1 << 20;

/// Sleeps until the child is killed: without any descriptor, and with nothing in its heap and its stack that was ever there.
///
/// A container that shares the PID namespace may be able to read this process's memory, and the set-up's calls leave the paths
/// of the node that they were made with. The descriptors go last: their end tells the parent that all is done. Without
/// [`Single::begin`](super::Single::begin) the stack stays.
pub fn sleep_with_nothing(child: InChild) -> ! {
    forget_heap(child);
    if let Some(end) = title::end_of_stack() {
        sleep_without_stack(child, end);
    }
    // A descriptor that could not be closed would stay open for as long as this process lives.
    if close_from(child, 0).is_err() {
        exit_now(1);
    }
    loop {
        rustix::event::pause();
    }
}

/// Clears the stack up to `end`, where the arguments begin, closes all descriptors, and sleeps. Ends the process if they cannot
/// be closed.
///
/// Written in assembly, because no compiled code may run any more: it would need the stack.
fn sleep_without_stack(_child: InChild, end: usize) -> ! {
    let here = 0u8;
    let start = (&raw const here as usize & !(PAGE - 1)) - REACH;
    let page = end & !(PAGE - 1);
    // SAFETY: [start, end) is this process's only stack, below the strings that it was started with, and nothing else is mapped
    // there: the kernel keeps other mappings much further away, and skips what is not mapped. All of it is private memory, so
    // it reads as zeroes afterwards. No instruction below uses the stack, none returns, and no signal has a handler. The owners
    // of the descriptors are in the parent (`_child`).
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!(
            "rep stosb", // From the page boundary to the arguments.
            "mov rdi, r12",
            "mov rsi, r13",
            "mov edx, {dontneed}",
            "mov eax, {madvise}",
            "syscall",
            "xor edi, edi",
            "mov esi, 0xffffffff",
            "xor edx, edx",
            "mov eax, {close_range}",
            "syscall",
            "test rax, rax",
            "jz 2f",
            "mov edi, 1",
            "mov eax, {exit_group}",
            "syscall",
            "2:",
            "mov eax, {pause}",
            "syscall",
            "jmp 2b",
            in("rdi") page,
            in("rcx") end - page,
            in("al") 0u8,
            in("r12") start,
            in("r13") page - start,
            dontneed = const libc::MADV_DONTNEED,
            madvise = const libc::SYS_madvise,
            close_range = const libc::SYS_close_range,
            exit_group = const libc::SYS_exit_group,
            pause = const libc::SYS_pause,
            options(noreturn)
        )
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        asm!(
            "2:",
            "cbz x3, 3f",
            "strb wzr, [x2], #1",
            "sub x3, x3, #1",
            "b 2b",
            "3:",
            "mov x2, #{dontneed}",
            "mov x8, #{madvise}",
            "svc #0",
            "mov x0, xzr",
            "mov w1, #-1",
            "mov x2, xzr",
            "mov x8, #{close_range}",
            "svc #0",
            "cbz x0, 4f",
            "mov x0, #1",
            "mov x8, #{exit_group}",
            "svc #0",
            "4:",
            "mov x0, xzr",
            "mov x1, xzr",
            "mov x2, xzr",
            "mov x3, xzr",
            "mov x8, #{ppoll}",
            "svc #0",
            "b 4b",
            in("x0") start,
            in("x1") page - start,
            in("x2") page,
            in("x3") end - page,
            dontneed = const libc::MADV_DONTNEED,
            madvise = const libc::SYS_madvise,
            close_range = const libc::SYS_close_range,
            exit_group = const libc::SYS_exit_group,
            ppoll = const libc::SYS_ppoll,
            options(noreturn)
        )
    }
}
