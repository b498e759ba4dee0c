// SPDX-License-Identifier: Apache-2.0
//! The resize stream: a sequence of JSON objects, split at any point.

use serde_json::{Map, Value};

/// A terminal's size in characters, both at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TerminalSize {
    /// Columns.
    pub width: u16,
    /// Rows.
    pub height: u16,
}

/// The longest object that is read, including blanks before it.
const MAX_OBJECT: usize = 4096;

/// Reads a resize stream, however it is split.
#[derive(Debug, Default)]
pub struct Resizes {
    pending: Vec<u8>,
    broken: bool,
}

impl Resizes {
    /// Adds bytes and returns the latest size in them. After a parse error nothing more is found.
    pub fn push(&mut self, bytes: &[u8]) -> Option<TerminalSize> {
        if self.broken {
            return None;
        }
        self.pending.extend_from_slice(bytes);
        let (latest, used) = self.objects();
        self.pending.drain(..used);
        if self.broken || self.pending.len() > MAX_OBJECT {
            *self = Self { pending: Vec::new(), broken: true };
        }
        latest
    }

    /// Parses the complete objects that are pending: returns the latest size, and how many bytes were consumed.
    fn objects(&mut self) -> (Option<TerminalSize>, usize) {
        let (mut latest, mut used) = (None, 0);
        let mut objects = serde_json::Deserializer::from_slice(&self.pending).into_iter::<Map<String, Value>>();
        loop {
            match objects.next() {
                Some(Ok(object)) if objects.byte_offset() - used <= MAX_OBJECT => {
                    used = objects.byte_offset();
                    latest = size(&object).or(latest);
                }
                None => break,
                Some(Err(error)) if error.is_eof() => break,
                Some(_) => {
                    self.broken = true;
                    break;
                }
            }
        }
        (latest, used)
    }
}

/// Reads a size. Keys may be in any case, and unknown ones are ignored; zeros and numbers beyond 16 bits are not sizes.
fn size(object: &Map<String, Value>) -> Option<TerminalSize> {
    let find = |name: &str| {
        let (_, value) = object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        u16::try_from(value.as_u64()?).ok().filter(|number| *number > 0)
    };
    Some(TerminalSize { width: find("width")?, height: find("height")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Option<TerminalSize> = Some(TerminalSize { width: 80, height: 24 });

    #[test]
    fn sizes_are_found_however_the_stream_is_cut() {
        let wire = b"{\"Width\":1,\"Height\":2}\n{\"height\":24, \"x\":[], \"WIDTH\":80}\n";
        for step in 1..wire.len() {
            let mut resizes = Resizes::default();
            let found: Vec<_> = wire.chunks(step).filter_map(|part| resizes.push(part)).collect();
            assert_eq!(found.last().copied(), SIZE, "step {step}");
        }
    }

    #[test]
    fn zeros_are_no_size_and_do_not_end_the_stream() {
        let mut resizes = Resizes::default();
        assert_eq!(resizes.push(b"{\"Width\":0,\"Height\":24}{\"Width\":70000,\"Height\":1}"), None);
        assert_eq!(resizes.push(b"{\"Width\":80,\"Height\":24}"), SIZE);
    }

    #[test]
    fn an_error_or_an_endless_object_stops_resizing_only() {
        let mut resizes = Resizes::default();
        assert_eq!(resizes.push(b"{\"Width\":80,\"Height\":24}}garbage"), SIZE);
        assert_eq!(resizes.push(b"{\"Width\":80,\"Height\":24}"), None);
        let mut endless = Resizes::default();
        (0..10_000).for_each(|_| assert_eq!(endless.push(b"[[[["), None));
        assert!(endless.pending.is_empty());
    }

    #[test]
    fn only_objects_count_and_their_limit_is_the_same_however_they_come() {
        assert_eq!(Resizes::default().push(b"1e5 {\"Width\":80,\"Height\":24}"), None);
        let long = format!("{}{{\"Width\":80,\"Height\":24}}", " ".repeat(5000));
        for step in [1, 100, 6000] {
            let mut resizes = Resizes::default();
            assert!(long.as_bytes().chunks(step).all(|part| resizes.push(part).is_none()), "step {step}");
        }
    }
}
