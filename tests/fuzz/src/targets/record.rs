// SPDX-License-Identifier: Apache-2.0
//! Records on disk. The first byte says whether the rest is a whole record, or a body whose record is then damaged.

use crate::random::Random;
use gorae_kernel::checked::{self, Checked};
use prost::Message;

const KIND: &str = "container";
const VERSION: u32 = 3;

pub fn check(input: &[u8]) {
    let Some((choice, rest)) = input.split_first() else { return };
    if choice & 1 == 0 {
        as_it_is(rest);
    } else {
        damaged(rest, u64::from(*choice));
    }
}

fn as_it_is(record: &[u8]) {
    let Ok(whole) = checked::decode(KIND, VERSION, record) else { return };
    let Checked { version, body } = whole;
    assert_eq!(checked::decode(KIND, VERSION, &checked::encode(KIND, version, body)), Ok(whole));
    // What a record holds was written by us, but its checksum does not prove that.
    let _ = gorae_proto::shim::ContainerState::decode(body);
}

/// A record comes back as it was, and after damage either as it was or not at all.
fn damaged(body: &[u8], seed: u64) {
    let mut record = checked::encode(KIND, VERSION, body);
    assert_eq!(checked::decode(KIND, VERSION, &record), Ok(Checked { version: VERSION, body }));
    assert!(checked::decode("pod", VERSION, &record).is_err() && checked::decode(KIND, VERSION - 1, &record).is_err());
    let whole = record.clone();
    let at = Random::new(seed ^ u64::from(crc32fast::hash(body))).below(record.len() * 8);
    record[at / 8] ^= 1 << (at % 8);
    if let Ok(found) = checked::decode(KIND, VERSION, &record) {
        assert_eq!(found.body, body, "bit {at} flipped unnoticed");
    }
    let torn = &whole[..at / 8];
    assert!(checked::decode(KIND, VERSION, torn).is_err(), "a torn record of {} bytes was read", torn.len());
}

pub fn seeds() -> Vec<Vec<u8>> {
    let state = gorae_proto::shim::ContainerState::default().encode_to_vec();
    let record = |body: &[u8]| [&[0][..], &checked::encode(KIND, VERSION, body)].concat();
    vec![
        record(b"body"),
        record(&state),
        b"\0gorae container 3 4 00000000\nbody".to_vec(),
        b"\0gorae container 4294967296 +1 ffffffff0\n".to_vec(),
        b"\x01a body that is damaged".to_vec(),
        vec![3],
    ]
}
