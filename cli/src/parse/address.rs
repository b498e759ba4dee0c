// SPDX-License-Identifier: Apache-2.0
//! Addresses that people choose for a container: `--ip`, `--ip6`, `--mac-address`.

use anyhow::{Context, Result, ensure};
use std::net::{Ipv4Addr, Ipv6Addr};

/// A hardware address.
pub type Mac = [u8; 6];

/// Reads an IPv4 address.
///
/// # Errors
/// When the text has another form.
pub fn ipv4(text: &str) -> Result<Ipv4Addr> {
    text.parse().ok().with_context(|| format!("{text:?} is not an IPv4 address"))
}

/// Reads an IPv6 address without brackets or a zone.
///
/// # Errors
/// When the text has another form.
pub fn ipv6(text: &str) -> Result<Ipv6Addr> {
    text.parse().ok().with_context(|| format!("{text:?} is not an IPv6 address"))
}

/// Reads the hardware address of one interface: six pairs of hexadecimal digits with ":" or "-" between them.
///
/// # Errors
/// When the text has another form, or is an address of a group, which the kernel gives to no interface.
pub fn mac(text: &str) -> Result<Mac> {
    let form = || format!("{text:?} is not a hardware address; the form is 02:42:ac:11:00:02");
    let mark = if text.contains('-') { '-' } else { ':' };
    let byte = |pair: &str| {
        let digits = pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit());
        digits.then(|| u8::from_str_radix(pair, 16).ok())?
    };
    let bytes: Vec<u8> = text.split(mark).map(byte).collect::<Option<_>>().with_context(form)?;
    let mac = Mac::try_from(bytes).ok().with_context(form)?;
    ensure!(mac[0] & 1 == 0 && mac != [0; 6], "{text:?} is not the address of one interface: make the first byte even");
    Ok(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_strictly() {
        assert_eq!(ipv4("10.1.0.9").expect("IPv4"), Ipv4Addr::new(10, 1, 0, 9));
        assert_eq!(ipv6("fd00::9").expect("IPv6").to_string(), "fd00::9");
        for text in ["", "10.1.0", "010.1.0.9", "10.1.0.9/24", "fd00::9", " 10.1.0.9"] {
            assert!(ipv4(text).is_err(), "{text:?} was taken");
        }
        for text in ["", "10.1.0.9", "[fd00::9]", "fe80::1%eth0", "fd00::9/64"] {
            assert!(ipv6(text).is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn a_hardware_address_is_that_of_one_interface() {
        for text in ["02:42:ac:11:00:02", "02-42-AC-11-00-02"] {
            assert_eq!(mac(text).expect(text), [2, 0x42, 0xac, 0x11, 0, 2]);
        }
        for text in
            ["", "02:42:ac:11:00", "02:42:ac:11:00:02:03", "2:42:ac:11:0:2", "02:42-ac:11:00:02", "+2:42:ac:11:00:02"]
        {
            assert!(mac(text).is_err(), "{text:?} was taken");
        }
        for text in ["01:00:5e:00:00:01", "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00"] {
            assert!(mac(text).expect_err(text).to_string().contains("one interface"), "{text}");
        }
    }
}
