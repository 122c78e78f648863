//! What an import finds: a service's template, what goes with it, and what a Rollout cannot express; and the manifest
//! that is written from that. Where it is found is elsewhere: a Compose file by `compose`, a running service
//! by [`crate::world`].

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

use crate::api::{API_VERSION, Kind, Name, Reach, Template};

/// A service that is to become a rollout's.
#[derive(Clone, Debug, PartialEq)]
pub struct Adoptee {
    /// What the Swarm or the file calls it.
    pub service: String,
    /// What one of its tasks runs, as far as a template says it.
    pub template: Template,
    /// How many tasks it asks for; none if it says no number.
    pub replicas: Option<u32>,
    /// The container's TCP ports that it publishes.
    pub ports: Vec<u16>,
    /// By which names other services on its networks can call it.
    pub names: BTreeSet<String>,
    /// What a Rollout cannot express or does in another way.
    pub remarks: Vec<Remark>,
}

/// Something of the service that is not in the manifest as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// Where it stands: `stack.yml:12:5` or `service/news_web`.
    pub place: String,
    /// The field, as in `deploy.update_config`.
    pub field: String,
    /// What becomes of it.
    pub effect: Effect,
    /// Why.
    pub problem: String,
    /// What to do instead.
    pub remedy: String,
}

/// What becomes of something that a Rollout has no field for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// Tasks would run differently, or somebody would no longer reach them: a person must look.
    Lost,
    /// The rollout does it in its own way.
    Replaced,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            place,
            field,
            effect,
            problem,
            remedy,
        } = self;
        let mark = match effect {
            Effect::Lost => "not taken over: ",
            Effect::Replaced => "",
        };
        write!(f, "{place}: {field}: {mark}{problem}; {remedy}")
    }
}

/// A value of the manifest that the service does not tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice<T> {
    /// Somebody said it, or it follows from what is there.
    Said(T),
    /// It is a guess, and somebody must decide; the text says what.
    Open(T, &'static str),
}

impl<T> Choice<T> {
    /// The value, decided or not.
    pub const fn value(&self) -> &T {
        match self {
            Self::Said(value) | Self::Open(value, _) => value,
        }
    }

    /// What somebody must decide.
    pub const fn question(&self) -> Option<&'static str> {
        match self {
            Self::Said(_) => None,
            Self::Open(_, question) => Some(question),
        }
    }
}

/// What a Rollout says and a service does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The rollout's name.
    pub name: Name,
    /// The `LoadBalancer`.
    pub load_balancer: Choice<Name>,
    /// The `backend` section.
    pub backend: Choice<String>,
    /// The container's port.
    pub port: Choice<u16>,
    /// By which address the proxies reach a task.
    pub reach: Choice<Reach>,
}

