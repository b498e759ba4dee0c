// SPDX-License-Identifier: Apache-2.0
//! The payload of a frame, unmasked as it arrives.

/// What is left of a frame whose head has been read.
#[derive(Debug)]
pub(super) struct Payload {
    pub(super) opcode: u8,
    pub(super) fin: bool,
    pub(super) start: bool,
    pub(super) text: bool,
    pub(super) left: u64,
    pub(super) mask: [u8; 4],
    pub(super) mask_at: usize,
}

impl Payload {
    /// Unmasks the next bytes of the payload in place.
    pub(super) fn unmask(&mut self, bytes: &mut [u8]) {
        let mut mask = self.mask;
        mask.rotate_left(self.mask_at);
        let [a, b, c, d] = mask;
        let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
        let (eights, rest) = bytes.as_chunks_mut::<8>();
        eights.iter_mut().for_each(|eight| *eight = (u64::from_ne_bytes(*eight) ^ wide).to_ne_bytes());
        rest.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, m)| *byte ^= m);
        self.mask_at = (self.mask_at + bytes.len()) % 4;
        self.left -= bytes.len() as u64;
    }
}
