// SPDX-License-Identifier: Apache-2.0
//! Data that may be passed to and from a disposable thread.

use gorae_proto::shim;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Data for a thread that has its own descriptor table.
///
/// An implementation promises that a value owns no descriptor: neither itself nor through anything that it shares, such as
/// an `Arc`, a channel or the handle of a task. A disposable thread would use and close that number in its own table, where
/// it belongs to another file. So this is implemented by hand for each type, and only for types whose every field was
/// checked.
///
/// A file cannot be passed:
///
/// ```compile_fail
/// # fn example(file: std::fs::File) {
/// let _ = gorae_disposable::run(file, |file| drop(file), |_| {});
/// # }
/// ```
///
/// Nor can a function that has captured one:
///
/// ```compile_fail
/// # fn example(file: std::fs::File) {
/// let _ = gorae_disposable::run((), move |()| drop(file), |_| {});
/// # }
/// ```
///
/// Text can:
///
/// ```
/// # fn example() {
/// let _ = gorae_disposable::run("/proc".to_owned(), |path| path, |_| {});
/// # }
/// ```
pub trait PlainData: Send + 'static {}

impl PlainData for () {}
impl PlainData for bool {}
impl PlainData for String {}
impl PlainData for PathBuf {}
impl PlainData for Vec<PathBuf> {}
impl PlainData for HashMap<String, String> {}
impl PlainData for shim::Start {}
impl<A: PlainData, B: PlainData> PlainData for (A, B) {}
impl<A: PlainData, B: PlainData, C: PlainData> PlainData for (A, B, C) {}
/// What shares plain data owns no descriptor either.
impl<T: PlainData + Sync> PlainData for Arc<T> {}
impl<T: PlainData, E: PlainData> PlainData for Result<T, E> {}
