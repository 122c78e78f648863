//! The committed JSON Schemas in `schema/` are those that the types of `api` give.

use std::fs;
use std::path::Path;

use rolloutctl::api::Kind;
use rolloutctl::manifest::{schema, schema_all};
use serde_json::Value;

fn check(name: &str, schema: &Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("schema")
        .join(format!("{name}.json"));
    let fresh = format!("{schema:#}\n");
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        fs::write(&path, fresh).expect("the schema can be written");
        return;
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == fresh,
        "schema/{name}.json is not what the types give; \
         run `UPDATE_SCHEMA=1 cargo test --test schema` and commit the result"
    );
}

#[test]
fn committed_schemas_have_not_drifted() {
    for kind in Kind::ALL {
        check(kind.singular(), &schema(kind));
    }
    check("all", &schema_all());
}
