// SPDX-License-Identifier: Apache-2.0
//! What a client writes to the CRI socket, through the filter below the HTTP/2 engine.

use crate::random::pieces;
use gorae_headers::authority::Filter;
use gorae_headers::fields::{Names, mend};

/// Most bytes that a filter keeps, with room for one frame more than it needs.
const MOST: usize = 64 << 10;

pub fn check(wire: &[u8]) {
    let whole = through([wire]);
    assert_eq!(whole, through(pieces(wire)), "it depends on how the wire is cut");
    assert_eq!(whole.len(), wire.len(), "bytes were added or lost");
    assert_eq!(through([&whole[..]]), whole, "what was changed once is changed again");
    block(wire);
}

/// The bytes that the engine reads.
fn through<'w>(parts: impl IntoIterator<Item = &'w [u8]>) -> Vec<u8> {
    let (mut filter, mut out) = (Filter::default(), Vec::new());
    for part in parts {
        let mut rest = part.to_vec();
        while !rest.is_empty() {
            if filter.needs() > 0 {
                let later = rest.split_off(filter.needs().min(rest.len()));
                filter.complete(&std::mem::replace(&mut rest, later));
            } else {
                let read = filter.pass(&mut rest);
                out.extend_from_slice(&rest[..read]);
                rest.clear();
            }
            let ready = filter.ready().to_vec();
            out.extend_from_slice(&ready);
            filter.read(ready.len());
            assert!(filter.needs() <= MOST, "it waits for more than it may keep");
        }
    }
    filter.give_up();
    out.extend_from_slice(filter.ready());
    out
}

/// The same bytes as a header block: what is read twice is the same twice, and no second look changes anything.
fn block(bytes: &[u8]) {
    let (mut once, mut names) = (bytes.to_vec(), Names::default());
    let read = mend(&mut once, &mut names);
    let (mut twice, mut again) = (once.clone(), Names::default());
    assert_eq!(mend(&mut twice, &mut again), read);
    assert_eq!((twice, format!("{again:?}")), (once, format!("{names:?}")));
}

fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let length = payload.len() as u32;
    let stream = u8::from(kind != 4 && kind != 6);
    [&length.to_be_bytes()[1..], &[kind, flags, 0, 0, 0, stream], payload].concat()
}

pub fn seeds() -> Vec<Vec<u8>> {
    let greeting = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(4, 0, &[0; 6])].concat();
    // A path spelled out and kept, the name kept and used again, an index, a change of the table's size.
    let spelled =
        [&[0x3f, 0x0f, 0x83, 0x40, 10][..], b":authority", &[5], b"/x/so", &[0x7e, 3], b"a/b", &[0xbe]].concat();
    // The same with the code of RFC 7541 for name and value.
    let coded = hex::decode("4088b83b5339ec327d7f9454586cb6a5458663d832aa2c331ec195741c9d7f").expect("hex");
    let (first, rest) = spelled.split_at(12);
    let padded = [&[2][..], &[0, 0, 0, 0, 9], &coded, &[0; 2]].concat();
    let cut = [frame(1, 0, first), frame(9, 0, &rest[..4]), frame(9, 4, &rest[4..])].concat();
    [
        frame(1, 4, &spelled),
        [frame(1, 0x2c, &padded), frame(0, 1, &[7; 9]), frame(6, 0, &[1; 8])].concat(),
        cut,
        frame(5, 4, &spelled),
        frame(1, 4, &[0x41, 0x7f, 0xff, 0xff, 0x7f]),
    ]
    .iter()
    .map(|frames| [&greeting[..], frames].concat())
    .chain([spelled.clone(), coded])
    .collect()
}
