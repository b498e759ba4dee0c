// SPDX-License-Identifier: Apache-2.0
//! Data that may be passed to and from a disposable thread.

use crate::error::Result;
use gorae_proto::shim;
use std::collections::HashMap;

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
/// # async fn example(file: std::fs::File) {
/// let _ = gorae_node::disposable::probe("a file", file, |file| Ok(drop(file))).await;
/// # }
/// ```
///
/// Nor can a function that has captured one:
///
/// ```compile_fail
/// # async fn example(file: std::fs::File) {
/// let _ = gorae_node::disposable::probe("a file", (), move |()| Ok(drop(file))).await;
/// # }
/// ```
///
/// Text can:
///
/// ```
/// # async fn example() {
/// let _ = gorae_node::disposable::probe("a path", "/proc".to_owned(), |path| Ok(path)).await;
/// # }
/// ```
pub trait PlainData: Send + 'static {}

impl PlainData for () {}
impl PlainData for String {}
impl PlainData for HashMap<String, String> {}
impl PlainData for shim::Start {}
impl<A: PlainData, B: PlainData> PlainData for (A, B) {}
impl<A: PlainData, B: PlainData, C: PlainData> PlainData for (A, B, C) {}
/// The daemon's error is a kind and a sentence.
impl<T: PlainData> PlainData for Result<T> {}
