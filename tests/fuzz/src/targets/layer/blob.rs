// SPDX-License-Identifier: Apache-2.0
//! What turns the bytes of an input into the blob of a layer.

use std::io::Write as _;

/// Where a member gets that leaves its layer by a link to the root.
pub const ESCAPED: &str = "/gorae-fuzz-escaped";
/// The unit of a tar stream, in bytes.
pub const BLOCK: usize = 512;

/// Sets the checksum of everything that is where a header is, by the sizes that headers have.
pub fn with_checksums(mut tar: Vec<u8>) -> Vec<u8> {
    let mut at = 0;
    while let Some(block) = tar.get_mut(at..at + BLOCK) {
        at += BLOCK;
        if block.iter().all(|&byte| byte == 0) {
            continue;
        }
        let mut header = tar::Header::new_old();
        header.as_mut_bytes().copy_from_slice(block);
        header.set_cksum();
        block.copy_from_slice(header.as_bytes());
        let size = header.entry_size().ok().and_then(|size| usize::try_from(size).ok()).unwrap_or(0);
        let data = if header.entry_type().is_dir() { 0 } else { size };
        let Some(next) = data.checked_next_multiple_of(BLOCK).and_then(|data| at.checked_add(data)) else { break };
        at = next;
    }
    tar
}

/// A tar stream as the choice says: plain, with gzip or with zstd.
pub fn compressed(how: u8, tar: &[u8]) -> Vec<u8> {
    match how {
        1 => tar.to_vec(),
        2 => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(tar).and_then(|()| encoder.finish()).expect("memory takes everything")
        }
        _ => zstd::encode_all(tar, 1).expect("memory takes everything"),
    }
}
