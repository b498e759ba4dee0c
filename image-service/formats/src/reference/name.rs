// SPDX-License-Identifier: Apache-2.0
//! A parsed and normalised image name.

use crate::reference::error::{Invalid, MAX_NAME};
use crate::reference::grammar::{check_host, check_path, is_tag, shown, split_host, split_tag};
use crate::reference::userinfo::without_userinfo;
use gorae_digest::Digest;
use std::fmt;

const DEFAULT_TAG: &str = "latest";

/// A normalised image name with a tag, a digest, or both if the user gave both.
///
/// - Shapes: `host` is never empty; `tag` is `latest` if neither tag nor digest was given. If both were given, the digest
///   applies and the tag is informational.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    host: String,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// Parses and normalises a name.
    ///
    /// # Errors
    /// [`Invalid`], with the part that is wrong.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if text.is_empty() {
            return Err(Invalid::Empty);
        }
        if without_userinfo(text) != text {
            return Err(Invalid::UserInfo);
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(Digest::parse(digest).map_err(Invalid::Digest)?)),
            None => (text, None),
        };
        let (name, tag) = split_tag(rest);
        if name.len() > MAX_NAME {
            return Err(Invalid::TooLong);
        }
        let (host, path) = split_host(name);
        let host = check_host(host)?;
        let path = check_path(&host, path)?;
        // Defaults count as well: the full name is stored and shown, so it must be a valid name again.
        if host.len() + 1 + path.len() > MAX_NAME {
            return Err(Invalid::TooLong);
        }
        let tag = match tag {
            Some(tag) if is_tag(tag) => Some(tag.to_owned()),
            Some(tag) => return Err(Invalid::Tag(shown(tag))),
            None if digest.is_none() => Some(DEFAULT_TAG.to_owned()),
            None => None,
        };
        Ok(Self { host, path, tag, digest })
    }

    /// The registry host with its port, as users write it (`docker.io`, `127.0.0.1:5000`).
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The repository path within the registry (`library/busybox`).
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The tag, if there is one and no digest overrides it.
    pub fn tag(&self) -> Option<&str> {
        if self.digest.is_some() { None } else { self.tag.as_deref() }
    }

    /// The digest, if one was given.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// `host/path`, without tag or digest.
    pub fn repository(&self) -> String {
        format!("{}/{}", self.host, self.path)
    }

    /// The name `host/path@digest` of content in this repository.
    pub fn with_digest(&self, digest: &Digest) -> String {
        format!("{}/{}@{digest}", self.host, self.path)
    }

    /// What to request from a registry: the digest if there is one, otherwise the tag.
    pub fn wanted(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, tag) => tag.as_deref().unwrap_or(DEFAULT_TAG).to_owned(),
        }
    }
}

