// SPDX-License-Identifier: Apache-2.0
//! Header blocks of one connection, which share a zlib stream with a preset dictionary.

use gorae_streaming::spdy::headers::{Deflater, MAX_BLOCK};
use gorae_streaming::spdy::{Fault, Headers, Inflater};

/// Blocks, each behind two bytes of length.
fn blocks(input: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = input;
    std::iter::from_fn(move || {
        let (length, after) = rest.split_first_chunk::<2>()?;
        let (block, after) = after.split_at(usize::from(u16::from_be_bytes(*length)).min(after.len()));
        rest = after;
        Some(block)
    })
}

pub fn check(input: &[u8]) {
    let mut inflater = Inflater::new();
    for block in blocks(input) {
        // An error leaves the stream out of step; the connection would have ended.
        if let Err(Fault::Inflate(_) | Fault::TooLarge(_)) = inflater.headers(block) {
            break;
        }
    }
    let (mut deflater, mut inflater) = (Deflater::new(), Inflater::new());
    for plain in blocks(input).filter(|plain| plain.len() <= MAX_BLOCK) {
        let block = deflater.deflate(plain);
        assert_eq!(inflater.headers(&block), Headers::parse(plain), "a block changes on its way");
    }
}

fn framed(blocks: &[Vec<u8>]) -> Vec<u8> {
    blocks.iter().flat_map(|block| [&(block.len() as u16).to_be_bytes()[..], block].concat()).collect()
}

pub fn seeds() -> Vec<Vec<u8>> {
    let mut deflater = Deflater::new();
    let pairs: &[&[(&str, &str)]] = &[
        &[("streamtype", "error"), ("port", "8080"), ("requestid", "12")],
        &[("streamtype", "data"), ("port", "8080"), ("requestid", "12")],
        &[],
    ];
    let talk: Vec<Vec<u8>> = pairs.iter().map(|pairs| deflater.block(pairs)).collect();
    let plain = [&[0, 0, 0, 1, 0, 0, 0, 1][..], b"n", &[0, 0, 0, 2], b"vv"].concat();
    let stored = [&[0x78, 1, 0, 4, 0, 0xfb, 0xff, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff][..]].concat();
    let bomb = Deflater::new().deflate(&vec![0; 1 << 20]);
    let wrong = hex::decode("78f9e3c6a7c302a6230600000000ffff").expect("hex");
    vec![framed(&talk), framed(&[plain]), framed(&[stored]), framed(&[bomb]), framed(&[wrong])]
}
