// SPDX-License-Identifier: Apache-2.0
//! Content digests (`sha256:…`, `sha512:…`): strict parsing and running hashes. Pure.

#![forbid(unsafe_code)]

use sha2::Digest as _;
use std::fmt;

/// The hash algorithms that images may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// SHA-256, which practically every image uses.
    Sha256,
    /// SHA-512, the other algorithm that the OCI image spec registers.
    Sha512,
}

impl Algorithm {
    const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    const fn hex_len(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }
}

/// A digest of content: algorithm and lower-case hex.
///
/// - Shapes: prints as `sha256:<64 hex>`; ordering is by algorithm, then text.
/// - Source: OCI image-spec descriptor.md, "Digests".
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest {
    algorithm: Algorithm,
    hex: String,
}

/// Why a text is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// There is no `algorithm:` part.
    #[error("a digest needs the form algorithm:hex")]
    Form,
    /// The algorithm is neither sha256 nor sha512.
    #[error("digest algorithm {0:?} is not supported (sha256 and sha512 are)")]
    Algorithm(String),
    /// The hex part has the wrong length or wrong characters.
    #[error("a {0} digest has {1} lower-case hex digits")]
    Hex(&'static str, usize),
}

impl Digest {
    /// Parses `sha256:<hex>` or `sha512:<hex>`. Upper case is rejected, so that each content has only one name.
    ///
    /// # Errors
    /// [`Invalid`], for the first problem found.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let (algorithm, hex) = text.split_once(':').ok_or(Invalid::Form)?;
        let algorithm = match algorithm {
            "sha256" => Algorithm::Sha256,
            "sha512" => Algorithm::Sha512,
            other => return Err(Invalid::Algorithm(other.chars().take(32).collect())),
        };
        let lower_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if hex.len() != algorithm.hex_len() || !hex.bytes().all(lower_hex) {
            return Err(Invalid::Hex(algorithm.name(), algorithm.hex_len()));
        }
        Ok(Self { algorithm, hex: hex.to_owned() })
    }

    /// The SHA-256 digest of `content`.
    pub fn of(content: &[u8]) -> Self {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        hasher.update(content);
        hasher.finish()
    }

    /// The hash algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The hex part.
    pub fn hex(&self) -> &str {
        &self.hex
    }

    /// A name for a file or directory of this content: `sha256-<hex>`.
    pub fn file_name(&self) -> String {
        format!("{}-{}", self.algorithm.name(), self.hex)
    }

    /// Reverses [`Digest::file_name`].
    pub fn from_file_name(name: &str) -> Option<Self> {
        let (algorithm, hex) = name.split_once('-')?;
        Self::parse(&format!("{algorithm}:{hex}")).ok()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.name(), self.hex)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A running hash.
#[derive(Clone)]
pub enum Hasher {
    /// SHA-256.
    Sha256(sha2::Sha256),
    /// SHA-512, boxed for its larger state.
    Sha512(Box<sha2::Sha512>),
}

impl Hasher {
    /// Starts a hash.
    pub fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha256 => Self::Sha256(sha2::Sha256::new()),
            Algorithm::Sha512 => Self::Sha512(Box::new(sha2::Sha512::new())),
        }
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(h) => h.update(bytes),
            Self::Sha512(h) => h.update(bytes),
        }
    }

    /// Ends the hash.
    pub fn finish(self) -> Digest {
        match self {
            Self::Sha256(h) => Digest { algorithm: Algorithm::Sha256, hex: hex::encode(h.finalize()) },
            Self::Sha512(h) => Digest { algorithm: Algorithm::Sha512, hex: hex::encode(h.finalize()) },
        }
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hasher")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_prints_as_it_was_read() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::parse(empty).unwrap().to_string(), empty);
        assert_eq!(Digest::of(b"").to_string(), empty);
        assert_eq!(Digest::from_file_name(&Digest::of(b"").file_name()), Some(Digest::of(b"")));
    }

    #[test]
    fn anything_but_lower_case_hex_of_the_right_length_is_refused() {
        assert_eq!(Digest::parse("e3b0"), Err(Invalid::Form));
        assert_eq!(Digest::parse("md5:e3b0"), Err(Invalid::Algorithm("md5".into())));
        for bad in
            ["sha256:", "sha256:E3", &format!("sha256:{}", "A".repeat(64)), &format!("sha512:{}", "a".repeat(64))]
        {
            assert!(matches!(Digest::parse(bad), Err(Invalid::Hex(..))), "{bad}");
        }
        assert!(Digest::parse(&format!("sha256:{}/", "a".repeat(63))).is_err());
    }

    #[test]
    fn sha512_is_hashed_too() {
        let digest = Hasher::new(Algorithm::Sha512).finish();
        assert!(digest.to_string().starts_with("sha512:cf83e1357eefb8bd"));
    }
}
