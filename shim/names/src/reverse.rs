// SPDX-License-Identifier: Apache-2.0
//! The address that a name below `in-addr.arpa` or `ip6.arpa` stands for.

use crate::name::Name;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The address of a reverse look-up; `None` for any other name, and for a part of an address.
pub fn address_of(name: &Name) -> Option<IpAddr> {
    let labels: Vec<&[u8]> = name.labels().collect();
    match labels.split_last_chunk()? {
        ([d, c, b, a], [b"in-addr", b"arpa"]) => Some(Ipv4Addr::new(byte(a)?, byte(b)?, byte(c)?, byte(d)?).into()),
        (nibbles, [b"ip6", b"arpa"]) if nibbles.len() == 32 => {
            let address = nibbles.iter().rev().try_fold(0u128, |address, label| Some(address << 4 | nibble(label)?))?;
            Some(Ipv6Addr::from(address).into())
        }
        _ => None,
    }
}

/// A decimal number as it is written: without a sign or a zero in front.
fn byte(label: &[u8]) -> Option<u8> {
    let number: u8 = str::from_utf8(label).ok()?.parse().ok()?;
    (number.to_string().as_bytes() == label).then_some(number)
}

fn nibble(label: &[u8]) -> Option<u128> {
    match label {
        [digit] => char::from(*digit).to_digit(16).map(u128::from),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reverse_name_is_an_address_only_if_it_is_whole_and_exact() {
        let v6 = format!("4.{}d.f.ip6.arpa", "0.".repeat(29));
        let rows = [
            ("4.3.2.10.in-addr.arpa", Some("10.2.3.4")),
            ("4.3.2.10.IN-ADDR.ARPA", Some("10.2.3.4")),
            (v6.as_str(), Some("fd00::4")),
            (&v6[2..], None),
            ("3.2.10.in-addr.arpa", None),
            ("5.4.3.2.10.in-addr.arpa", None),
            ("04.3.2.10.in-addr.arpa", None),
            ("+4.3.2.10.in-addr.arpa", None),
            ("256.3.2.10.in-addr.arpa", None),
            ("4.3.2.10.in-addr.arpa.example", None),
            ("arpa", None),
        ];
        for (name, address) in rows {
            let expected = address.map(|text| text.parse().unwrap());
            assert_eq!(address_of(&Name::from_text(name).unwrap()), expected, "{name}");
        }
    }
}
