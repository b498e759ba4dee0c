// SPDX-License-Identifier: Apache-2.0
//! Why this side aborted a TLS handshake, and how to fix it; how to recognise a TLS server that was contacted over plain
//! http.

use rustls::CertificateError;
use std::error::Error as StdError;
use std::io;

/// One day in seconds.
const DAY: u64 = 86_400;

/// The message for a host that failed to prove its identity; `None` for any other failure of a request.
pub fn refusal(error: &(dyn StdError + 'static)) -> Option<String> {
    match cause::<rustls::Error>(error)? {
        rustls::Error::InvalidCertificate(why) => Some(certificate(why)),
        rustls::Error::InvalidMessage(_) => Some(
            "it does not speak TLS; to reach it without encryption, give it an http:// address in the registry's \
             hosts.toml or list it under plain_http"
                .to_owned(),
        ),
        _ => None,
    }
}

/// Messages of Go's server, nginx and Apache for a plain http request where they expect a handshake.
const WANTED: [&str; 3] = [
    "Client sent an HTTP request to an HTTPS server",
    "The plain HTTP request was sent to HTTPS port",
    "speaking plain HTTP to an SSL-enabled server port",
];

/// Whether the body of a response to a plain http request says that TLS is required.
pub fn is_wanted(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body);
    WANTED.iter().any(|words| text.contains(words))
}

/// Whether the reply was not http, or missing. Other TLS servers send an alert, which is not http, or just close the
/// connection.
pub fn answers_no_http(error: &(dyn StdError + 'static)) -> bool {
    let http = cause::<hyper::Error>(error).is_some_and(|e| e.is_parse() || e.is_incomplete_message());
    http || cause::<io::Error>(error).is_some_and(|e| e.kind() == io::ErrorKind::ConnectionReset)
}

fn certificate(why: &CertificateError) -> String {
    use CertificateError as E;
    match why {
        // A different authority of the same name, for example a regenerated one, shows up as a bad signature.
        E::UnknownIssuer | E::BadSignature => {
            "its certificate is issued by an authority that this node does not trust; name the authority's \
             certificate as ca in the registry's hosts.toml, or add it to the system's"
                .to_owned()
        }
        E::ExpiredContext { time, not_after } => {
            let days = time.as_secs().saturating_sub(not_after.as_secs()) / DAY;
            format!("its certificate expired {days} days ago and must be renewed")
        }
        E::NotValidYetContext { time, not_before } => {
            let days = not_before.as_secs().saturating_sub(time.as_secs()) / DAY;
            format!("its certificate becomes valid in {days} days; compare the clocks of both machines")
        }
        E::NotValidForNameContext { presented, .. } => format!(
            "its certificate is not valid for this name, but for {}; use such a name, or add this one to it",
            shown(presented)
        ),
        _ => format!("its certificate cannot be used ({why}); replace it"),
    }
}

/// The first few of a list of untrusted names, limited to characters that an event can hold.
fn shown(names: &[String]) -> String {
    let clean = |name: &String| name.chars().filter(|c| c.is_ascii_graphic()).take(80).collect::<String>();
    let shown: Vec<String> = names.iter().take(4).map(clean).collect();
    match (names.len(), shown.len()) {
        (0, _) => "none".to_owned(),
        (all, some) if all > some => format!("{} and {} more", shown.join(", "), all - some),
        _ => shown.join(", "),
    }
}

/// Finds an error of one type among the causes of an error. The error inside an I/O error is not its `source`.
fn cause<'e, E: StdError + 'static>(error: &'e (dyn StdError + 'static)) -> Option<&'e E> {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(found) = cause.downcast_ref::<E>() {
            return Some(found);
        }
        let wrapped = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = wrapped.map(|inner| inner as &(dyn StdError + 'static)).or_else(|| cause.source());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_error_is_found_however_deep_it_is_wrapped() {
        let tls = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let wrapped = io::Error::other(io::Error::other(tls));
        assert!(refusal(&wrapped).is_some_and(|why| why.contains("hosts.toml")));
    }

    #[test]
    fn other_failures_are_no_refusal() {
        assert_eq!(refusal(&io::Error::from(io::ErrorKind::ConnectionRefused)), None);
        assert_eq!(refusal(&io::Error::other(rustls::Error::HandshakeNotComplete)), None);
    }
}
