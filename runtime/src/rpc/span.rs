// SPDX-License-Identifier: Apache-2.0
//! The span of a call: what every line that is logged on its behalf says besides itself.

use super::method::Method;
use super::subject::Subject;
use super::trace::TraceParent;
use tracing::Span;
use tracing::field::Empty;

/// Longest name of a method that is shown, in characters.
const LONGEST: usize = 64;

/// Opens the span of a call, with what its headers say.
///
/// It is of level error, because a filter leaves a span out with the lines of its level: the lines of failures have to
/// name their call whatever the log's level is.
pub fn open(method: Method, path: &str, parent: Option<TraceParent<'_>>) -> Span {
    let span = tracing::error_span!(
        "rpc",
        method = Empty,
        namespace = Empty,
        pod = Empty,
        container = Empty,
        image = Empty,
        trace_id = parent.map(|parent| parent.trace_id),
        parent_id = parent.map(|parent| parent.parent_id),
    );
    if method.is_known() {
        span.record("method", method.name());
    } else {
        let name: String = path.rsplit('/').next().unwrap_or_default().chars().take(LONGEST).collect();
        span.record("method", name.as_str());
    }
    span
}

/// Adds what the call's request says. The words of a [`Subject`] are fields of the span.
pub fn record(span: &Span, subject: &Subject) {
    for (word, value) in subject {
        span.record(*word, value.as_str());
    }
}
