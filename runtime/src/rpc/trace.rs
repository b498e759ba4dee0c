// SPDX-License-Identifier: Apache-2.0
//! The trace that a call is a part of, as its client says in the header `traceparent`. kubelet does when its tracing is on.
//!
//! The header is read strictly: what is not exactly of the form is not there, and nothing else of it comes into the log.

use http::HeaderMap;

/// The header's name.
const HEADER: &str = "traceparent";
/// `00-TRACE-PARENT-FLAGS`: two digits, 32, 16 and two, with dashes between them.
const LENGTH: usize = 55;

/// Who has caused a call.
///
/// - Shapes: hexadecimal digits in lower case, neither of them all zeros.
/// - Source: W3C Trace Context, section 3.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent<'a> {
    /// The trace, 32 digits.
    pub trace_id: &'a str,
    /// The client's own span in it, 16 digits.
    pub parent_id: &'a str,
}

/// The trace parent of a call; `None` when there is none, more than one, or one that is not of the form.
pub fn parent(headers: &HeaderMap) -> Option<TraceParent<'_>> {
    let mut values = headers.get_all(HEADER).iter();
    let value = values.next()?.to_str().ok()?;
    if values.next().is_some() {
        return None;
    }
    parse(value)
}

fn parse(value: &str) -> Option<TraceParent<'_>> {
    // Of a later version, what follows these fields is not for us.
    let (known, more) = value.split_at_checked(LENGTH)?;
    let mut parts = known.split('-');
    let (version, trace_id, parent_id, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let fits = |part: &str, digits: usize| part.len() == digits && part.bytes().all(is_digit);
    let is_set = |part: &str| part.bytes().any(|digit| digit != b'0');
    let is_of_the_form = parts.next().is_none()
        && fits(version, 2)
        && fits(trace_id, 32)
        && fits(parent_id, 16)
        && fits(flags, 2)
        && is_set(trace_id)
        && is_set(parent_id);
    let is_read = match version {
        "ff" => false,
        "00" => more.is_empty(),
        _ => more.is_empty() || more.starts_with('-'),
    };
    (is_of_the_form && is_read).then_some(TraceParent { trace_id, parent_id })
}

fn is_digit(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const PARENT: &str = "00f067aa0ba902b7";

    #[test]
    fn a_trace_parent_is_read_only_when_it_is_exactly_of_the_form() {
        let good = format!("00-{TRACE}-{PARENT}-01");
        let wanted = Some(TraceParent { trace_id: TRACE, parent_id: PARENT });
        assert_eq!(parse(&good), wanted);
        assert_eq!(parse(&format!("00-{TRACE}-{PARENT}-00")), wanted, "not sampled");
        assert_eq!(parse(&format!("cc-{TRACE}-{PARENT}-01-what the future brings")), wanted);
        for bad in [
            String::new(),
            good[..54].to_owned(),
            format!("{good}-more"),
            format!("{good} "),
            format!("ff-{TRACE}-{PARENT}-01"),
            format!("cc-{TRACE}-{PARENT}-01.more"),
            good.to_uppercase(),
            good.replace('4', "g"),
            good.replace('-', "_"),
            format!("00-{}-{PARENT}-01", "0".repeat(32)),
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            format!("00-{TRACE}{PARENT}---01"),
            format!("00-{TRACE}-{PARENT}-0ä"),
            "ä".repeat(55),
        ] {
            assert_eq!(parse(&bad), None, "{bad}");
        }
    }

    #[test]
    fn two_trace_parents_are_none() {
        let mut headers = HeaderMap::new();
        assert_eq!(parent(&headers), None);
        let value = format!("00-{TRACE}-{PARENT}-01");
        headers.append(HEADER, value.parse().expect("plain"));
        assert_eq!(parent(&headers).map(|parent| parent.trace_id), Some(TRACE));
        headers.append(HEADER, value.parse().expect("plain"));
        assert_eq!(parent(&headers), None);
    }
}
