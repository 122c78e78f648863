//! Whether a service still is what we made it.
//!
//! Each service carries, in a label, the spec with which it was made. Both that and what the engine
//! shows now are brought into one form (what is empty or a default is left out, what has no order is
//! sorted) and compared. So neither a newer release of ours, which may build specs in another way,
//! nor an engine that fills in its defaults can look like another hand.

use serde_json::{Map, Value};

use super::labels;

/// Lists in which the order says nothing.
const UNORDERED: [&str; 10] = [
    "Env",
    "Networks",
    "Secrets",
    "Configs",
    "Constraints",
    "Mounts",
    "Ports",
    "Hosts",
    "CapabilityAdd",
    "CapabilityDrop",
];

/// Values that mean the same as nothing, by key.
const DEFAULTS: [(&str, &str); 2] = [("Isolation", "default"), ("Runtime", "container")];

/// How many differences are named.
const NAMED: usize = 3;

/// The spec in the form in which it is compared, for the label [`labels::MADE`].
pub(super) fn fingerprint(spec: &Value) -> String {
    normal(spec).to_string()
}

/// In what `spec` differs from what its label says it was made; none if in nothing.
pub(super) fn find(spec: &Value) -> Option<String> {
    let made = spec["Labels"][labels::MADE]
        .as_str()
        .map(serde_json::from_str::<Value>);
    let made = match made {
        Some(Ok(made)) => tidy("", made).unwrap_or(Value::Null),
        Some(Err(_)) => return Some(format!("the label {} is not ours", labels::MADE)),
        None => return Some(format!("the label {} is missing", labels::MADE)),
    };
    let mut differences = Vec::new();
    compare("", &made, &normal(spec), &mut differences);
    let more = differences.len().saturating_sub(NAMED);
    differences.truncate(NAMED);
    if more > 0 {
        differences.push(format!("{more} more"));
    }
    (!differences.is_empty()).then(|| differences.join("; "))
}

fn normal(spec: &Value) -> Value {
    let mut value = spec.clone();
    if let Value::Object(spec) = &mut value {
        // How many tasks there are is the planner's business, and the mode cannot be changed.
        spec.remove("Mode");
        remove(spec, "Labels", labels::MADE);
        // `docker service update --force` starts the tasks anew and changes nothing else. To put
        // the counter back would start them once more.
        remove(spec, "TaskTemplate", "ForceUpdate");
    }
    tidy("", value).unwrap_or(Value::Null)
}

fn remove(spec: &mut Map<String, Value>, parent: &str, key: &str) {
    if let Some(Value::Object(parent)) = spec.get_mut(parent) {
        parent.remove(key);
    }
}

/// Leaves out what is empty, and sorts what has no order.
fn tidy(key: &str, value: Value) -> Option<Value> {
    match value {
        Value::Null | Value::Bool(false) => None,
        Value::Number(number) if number.as_f64() == Some(0.0) => None,
        Value::String(text) if text.is_empty() || DEFAULTS.contains(&(key, text.as_str())) => None,
        Value::Array(items) => {
            let mut items: Vec<_> = items
                .into_iter()
                .map(|item| tidy("", item).unwrap_or(Value::Null))
                .collect();
            if UNORDERED.contains(&key) {
                items.sort_by_cached_key(Value::to_string);
            }
            (!items.is_empty()).then_some(Value::Array(items))
        }
        Value::Object(map) => {
            // Labels, environment and options mean what they say, even if it is `false` or nothing.
            let free = matches!(key, "Labels" | "Options" | "Sysctls");
            let map: Map<_, _> = map
                .into_iter()
                .filter_map(|(key, value)| {
                    let value = if free { Some(value) } else { tidy(&key, value) };
                    value.map(|value| (key, value))
                })
                .collect();
            (!map.is_empty()).then_some(Value::Object(map))
        }
        kept @ (Value::Bool(true) | Value::Number(_) | Value::String(_)) => Some(kept),
    }
}

fn compare(path: &str, made: &Value, found: &Value, differences: &mut Vec<String>) {
    if made == found {
        return;
    }
    let nothing = Map::new();
    let (made_map, found_map) = match (made, found) {
        (Value::Object(made), Value::Object(found)) => (made, found),
        (Value::Object(made), Value::Null) => (made, &nothing),
        (Value::Null, Value::Object(found)) => (&nothing, found),
        _ => return differences.push(describe(path, made, found)),
    };
    let mut keys: Vec<_> = made_map.keys().chain(found_map.keys()).collect();
    keys.sort();
    keys.dedup();
    for key in keys {
        let path = if path.is_empty() {
            key.clone()
        } else {
            format!("{path}.{key}")
        };
        let (made, found) = (made_map.get(key), found_map.get(key));
        compare(
            &path,
            made.unwrap_or(&Value::Null),
            found.unwrap_or(&Value::Null),
            differences,
        );
    }
}

