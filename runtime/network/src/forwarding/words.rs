// SPDX-License-Identifier: Apache-2.0
//! The words of a listing's line. A quoted one keeps its first quote, so that a name or a comment is never taken for a
//! keyword.

/// How a program writes its lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writer {
    /// nft: braces, commas and semicolons are words, and `#` begins a comment.
    Nft,
    /// iptables: a backslash in quotes escapes.
    Iptables,
}

/// Splits a line.
pub fn words(line: &str, writer: Writer) -> Vec<String> {
    let (mut words, mut rest) = (Vec::new(), line.trim_start());
    while let Some(first) = rest.chars().next() {
        let (word, len) = match first {
            '#' if writer == Writer::Nft => break,
            '"' => quoted(rest, writer),
            '{' | '}' | ',' | ';' if writer == Writer::Nft => (first.into(), 1),
            _ => plain(rest, writer),
        };
        words.push(word);
        rest = rest.get(len..).unwrap_or_default().trim_start();
    }
    words
}

fn plain(text: &str, writer: Writer) -> (String, usize) {
    let ends = |c: char| c.is_whitespace() || (writer == Writer::Nft && "{},;".contains(c));
    let len = text.find(ends).unwrap_or(text.len());
    (text.get(..len).unwrap_or_default().into(), len)
}

fn quoted(text: &str, writer: Writer) -> (String, usize) {
    let (mut word, mut escaped) = (String::from("\""), false);
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '"' if !escaped => return (word, at + 1),
            '\\' if writer == Writer::Iptables && !escaped => escaped = true,
            _ => {
                word.push(c);
                escaped = false;
            }
        }
    }
    (word, text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quoted_is_one_word_and_no_keyword() {
        let nft = words("\tct state {a,b} log prefix \"x } accept\" drop; # accept", Writer::Nft);
        assert_eq!(nft, ["ct", "state", "{", "a", ",", "b", "}", "log", "prefix", "\"x } accept", "drop", ";"]);
        let iptables = words(r#"-A X --comment "a \"b -j ACCEPT" -j DROP"#, Writer::Iptables);
        assert_eq!(iptables, ["-A", "X", "--comment", "\"a \"b -j ACCEPT", "-j", "DROP"]);
        assert_eq!(words("\"open é", Writer::Nft), ["\"open é"]);
    }
}
