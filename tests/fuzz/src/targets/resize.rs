// SPDX-License-Identifier: Apache-2.0
//! The resize stream: JSON objects of a client, one after another.

use crate::random::pieces;
use gorae_streaming::resize::Resizes;

pub fn check(input: &[u8]) {
    let whole = Resizes::default().push(input);
    let mut resizes = Resizes::default();
    let cut = pieces(input).filter_map(|piece| resizes.push(piece)).last();
    assert_eq!(whole, cut, "it depends on how the stream is cut");
    if let Some(size) = whole {
        assert!(size.width > 0 && size.height > 0, "{size:?} is not a size");
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    let long = format!("{}{{\"Width\":1,\"Height\":1}}", " ".repeat(4080));
    [
        "{\"Width\":80,\"Height\":24}\n",
        "{\"height\":24, \"x\":[1,{\"y\":null}], \"WIDTH\":80}{\"Width\":0,\"Height\":24}",
        "{\"Width\":80,\"Height\":24}}garbage",
        "{\"Width\":70000,\"Height\":-1.5e300} 12 true \"\\u00e9\"",
        &long,
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}