impl fmt::Display for Reference {
    /// Prints the name under which the image is stored: the digest takes precedence over the tag.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.digest {
            Some(digest) => f.write_str(&self.with_digest(digest)),
            None => write!(f, "{}/{}:{}", self.host, self.path, self.wanted()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const D: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn short_names_are_completed() {
        for (given, full) in [
            ("busybox", "docker.io/library/busybox:latest"),
            ("busybox:1.36", "docker.io/library/busybox:1.36"),
            ("acme/app", "docker.io/acme/app:latest"),
            ("index.docker.io/busybox", "docker.io/library/busybox:latest"),
            ("docker.io/busybox", "docker.io/library/busybox:latest"),
            ("localhost/app", "localhost/app:latest"),
            ("localhost:5000/app:v1", "localhost:5000/app:v1"),
            ("127.0.0.1:5000/a/b/c", "127.0.0.1:5000/a/b/c:latest"),
            ("[::1]:5000/app", "[::1]:5000/app:latest"),
            ("registry.k8s.io/e2e-test-images/busybox:1.29-2", "registry.k8s.io/e2e-test-images/busybox:1.29-2"),
            ("a.b/c__d.e---f_g", "a.b/c__d.e---f_g:latest"),
            ("UPPER/app", "UPPER/app:latest"),
        ] {
            assert_eq!(Reference::parse(given).unwrap().to_string(), full, "{given}");
        }
    }

    #[test]
    fn the_longest_names_are_names_in_full_too() {
        let path = |length: usize| "a".repeat(length);
        for name in [path(237), format!("x/{}", path(243 - 2)), format!("index.docker.io/{}", path(237))] {
            let full = Reference::parse(&name).unwrap().to_string();
            assert_eq!(Reference::parse(&full).unwrap().to_string(), full);
            assert_eq!(Reference::parse(&format!("{name}aaaaaa")), Err(Invalid::TooLong), "{name}");
        }
    }

    #[test]
    fn a_digest_wins_over_a_tag() {
        let both = Reference::parse(&format!("reg.io/app:v1@{D}")).unwrap();
        assert_eq!(both.to_string(), format!("reg.io/app@{D}"));
        assert_eq!((both.tag(), both.wanted()), (None, D.to_owned()));
        let digest_only = Reference::parse(&format!("reg.io/app@{D}")).unwrap();
        assert_eq!(digest_only.tag(), None);
        assert_eq!(digest_only.repository(), "reg.io/app");
    }

    #[test]
    fn what_breaks_the_grammar_is_refused_with_its_part() {
        let long = format!("reg.io/{}", "a".repeat(250));
        let id = "a".repeat(64);
        for bad in [
            "",
            ":",
            "@",
            "/",
            "//",
            "a//b",
            "a/",
            "/a",
            "Busybox",
            "reg.io/App",
            "reg.io/a..b",
            "reg.io/a___b",
            "reg.io/-a",
            "reg.io/a-",
            "reg.io/../etc",
            "reg.io/.",
            "reg.io/a:",
            "reg.io/a:-x",
            "reg.io/a:t/x",
            "reg.io:99999/a",
            "reg.io:/a",
            "reg..io/a",
            "-reg.io/a",
            "[::1/a",
            "[zz]:5/a",
            "reg.io/a@",
            "reg.io/a@sha256:00",
            "a b",
            "a\n",
            "ä",
            "http://reg.io/a",
            "user@reg.io/a",
            "reg.io/a?x",
            "reg.io/a%2fb",
            "[::1]x/a",
            &long,
            &id,
        ] {
            assert!(Reference::parse(bad).is_err(), "{bad:?} was accepted");
        }
        assert!(Reference::parse(&format!("reg.io/a:{}", "t".repeat(128))).is_ok());
        assert!(Reference::parse(&format!("reg.io/a:{}", "t".repeat(129))).is_err());
        assert_eq!(Reference::parse(&id), Err(Invalid::LooksLikeId));
    }

    #[test]
    fn what_stands_where_urls_have_a_password_is_refused_and_never_quoted() {
        for (text, shown) in [
            ("user:s3cret@reg.io/app:1", "reg.io/app:1"),
            ("https://user:s3cret@reg.io/app", "reg.io/app"),
            ("s3cret@reg.io/app", "reg.io/app"),
            ("u:s3cret@with@reg.io:5000/app", "reg.io:5000/app"),
            ("u:s3cret@sha256:x@reg.io/app", "reg.io/app"),
            (&format!("u:s3cret@reg.io/app@{D}"), &format!("reg.io/app@{D}")),
            ("u:s3cret@", ""),
            ("u:s3cret/x@y", "y"),
        ] {
            let error = Reference::parse(text).unwrap_err();
            assert!(!error.to_string().contains("s3cret"), "{text}: {error}");
            assert_eq!(without_userinfo(text), shown, "{text}");
        }
        for name in ["busybox", &format!("reg.io:5000/app:1@{D}"), "a@sha256:12"] {
            assert_eq!(without_userinfo(name), name);
        }
    }

    #[test]
    fn every_name_reads_back_as_itself() {
        for name in ["busybox", "localhost:5000/a/b:c", "x.y/z"] {
            let once = Reference::parse(name).unwrap();
            assert_eq!(Reference::parse(&once.to_string()).unwrap(), once);
        }
    }
}
