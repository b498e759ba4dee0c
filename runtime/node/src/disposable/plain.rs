// SPDX-License-Identifier: Apache-2.0
//! What may go to a disposable thread and come back from one.

use crate::error::Result;
use gorae_proto::shim;
use std::collections::HashMap;

/// Data for a thread that has its own descriptor table.
///
/// An implementation promises that a value owns no descriptor: neither itself nor through anything that it shares, such as
/// an `Arc`, a channel or the handle of a task. A disposable thread would use and close the number in its own table, where
/// it belongs to another file. So this is written by hand for each type, and only for types whose every field was looked
/// at.
///
/// A file does not go there:
///
/// ```compile_fail
/// # async fn example(file: std::fs::File) {
/// let _ = gorae_node::disposable::probe("a file", file, |file| Ok(drop(file))).await;
/// # }
/// ```
///
/// Nor does a function that has caught one:
///
/// ```compile_fail
/// # async fn example(file: std::fs::File) {
/// let _ = gorae_node::disposable::probe("a file", (), move |()| Ok(drop(file))).await;
/// # }
/// ```
///
/// Text does:
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
