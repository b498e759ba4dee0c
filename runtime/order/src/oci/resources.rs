// SPDX-License-Identifier: Apache-2.0
//! `linux.resources`.

use super::object::object;
use crate::devices::DeviceRule;
use crate::resources::{Limit, Resources};
use serde_json::{Map, Value, json};

pub(super) fn write(limits: &Resources, rules: &[DeviceRule]) -> Value {
    let unified: Map<String, Value> =
        limits.unified.iter().map(|(file, value)| (file.clone(), value.as_str().into())).collect();
    let pages = limits.hugepages.iter().map(|pages| json!({"pageSize": pages.page_size, "limit": pages.bytes}));
    object([
        ("devices", rules.iter().map(rule).collect()),
        ("cpu", unless_empty(cpu(limits))),
        ("memory", unless_empty(memory(limits))),
        ("pids", limits.pids.map_or(Value::Null, |limit| json!({"limit": limit.number()}))),
        ("hugepageLimits", unless_empty(pages.collect())),
        ("unified", unless_empty(unified.into())),
    ])
}

fn cpu(limits: &Resources) -> Value {
    object([
        ("shares", json!(limits.cpu_shares)),
        ("quota", json!(limits.cpu_quota_us.map(Limit::number))),
        ("period", json!(limits.cpu_period_us)),
        ("cpus", json!(limits.cpuset_cpus)),
        ("mems", json!(limits.cpuset_mems)),
    ])
}

fn memory(limits: &Resources) -> Value {
    object([
        ("limit", json!(limits.memory.map(Limit::number))),
        ("swap", json!(limits.memory_and_swap.map(Limit::number))),
    ])
}

fn rule(rule: &DeviceRule) -> Value {
    object([
        ("allow", rule.allow.into()),
        ("type", rule.kind.letter().into()),
        ("major", json!(rule.major)),
        ("minor", json!(rule.minor)),
        ("access", rule.access.letters().into()),
    ])
}

fn unless_empty(value: Value) -> Value {
    let empty = match &value {
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    };
    if empty { Value::Null } else { value }
}
