// SPDX-License-Identifier: Apache-2.0
//! The preset zlib dictionary of SPDY/3: 65 words, each preceded by its length, then one run of text.
//!
//! Source: SPDY draft 3, section 2.6.10.1. One wrong byte makes every header block of every client unreadable,
//! so the length and the Adler-32 that the draft implies are asserted below.

use std::sync::LazyLock;

/// The Adler-32 of [`BYTES`], which is also the DICTID a compressor writes.
pub const ADLER32: u32 = 0xE3C6_A7C2;

/// The dictionary, 1423 bytes.
pub static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let words = WORDS.split('|').flat_map(|word| {
        let length = u32::try_from(word.len()).expect("words are a few bytes long");
        length.to_be_bytes().into_iter().chain(word.bytes())
    });
    words.chain(TAIL.bytes()).collect()
});

const WORDS: &str = "\
    options|head|post|put|delete|trace|accept|accept-charset|accept-encoding|accept-language|\
    accept-ranges|age|allow|authorization|cache-control|connection|content-base|content-encoding|\
    content-language|content-length|content-location|content-md5|content-range|content-type|date|etag|\
    expect|expires|from|host|if-match|if-modified-since|if-none-match|if-range|if-unmodified-since|\
    last-modified|location|max-forwards|pragma|proxy-authenticate|proxy-authorization|range|referer|\
    retry-after|server|te|trailer|transfer-encoding|upgrade|user-agent|vary|via|warning|\
    www-authenticate|method|get|status|200 OK|version|HTTP/1.1|url|public|set-cookie|keep-alive|origin";

const TAIL: &str = concat!(
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505",
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found",
    "500 Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 ",
    "Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,",
    "text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.",
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dictionary_has_the_length_and_checksum_of_the_draft() {
        let (mut a, mut b) = (1u32, 0u32);
        for &byte in BYTES.iter() {
            a = (a + u32::from(byte)) % 65521;
            b = (b + a) % 65521;
        }
        assert_eq!(BYTES.len(), 1423);
        assert_eq!(b << 16 | a, ADLER32);
    }
}
