// SPDX-License-Identifier: Apache-2.0
//! The span of a call: the fields that every line logged on its behalf carries.

use super::method::Method;
use super::subject::Subject;
use super::trace::TraceParent;
use tracing::Span;
use tracing::field::Empty;

/// Longest name of an unknown method that is logged, in bytes.
const LONGEST: usize = 64;

/// Opens the span of a call with what is known from its headers.
///
/// Its level is error, because a filter drops a span together with the lines of its level, and a failure must name its call at
/// every log level.
pub fn open(method: Method, path: &str, parent: Option<TraceParent<'_>>) -> Span {
    let name = if method.is_known() { method.name() } else { made_up(path) };
    tracing::error_span!(
        "rpc",
        method = name,
        namespace = Empty,
        pod = Empty,
        container = Empty,
        image = Empty,
        trace_id = parent.map(|parent| parent.trace_id),
        parent_id = parent.map(|parent| parent.parent_id),
    )
}

/// The last part of a path that is not one of our methods.
fn made_up(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or_default();
    &name[..name.floor_char_boundary(LONGEST)]
}

/// Adds the ids and names from the call's request. All at once, because the log formats the fields anew each time.
pub fn record(span: &Span, subject: &Subject) {
    if subject.is_empty() {
        return;
    }
    let value = |word: &str| subject.iter().find(|(known, _)| *known == word).map(|(_, value)| value.as_str());
    tracing::record_all!(
        span,
        namespace = value("namespace"),
        pod = value("pod"),
        container = value("container"),
        image = value("image"),
    );
}
