// SPDX-License-Identifier: Apache-2.0
//! The credentials that a CRI client passed, and the hosts that may receive them. Pure; never prints them.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use gorae_digest::{Algorithm, Digest, Hasher};
use gorae_proto::cri::AuthConfig;
use http::HeaderValue;

/// Credentials for one registry.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// User name and password.
    Basic { username: String, password: String },
    /// An OAuth refresh token, for the token server only.
    Identity(String),
    /// A bearer token for the registry itself.
    Registry(String),
}

/// `AuthConfig.auth` is not base64 of `user:password`. The error does not reveal its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the auth field is not base64 of user:password")]
pub struct Malformed;

impl Credentials {
    /// Reads the credentials for `registry`; `None` if there are none, or if `server_address` names another host.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn read(auth: &AuthConfig, registry: &str) -> Result<Option<Self>, Malformed> {
        if !auth.server_address.is_empty() && bare_host(&auth.server_address) != bare_host(registry) {
            return Ok(None);
        }
        if !auth.registry_token.is_empty() {
            return Ok(Some(Self::Registry(auth.registry_token.clone())));
        }
        if !auth.identity_token.is_empty() {
            return Ok(Some(Self::Identity(auth.identity_token.clone())));
        }
        if !auth.username.is_empty() || !auth.password.is_empty() {
            let (username, password) = (auth.username.clone(), auth.password.clone());
            return Ok(Some(Self::Basic { username, password }));
        }
        if auth.auth.is_empty() { Ok(None) } else { decode(&auth.auth).map(Some) }
    }

    /// The parts that must not be shown, both as given and as sent.
    pub fn secrets(&self) -> Vec<String> {
        match self {
            Self::Basic { username, password } => {
                vec![password.clone(), STANDARD.encode(format!("{username}:{password}"))]
            }
            Self::Identity(token) | Self::Registry(token) => vec![token.clone()],
        }
    }

    /// The value of an `Authorization` header with user and password.
    pub fn basic_header(username: &str, password: &str) -> HeaderValue {
        let text = format!("Basic {}", STANDARD.encode(format!("{username}:{password}")));
        let mut value = HeaderValue::from_str(&text).expect("base64 is a valid header");
        value.set_sensitive(true);
        value
    }
}

/// A value that is equal for equal credentials and reveals nothing about them; for map keys.
pub fn fingerprint(auth: Option<&AuthConfig>) -> Digest {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    if let Some(a) = auth {
        for field in [&a.username, &a.password, &a.auth, &a.server_address, &a.identity_token, &a.registry_token] {
            hasher.update(&(field.len() as u64).to_le_bytes());
            hasher.update(field.as_bytes());
        }
    }
    hasher.finish()
}

fn decode(auth: &str) -> Result<Credentials, Malformed> {
    let auth = auth.trim();
    let bytes = STANDARD.decode(auth).or_else(|_| STANDARD_NO_PAD.decode(auth)).map_err(|_| Malformed)?;
    let text = String::from_utf8(bytes).map_err(|_| Malformed)?;
    // Some docker versions pad the decoded form with NULs.
    let (username, password) = text.split_once(':').ok_or(Malformed)?;
    Ok(Credentials::Basic { username: username.to_owned(), password: password.trim_end_matches('\0').to_owned() })
}

/// `https://index.docker.io/v1/` → `docker.io`; `reg.io:5000` stays.
fn bare_host(address: &str) -> String {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let host = rest.split('/').next().unwrap_or("").to_ascii_lowercase();
    match host.as_str() {
        "index.docker.io" | "registry-1.docker.io" | "registry.hub.docker.com" => "docker.io".to_owned(),
        _ => host,
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Basic { .. } => "Basic",
            Self::Identity(_) => "Identity",
            Self::Registry(_) => "Registry",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basic(username: &str, password: &str) -> Option<Credentials> {
        Some(Credentials::Basic { username: username.into(), password: password.into() })
    }

    #[test]
    fn every_form_of_auth_config_is_read() {
        let read = |auth: AuthConfig| Credentials::read(&auth, "reg.io").unwrap();
        assert_eq!(read(AuthConfig::default()), None);
        assert_eq!(
            read(AuthConfig { username: "u".into(), password: "p".into(), ..Default::default() }),
            basic("u", "p")
        );
        assert_eq!(read(AuthConfig { auth: STANDARD.encode("u:p:q\0\0"), ..Default::default() }), basic("u", "p:q"));
        assert_eq!(read(AuthConfig { auth: "dTpw".into(), ..Default::default() }), basic("u", "p"));
        let token = AuthConfig { identity_token: "t".into(), username: "u".into(), ..Default::default() };
        assert_eq!(read(token), Some(Credentials::Identity("t".into())));
        for bad in ["?", "dQ==", "/w=="] {
            assert_eq!(
                Credentials::read(&AuthConfig { auth: bad.into(), ..Default::default() }, "reg.io"),
                Err(Malformed)
            );
        }
    }

    #[test]
    fn a_server_address_keeps_credentials_from_other_hosts() {
        let read = |server: &str, registry: &str| {
            let auth = AuthConfig { username: "u".into(), server_address: server.into(), ..Default::default() };
            Credentials::read(&auth, registry).unwrap().is_some()
        };
        assert!(read("https://index.docker.io/v1/", "docker.io"));
        assert!(read("reg.io:5000", "reg.io:5000"));
        assert!(read("http://REG.io/path", "reg.io"));
        assert!(!read("reg.io", "reg.io:5000"));
        assert!(!read("evil.io", "reg.io"));
        assert!(!read("reg.io.evil.io", "reg.io"));
    }

    #[test]
    fn fingerprints_differ_where_credentials_do_and_debug_shows_none() {
        let auth = |username: &str, password: &str| AuthConfig {
            username: username.into(),
            password: password.into(),
            ..Default::default()
        };
        assert_eq!(fingerprint(Some(&auth("a", "b"))), fingerprint(Some(&auth("a", "b"))));
        assert_ne!(fingerprint(Some(&auth("ab", ""))), fingerprint(Some(&auth("a", "b"))));
        assert_ne!(fingerprint(None), fingerprint(Some(&auth("", ""))));
        assert!(!format!("{:?}", basic("u", "s3cret")).contains("s3cret"));
    }
}