/// Names a difference. Values are shown only where they cannot be anybody's secret.
fn describe(path: &str, made: &Value, found: &Value) -> String {
    let name = path
        .trim_start_matches("TaskTemplate.")
        .trim_start_matches("ContainerSpec.");
    if name == "Env" {
        return format!("Env: {}", variables(made, found));
    }
    let plain = |value: &Value| match value {
        Value::Null => Some("none".to_owned()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::String(text) if name == "Image" => Some(text.clone()),
        Value::String(_) | Value::Array(_) | Value::Object(_) => None,
    };
    match (plain(found), plain(made)) {
        (Some(found), Some(made)) => format!("{name}: {found} instead of {made}"),
        _ if made.is_null() => format!("{name} added"),
        _ if found.is_null() => format!("{name} taken away"),
        _ => format!("{name} changed"),
    }
}

/// The names of the environment variables that differ.
fn variables(made: &Value, found: &Value) -> String {
    let lines = |value: &Value| -> Vec<String> {
        let lines = value.as_array().into_iter().flatten();
        lines
            .filter_map(|line| line.as_str().map(str::to_owned))
            .collect()
    };
    let (made, found) = (lines(made), lines(found));
    let only = |one: &[String], other: &[String]| -> Vec<String> {
        one.iter()
            .filter(|line| !other.contains(line))
            .map(|line| line.split('=').next().unwrap_or_default().to_owned())
            .collect()
    };
    let mut names = only(&found, &made);
    names.extend(only(&made, &found));
    names.sort();
    names.dedup();
    format!("{} changed", names.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spec(image: &str, env: &[&str]) -> Value {
        json!({
            "Name": "web-0123456789",
            "Labels": {},
            "TaskTemplate": {"ContainerSpec": {"Image": image, "Env": env}},
        })
    }

    /// What the engine would show of `found`, had it been made as `made`.
    fn drift(made: &Value, mut found: Value) -> Option<String> {
        found["Labels"][labels::MADE] = Value::String(fingerprint(made));
        find(&found)
    }

    #[test]
    fn safety_3_what_the_engine_fills_in_is_no_other_hand() {
        let made = spec("app:v1", &["B=2", "A=1"]);
        let mut found = spec("app:v1", &["A=1", "B=2"]);
        found["Mode"] = json!({"Replicated": {"Replicas": 7}});
        let task = &mut found["TaskTemplate"];
        task["Runtime"] = json!("container");
        task["ForceUpdate"] = json!(7);
        task["Placement"] = json!({});
        task["Resources"] = json!({"Limits": {}, "Reservations": {}});
        task["ContainerSpec"]["Isolation"] = json!("default");
        task["ContainerSpec"]["Init"] = json!(false);
        task["ContainerSpec"]["DNSConfig"] = json!({});
        assert_eq!(drift(&made, found), None);
    }

    #[test]
    fn safety_3_another_image_is_named() {
        let said = drift(&spec("app:v1", &[]), spec("app:v2", &[]));
        assert_eq!(said.as_deref(), Some("Image: app:v2 instead of app:v1"));
    }

    #[test]
    fn the_environment_is_told_by_name_only() {
        let said = drift(
            &spec("a", &["X=1"]),
            spec("a", &["X=1", "PASSWORD=hunter2"]),
        );
        assert_eq!(said.as_deref(), Some("Env: PASSWORD changed"));
    }

    #[test]
    fn of_what_is_not_a_number_only_the_name_is_told() {
        let made = spec("a", &[]);
        let mut found = made.clone();
        found["TaskTemplate"]["ContainerSpec"]["Args"] = json!(["--password=hunter2"]);
        assert_eq!(drift(&made, found).as_deref(), Some("Args added"));
    }

    #[test]
    fn a_service_without_our_label_has_drifted() {
        assert!(find(&spec("a", &[])).is_some());
    }

    #[test]
    fn a_label_with_an_empty_value_is_a_label() {
        let made = spec("a", &[]);
        let mut found = made.clone();
        found["Labels"]["team"] = json!("");
        assert_eq!(drift(&made, found).as_deref(), Some("Labels.team added"));
    }
}
