// SPDX-License-Identifier: Apache-2.0
//! The expressions of a rule of nf_tables: whether they drop or reject every packet.

use gorae_kernel::netlink::{attribute, half};

// linux/netfilter/nf_tables.h, linux/netfilter/nf_tables_compat.h
const NFTA_EXPR_NAME: u16 = 1;
const NFTA_EXPR_DATA: u16 = 2;
const NFTA_IMMEDIATE_DATA: u16 = 2;
const NFTA_DATA_VERDICT: u16 = 2;
const NFTA_VERDICT_CODE: u16 = 1;
/// Of a module of iptables.
const NFTA_TARGET_NAME: u16 = 1;
const NFTA_MATCH_NAME: u16 = 1;
const NF_DROP: [u8; 4] = [0; 4];

/// Whether a list of expressions refuses whatever comes: nothing before the refusal asks anything of the packet.
pub fn refuse_all(mut list: &[u8]) -> bool {
    while let Some((expression, rest)) = next(list) {
        let name = attribute(expression, NFTA_EXPR_NAME).map(text).unwrap_or_default();
        let data = attribute(expression, NFTA_EXPR_DATA).unwrap_or_default();
        match name {
            "reject" => return true,
            "immediate" => return verdict(data) == Some(&NF_DROP[..]),
            "target" => return attribute(data, NFTA_TARGET_NAME).map(text) == Some("REJECT"),
            "counter" | "log" => {}
            "match" if attribute(data, NFTA_MATCH_NAME).map(text) == Some("comment") => {}
            _ => return false,
        }
        list = rest;
    }
    false
}

fn verdict(data: &[u8]) -> Option<&[u8]> {
    attribute(attribute(attribute(data, NFTA_IMMEDIATE_DATA)?, NFTA_DATA_VERDICT)?, NFTA_VERDICT_CODE)
}

/// The first element of a list, and the rest.
fn next(list: &[u8]) -> Option<(&[u8], &[u8])> {
    let len = usize::from(half(list, 0)?);
    Some((list.get(4..len)?, list.get(len.next_multiple_of(4)..).unwrap_or_default()))
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default().trim_end_matches('\0')
}

#[cfg(test)]
mod tests {
    use super::*;
    use gorae_kernel::netlink::attribute_of;

    fn expression(name: &str, data: &[u8]) -> Vec<u8> {
        attribute_of(1, &[attribute_of(NFTA_EXPR_NAME, name.as_bytes()), attribute_of(NFTA_EXPR_DATA, data)].concat())
    }

    fn with_verdict(code: u32) -> Vec<u8> {
        let code = attribute_of(NFTA_VERDICT_CODE, &code.to_be_bytes());
        expression("immediate", &attribute_of(NFTA_IMMEDIATE_DATA, &attribute_of(NFTA_DATA_VERDICT, &code)))
    }

    #[test]
    fn only_a_refusal_without_a_question_is_one_of_all() {
        let [counter, payload] = ["counter", "payload"].map(|name| expression(name, &[]));
        let target = |name: &str| expression("target", &attribute_of(NFTA_TARGET_NAME, name.as_bytes()));
        let comment = expression("match", &attribute_of(NFTA_MATCH_NAME, b"comment\0"));
        for all in
            [with_verdict(0), expression("reject\0", &[]), target("REJECT\0"), [comment, with_verdict(0)].concat()]
        {
            assert!(refuse_all(&[&counter[..], &all].concat()));
            assert!(!refuse_all(&[&payload[..], &all].concat()));
        }
        let state = expression("match", &attribute_of(NFTA_MATCH_NAME, b"conntrack\0"));
        for other in
            [Vec::new(), with_verdict(1), target("LOG\0"), counter, [state, with_verdict(0)].concat(), vec![9, 0, 1]]
        {
            assert!(!refuse_all(&other), "{other:?}");
        }
    }
}
