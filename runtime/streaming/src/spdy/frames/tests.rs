// SPDX-License-Identifier: Apache-2.0

use super::encode::{control_frame, head};
use super::*;
use crate::spdy::fault::{Fault, ResetReason};

fn all(mut input: &[u8]) -> Result<Vec<String>, Fault> {
    let mut decoder = Decoder::new();
    let mut frames = Vec::new();
    while let Some(frame) = decoder.next(&mut input)? {
        frames.push(format!("{frame:?}"));
    }
    Ok(frames)
}

#[test]
fn frames_split_at_any_byte_decode_alike() {
    let wire = [
        syn_stream(1, false, b"block"),
        ping(7),
        data_head(1, true, 3).to_vec(),
        b"abc".to_vec(),
        reset(1, ResetReason::Cancel),
        goaway(1, 0),
    ]
    .concat();
    let mut decoder = Decoder::new();
    let mut kinds = Vec::new();
    for byte in &wire {
        let mut input = std::slice::from_ref(byte);
        while let Some(frame) = decoder.next(&mut input).unwrap() {
            kinds.push(format!("{frame:?}"));
        }
        assert!(input.is_empty());
    }
    assert_eq!(kinds.len(), 7, "three data pieces of one byte each: {kinds:?}");
    assert_eq!(kinds[4], "Data { id: 1, bytes: [99], fin: true }");
    assert_eq!(all(&wire).unwrap().len(), 5);
}

#[test]
fn fixed_lengths_off_by_one_are_faults() {
    for (kind, length) in [(RST_STREAM, 8), (PING, 4), (GOAWAY, 8), (WINDOW_UPDATE, 8)] {
        for wrong in [length - 1, length + 1] {
            let wire = control_frame(kind, 0, &[], &vec![1; wrong]);
            assert_eq!(all(&wire), Err(Fault::Length { kind, length: wrong }));
        }
        assert!(all(&control_frame(kind, 0, &[], &vec![1; length])).is_ok());
    }
    assert!(all(&control_frame(SYN_STREAM, 0, &[], &[1; 9])).is_err());
    assert!(all(&control_frame(SYN_REPLY, 0, &[], &[1; 3])).is_err());
}

#[test]
fn versions_types_and_zero_fields_that_do_not_exist_are_faults() {
    let mut old = ping(1);
    old[1] = 2;
    assert_eq!(all(&old), Err(Fault::Version(2)));
    for kind in [0, 5, 10, 0xffff] {
        assert_eq!(all(&control_frame(kind, 0, &[1, 1], &[])), Err(Fault::UnknownType(kind)));
    }
    assert_eq!(all(&ping(0)), Err(Fault::Zero(PING)));
    assert_eq!(all(&control_frame(RST_STREAM, 0, &[1, 0], &[])), Err(Fault::Zero(RST_STREAM)));
    assert_eq!(all(&data_head(0, false, 0)), Err(Fault::Zero(0)));
}

#[test]
fn settings_must_count_their_entries() {
    let settings = |count: u32, entries: usize| control_frame(SETTINGS, 0, &[count], &vec![0; entries * 8]);
    assert_eq!(all(&settings(2, 2)).unwrap(), ["Settings"]);
    assert!(all(&settings(u32::MAX, 1)).is_err());
    assert!(all(&control_frame(SETTINGS, 0, &[1], &[0; 9])).is_err());
}

#[test]
fn a_long_control_frame_is_refused_before_its_payload_comes() {
    let head = head(0x8003_0001, 0, MAX_CONTROL_PAYLOAD + 1);
    assert!(matches!(all(&head), Err(Fault::Length { .. })));
}

#[test]
fn a_data_frame_of_sixteen_mebibytes_is_not_buffered() {
    let length = (1 << 24) - 1;
    let mut decoder = Decoder::new();
    let mut left = length;
    assert_eq!(decoder.next(&mut &data_head(3, true, length)[..]), Ok(None));
    let chunk = vec![0u8; 60_000];
    while left > 0 {
        let mut input = &chunk[..left.min(chunk.len())];
        let Ok(Some(Frame::Data { bytes, fin, .. })) = decoder.next(&mut input) else { panic!("no piece") };
        left -= bytes.len();
        assert_eq!(fin, left == 0);
    }
}
