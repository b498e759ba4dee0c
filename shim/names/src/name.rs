// SPDX-License-Identifier: Apache-2.0
//! A domain name as messages carry it: each label after its length, and a zero at the end. It is kept in lower case, so
//! that equal names are equal bytes.

/// The longest name in a message: 253 bytes of text.
const MAX_NAME: usize = 255;
/// The longest label. Greater lengths are compression pointers or were never defined.
const MAX_LABEL: usize = 63;

/// A name in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Box<[u8]>);

/// Why a text is not a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It has more than 253 bytes.
    #[error("has more than 253 bytes")]
    Long,
    /// Two dots follow each other, or it begins or ends with one, or it is empty.
    #[error("has an empty label")]
    EmptyLabel,
    /// A part between two dots has more than 63 bytes.
    #[error("has a label of more than 63 bytes")]
    LongLabel,
    /// It has a blank, a control character, or one that is not ASCII.
    #[error("has a character other than printable ASCII")]
    Character,
}

impl Name {
    /// Checks a name from a configuration, without a dot at its end.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn from_text(text: &str) -> Result<Self, NameError> {
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(NameError::Character);
        }
        let mut wire = Vec::with_capacity(text.len() + 2);
        for label in text.split('.') {
            match label.len() {
                0 => return Err(NameError::EmptyLabel),
                1..=MAX_LABEL => wire.push(label.len() as u8),
                _ => return Err(NameError::LongLabel),
            }
            wire.extend(label.bytes().map(|byte| byte.to_ascii_lowercase()));
        }
        wire.push(0);
        if wire.len() > MAX_NAME { Err(NameError::Long) } else { Ok(Self(wire.into())) }
    }

    /// Reads the name at the beginning of `bytes`; returns it with its length there. `None`: it is cut off, too long, or
    /// compressed, which the first name of a message cannot be.
    pub fn read(bytes: &[u8]) -> Option<(Self, usize)> {
        let mut end = 0;
        loop {
            let length = usize::from(*bytes.get(end)?);
            if length > MAX_LABEL {
                return None;
            }
            end += 1 + length;
            if end > MAX_NAME {
                return None;
            }
            if length == 0 {
                // Lengths are below the letters, so they stay as they are.
                return Some((Self(bytes[..end].to_ascii_lowercase().into()), end));
            }
        }
    }

    /// The name `self.of`; `None` when that is too long.
    pub fn of(&self, of: &Self) -> Option<Self> {
        let own = &self.0[..self.0.len() - 1];
        (own.len() + of.0.len() <= MAX_NAME).then(|| Self([own, &of.0].concat().into()))
    }

    /// Its labels, the most specific one first.
    pub fn labels(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &self.0[..];
        std::iter::from_fn(move || {
            let (&length, after) = rest.split_first()?;
            let (label, behind) = after.split_at_checked(usize::from(length))?;
            rest = behind;
            (length > 0).then_some(label)
        })
    }

    /// Its bytes in a message.
    pub fn as_wire(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_and_a_message_give_the_same_name_in_whatever_case() {
        let text = Name::from_text("Web-1.my_Net").unwrap();
        let (read, length) = Name::read(b"\x05wEB-1\x06MY_net\0rest").unwrap();
        assert_eq!((&read, length), (&text, 14));
        assert_eq!(text.labels().collect::<Vec<_>>(), [&b"web-1"[..], b"my_net"]);
        let [host, network] = ["web-1", "my_net"].map(|text| Name::from_text(text).unwrap());
        assert_eq!(host.of(&network), Some(text));
    }

    #[test]
    fn the_longest_name_has_253_bytes_and_the_longest_label_63() {
        let label = "a".repeat(63);
        let longest = format!("{label}.{label}.{label}.{}", "a".repeat(61));
        let name = Name::from_text(&longest).unwrap();
        assert_eq!(Name::read(name.as_wire()), Some((name.clone(), 255)));
        assert_eq!(name.of(&Name::from_text("a").unwrap()), None);
        let rows = [
            (format!("{longest}a"), NameError::Long),
            (format!("{label}a"), NameError::LongLabel),
            (String::new(), NameError::EmptyLabel),
            ("a..b".into(), NameError::EmptyLabel),
            ("a.".into(), NameError::EmptyLabel),
            ("a b".into(), NameError::Character),
            ("a\n".into(), NameError::Character),
            ("ä".into(), NameError::Character),
        ];
        for (text, why) in rows {
            assert_eq!(Name::from_text(&text), Err(why), "{text}");
        }
    }

    #[test]
    fn a_name_that_is_compressed_cut_off_or_too_long_is_not_read() {
        let long = [&[1, b'a'].repeat(127)[..], &[1, b'a', 0]].concat();
        for bytes in [&b""[..], b"\x01", b"\x01a", b"\xc0\x0c", b"\x01a\xc0\x0c", b"\x40a\0", b"\x80\0", &long] {
            assert_eq!(Name::read(bytes), None, "{bytes:?}");
        }
        assert_eq!(Name::read(b"\0").unwrap().0.labels().count(), 0);
    }
}
