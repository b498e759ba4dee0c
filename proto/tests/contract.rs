// SPDX-License-Identifier: Apache-2.0
//! Compares `proto/api.proto` with the table of the CRI, `data/cri-v1-fields.tsv`, in both directions: a row that the
//! file lacks fails the test, and so does anything in the file that has no row.

use protox::prost_reflect::{
    Cardinality, DescriptorPool, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, Value,
};
use std::collections::BTreeSet;

const TABLE: &str = include_str!("data/cri-v1-fields.tsv");
const PACKAGE: &str = "runtime.v1.";

fn api() -> DescriptorPool {
    let mut compiler = protox::Compiler::new(["proto"]).expect("the include directory is there");
    compiler.open_file("api.proto").expect("api.proto compiles");
    compiler.descriptor_pool()
}

/// The rows of one section of the table, without its heading and comments.
fn section(number: u32) -> BTreeSet<String> {
    let heading = format!("# section {number}:");
    let rows = TABLE.lines().skip_while(|l| !l.starts_with(&heading)).skip(1);
    rows.take_while(|l| !l.starts_with("# section")).filter(|l| !l.starts_with('#')).map(str::to_owned).collect()
}

/// The text after a marker at the start of a comment line, in the whole table.
fn marked(marker: &str) -> BTreeSet<String> {
    TABLE.lines().filter_map(|l| l.strip_prefix(marker)).map(|l| l.trim().to_owned()).collect()
}

fn name(full: &str) -> &str {
    full.strip_prefix(PACKAGE).unwrap_or(full)
}

/// Every message in the file, without the hidden ones of maps.
fn messages(pool: &DescriptorPool) -> impl Iterator<Item = MessageDescriptor> + '_ {
    pool.all_messages().filter(|m| m.full_name().starts_with(PACKAGE) && !m.is_map_entry())
}

fn enums(pool: &DescriptorPool) -> impl Iterator<Item = EnumDescriptor> + '_ {
    pool.all_enums().filter(|e| e.full_name().starts_with(PACKAGE))
}

fn type_name(field: &FieldDescriptor) -> String {
    match field.kind() {
        Kind::Message(entry) if entry.is_map_entry() => {
            let (key, value) = (entry.map_entry_key_field(), entry.map_entry_value_field());
            format!("map<{},{}>", type_name(&key), type_name(&value))
        }
        Kind::Message(message) => name(message.full_name()).to_owned(),
        Kind::Enum(kind) => name(kind.full_name()).to_owned(),
        scalar => format!("{scalar:?}").to_lowercase(),
    }
}

fn label(field: &FieldDescriptor) -> String {
    match field.containing_oneof() {
        Some(oneof) if field.field_descriptor_proto().proto3_optional() => {
            assert!(oneof.name().starts_with('_'), "the compiler's own oneof of {}", field.full_name());
            "optional".to_owned()
        }
        Some(oneof) => format!("oneof:{}", oneof.name()),
        None if field.is_map() => "map".to_owned(),
        None if field.cardinality() == Cardinality::Repeated => "repeated".to_owned(),
        None => "singular".to_owned(),
    }
}

fn option(field: &FieldDescriptor, wanted: &str) -> bool {
    field.options().get_field_by_name(wanted).is_some_and(|v| matches!(v.as_ref(), Value::Bool(true)))
}

fn field_row(field: &FieldDescriptor) -> String {
    let deprecated = if option(field, "deprecated") { "yes" } else { "no" };
    let message = field.parent_message();
    let (message, kind, label) = (name(message.full_name()), type_name(field), label(field));
    format!("{message}\t{}\t{}\t{kind}\t{label}\t{deprecated}", field.name(), field.number())
}

/// Fails and lists every row that only one side has.
fn assert_same(what: &str, table: &BTreeSet<String>, proto: &BTreeSet<String>) {
    assert!(!table.is_empty(), "the table has no {what}");
    let missing: Vec<_> = table.difference(proto).collect();
    let surplus: Vec<_> = proto.difference(table).collect();
    assert!(
        missing.is_empty() && surplus.is_empty(),
        "{what}: not in api.proto {missing:#?}, not in the table {surplus:#?}"
    );
}

#[test]
fn every_field_has_the_number_type_label_and_deprecation_of_the_table() {
    let pool = api();
    let fields = messages(&pool).flat_map(|m| m.fields().map(|f| field_row(&f)).collect::<Vec<_>>()).collect();
    assert_same("fields", &section(1), &fields);
    assert_eq!(fields.len(), 478);
}

#[test]
fn the_messages_without_fields_are_those_of_the_table() {
    let pool = api();
    let empty = messages(&pool).filter(|m| m.fields().len() == 0).map(|m| name(m.full_name()).to_owned()).collect();
    assert_same("empty messages", &marked("# empty\t"), &empty);
    assert_eq!(messages(&pool).count(), 175);
}

#[test]
fn every_enum_value_has_the_number_of_the_table() {
    let pool = api();
    let row = |e: &EnumDescriptor, v: &protox::prost_reflect::EnumValueDescriptor| {
        format!("{}\t{}\t{}", name(e.full_name()), v.name(), v.number())
    };
    let values = enums(&pool).flat_map(|e| e.values().map(|v| row(&e, &v)).collect::<Vec<_>>()).collect();
    assert_same("enum values", &section(2), &values);
    assert_eq!((enums(&pool).count(), values.len()), (11, 95));
}

#[test]
fn every_method_has_the_messages_and_the_streaming_of_the_table() {
    let pool = api();
    let methods: BTreeSet<_> = pool
        .services()
        .filter(|s| s.full_name().starts_with(PACKAGE))
        .flat_map(|s| s.methods().collect::<Vec<_>>())
        .map(|m| {
            assert!(!m.is_client_streaming(), "{} streams from the client", m.full_name());
            let streaming = if m.is_server_streaming() { "server" } else { "unary" };
            let (input, output) = (m.input(), m.output());
            let (service, input, output) = (m.parent_service(), name(input.full_name()), name(output.full_name()));
            format!("{}\t{}\t{input}\t{output}\t{streaming}", name(service.full_name()), m.name())
        })
        .collect();
    assert_same("methods", &section(3), &methods);
    assert_eq!(methods.len(), 43);
}

#[test]
fn the_fields_that_hold_secrets_are_marked_for_redaction() {
    let pool = api();
    let marked_fields: BTreeSet<_> = messages(&pool)
        .flat_map(|m| m.fields().collect::<Vec<_>>())
        .filter(|f| option(f, "debug_redact"))
        .map(|f| name(f.full_name()).to_owned())
        .collect();
    let line = marked("# section 6: fields carrying secrets (debug_redact in the proto):");
    let wanted = line.iter().flat_map(|l| l.split_whitespace()).map(str::to_owned).collect();
    assert_same("redacted fields", &wanted, &marked_fields);
}

#[test]
fn a_printed_auth_config_shows_no_secret() {
    let secret = || "s3cr3t".to_owned();
    let config = gorae_proto::cri::AuthConfig {
        username: secret(),
        password: secret(),
        auth: secret(),
        server_address: "registry.example".into(),
        identity_token: secret(),
        registry_token: secret(),
    };
    let printed = format!("{config:?} {config:#?}");
    assert!(printed.contains("registry.example") && !printed.contains("s3cr3t"), "{printed}");
}