/// Bytes as a template writes them, with the largest unit that fits: 134 217 728 is `128M`.
pub fn memory(bytes: u64) -> String {
    for (unit, size) in [("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10)] {
        if bytes.is_multiple_of(size) {
            return format!("{}{unit}", bytes / size);
        }
    }
    bytes.to_string()
}

/// Why no rollout's task is on the network `name`, and what to do about it, if it is one that each node has for itself.
pub fn of_the_node(name: &str) -> Option<(String, &'static str)> {
    let is_one = ["host", "bridge", "none"].contains(&name);
    is_one.then(|| {
        (
            format!("each node has a network `{name}` of its own, on which HAProxy cannot tell tasks apart"),
            "name an overlay network that HAProxy is on, or choose `reach: host`, which publishes a port of the node for each task",
        )
    })
}

/// The name that is proposed for a rollout of the service `service`: a DNS label that is near it; none if
/// nothing of it can stand in one.
pub fn proposed_name(service: &str) -> Option<Name> {
    let letters = service.chars().map(|letter| match letter {
        'A'..='Z' => letter.to_ascii_lowercase(),
        'a'..='z' | '0'..='9' => letter,
        _ => '-',
    });
    let text: String = letters.collect();
    let longest = Kind::Rollout.max_name_len();
    let text: String = text.trim_matches('-').chars().take(longest).collect();
    text.trim_matches('-').parse().ok()
}

/// The manifest, as YAML with a remark at each open choice.
pub fn manifest(adoptee: &Adoptee, terms: &Terms) -> String {
    let mut lines = vec![
        format!(
            "# Imported from the service {}.",
            one_line(&adoptee.service)
        ),
        format!("apiVersion: {API_VERSION}"),
        format!("kind: {}", Kind::Rollout),
        format!("metadata: {{name: {}}}", scalar(terms.name.as_str())),
        "spec:".to_owned(),
    ];
    lines.push(field(2, "replicas", &replicas(adoptee)));
    lines.push("  template:".to_owned());
    lines.extend(template(&adoptee.template));
    lines.push("  traffic:".to_owned());
    let load_balancer = map(&terms.load_balancer, |name| scalar(name.as_str()));
    lines.push(field(4, "loadBalancer", &load_balancer));
    let backend = map(&terms.backend, |backend| scalar(backend));
    lines.push(field(4, "backend", &backend));
    lines.push(field(4, "port", &terms.port));
    let reach = map(&terms.reach, |reach| match reach {
        Reach::Network => "network",
        Reach::Host => "host",
    });
    lines.push(field(4, "reach", &reach));
    lines.extend(STRATEGY.lines().map(str::to_owned));
    lines.join("\n") + "\n"
}

/// A rollout has at least one task.
fn replicas(adoptee: &Adoptee) -> Choice<u32> {
    match adoptee.replicas {
        None => Choice::Open(1, "the service says no number of tasks"),
        Some(0) => Choice::Open(
            1,
            "the service asks for 0 tasks, which a rollout cannot have; how many did it have, and is it to run at all?",
        ),
        Some(number) => Choice::Said(number),
    }
}

/// A beginning: what is right depends on the traffic.
const STRATEGY: &str = "  strategy:
    canary:
      stages: # a beginning; add `analysis` to have every stage measured
        - {weight: 5, bake: 5m}
        - {weight: 50, bake: 5m}";

fn map<T, U>(choice: &Choice<T>, change: impl Fn(&T) -> U) -> Choice<U> {
    match choice {
        Choice::Said(value) => Choice::Said(change(value)),
        Choice::Open(value, question) => Choice::Open(change(value), question),
    }
}

fn field<T: fmt::Display>(indent: usize, name: &str, choice: &Choice<T>) -> String {
    let line = format!("{:indent$}{name}: {}", "", choice.value());
    match choice.question() {
        None => line,
        Some(question) => format!("{line} # decide: {question}"),
    }
}

/// The template's lines, in the order of its fields, indented to stand below `template:`.
fn template(template: &Template) -> Vec<String> {
    let text = serde_yaml::to_string(template).expect("a template is YAML");
    let indented = |line: &str| match line {
        "" => String::new(),
        line => format!("    {line}"),
    };
    text.lines().map(indented).collect()
}

/// A text as it must stand to be read as that text.
fn scalar(text: &str) -> String {
    super::to_yaml(&Value::from(text)).trim_end().to_owned()
}

fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::api::Resource;
    use crate::manifest::{Known, Source, parse};

    fn adoptee(template: Value) -> Adoptee {
        Adoptee {
            service: "news_web".to_owned(),
            template: serde_json::from_value(template).expect("a template"),
            replicas: Some(3),
            ports: vec![8080],
            names: BTreeSet::new(),
            remarks: Vec::new(),
        }
    }

    fn terms() -> Terms {
        Terms {
            name: "news-web".parse().expect("a name"),
            load_balancer: Choice::Open("edge".parse().expect("a name"), "which LoadBalancer?"),
            backend: Choice::Said("news-web".to_owned()),
            port: Choice::Said(8080),
            reach: Choice::Said(Reach::Host),
        }
    }

    fn read_back(text: &str) -> Template {
        let parsed = parse(&[Source::new("imported", text)], Known::SourcesOnly);
        assert!(!parsed.has_errors(), "{:#?}\n{text}", parsed.diagnostics);
        match &parsed.resources[0].resource {
            Resource::Rollout(rollout) => rollout.spec.template.clone(),
            Resource::LoadBalancer(_)
            | Resource::MetricSource(_)
            | Resource::AnalysisTemplate(_) => panic!("a rollout was written"),
        }
    }

    #[test]
    fn the_manifest_is_valid_and_says_what_is_to_be_decided() {
        let adoptee = adoptee(json!({"image": "web:1.0", "environment": {"A": "on", "B": "12"}}));
        let text = manifest(&adoptee, &terms());
        assert!(
            text.contains("    loadBalancer: edge # decide: which LoadBalancer?\n"),
            "{text}"
        );
        assert_eq!(read_back(&text), adoptee.template);
    }

    #[test]
    fn a_service_of_no_tasks_is_told_as_such() {
        let adoptee = Adoptee {
            replicas: Some(0),
            ..adoptee(json!({"image": "web:1.0"}))
        };
        let text = manifest(&adoptee, &terms());
        let told =
            "  replicas: 1 # decide: the service asks for 0 tasks, which a rollout cannot have";
        assert!(text.contains(told), "{text}");
        read_back(&text);
    }

    #[test]
    fn a_name_that_is_no_dns_label_becomes_one() {
        let proposed = |service: &str| proposed_name(service).map(|name| name.to_string());
        assert_eq!(proposed("news_web"), Some("news-web".to_owned()));
        assert_eq!(proposed("News.Web_"), Some("news-web".to_owned()));
        assert_eq!(proposed("__"), None);
        let long = "a".repeat(44) + "_b";
        assert_eq!(proposed(&long), Some("a".repeat(44)));
    }

    proptest! {
        #[test]
        fn whatever_a_variable_holds_is_read_back(value in "\\PC{0,30}", label in "[ -~\n\t]{0,60}") {
            let template = json!({"image": "web:1.0", "environment": {"A": value}, "labels": {"l": label}});
            let adoptee = adoptee(template);
            prop_assert_eq!(read_back(&manifest(&adoptee, &terms())), adoptee.template);
        }
    }
}
