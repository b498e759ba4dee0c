// SPDX-License-Identifier: Apache-2.0
//! The system calls that no safe crate offers, each as one small safe function. This is the only `unsafe` code in Gorae.
//!
//! This module makes no decisions: it passes arguments to the kernel and returns the result. Raw descriptor numbers do not
//! leave it. A call that is only sound in a process with one thread, or in a child that never returns to its parent's
//! code, takes a proof of that: [`Single`], [`InChild`].

mod answer;
mod bpf;
mod clone;
mod descriptors;
mod memory;
mod mount;
mod netlink;
mod process;
mod rlimit;
mod seccomp;
mod signals;
mod single;
mod sleep;
mod title;
mod unshare;

pub use bpf::{attach_device_program, load_device_program};
pub use clone::{Forked, SIBLING, clone_sibling, clone3};
pub use descriptors::{close_from, place_and_close_rest, reopen};
pub use memory::{release_heap, release_stack};
pub use mount::{MountAttr, mount_setattr};
pub use netlink::ask_for_reasons;
pub use process::{
    end_with_this_process, execute_exactly, execve, exit_now, join_session_keyring, pidfd_send_signal, wait_for_death,
};
pub use rlimit::{rlimit, set_rlimit};
pub use seccomp::load_seccomp;
pub use signals::{ignore_signals, prepare_signals, reset_signals};
pub use single::{InChild, Single};
pub use sleep::sleep_with_nothing;
pub use title::set_title;
pub use unshare::unshare;
