//! The format of a story: a title, why it is told, and the steps of a script, as `stories/*.yaml` have them.
//!
//! The words are those of CONTRIBUTING.md. An unknown field or word is an error.

use std::collections::BTreeMap;

use rolloutctl::api::{Dependents, Duration, Verb};
use rolloutctl::manifest::from_yaml;
use serde::Deserialize;
use serde_json::Value;

use crate::condition::Condition;
use crate::rollout::Changes;

/// What stands in the place of an image where an undo finds it by itself.
pub const BEFORE: &str = "before";

/// A story.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Script {
    /// What happens, in a sentence.
    pub title: String,
    /// Why that matters, with the rules that it shows.
    pub why: String,
    /// Whether the lab can play it too.
    #[serde(default)]
    pub lab: bool,
    /// How the rollout differs from the usual one (`rollout.rs`).
    #[serde(default)]
    pub rollout: Changes,
    /// How images behave; those that are not named are good.
    #[serde(default)]
    pub images: BTreeMap<String, Behaviour>,
    /// Why requests may be lost although a version serves; none may if this is absent.
    #[serde(default)]
    pub may_lose: Option<String>,
    /// What is done, one after the other.
    pub steps: Vec<Told>,
}

/// A step, with what stands in the script.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Value")]
pub struct Told {
    pub step: Step,
    pub text: String,
}

/// One step.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Step {
    /// Applies the rollout with these changes of what was applied before.
    Apply(Box<Changes>),
    /// Deletes the rollout.
    Delete(Dependents),
    /// Gives a command.
    Command(Order),
    /// Goes back to an image, or to what served [`BEFORE`].
    Undo(String),
    /// Waits until all this has held for a second.
    Until(Awaited),
    /// Waits until all this holds, and not longer.
    AsSoonAs(Awaited),
    /// Lets time pass.
    Wait(Duration),
    /// What images do from here on.
    Behave(BTreeMap<String, Behaviour>),
    /// What the metric source answers from here on.
    Metric(Metric),
    /// A process of that image is killed.
    KillTask(String),
    /// All processes of that image are killed.
    KillTasks(String),
    /// `docker service scale`.
    ScaleByHand { image: String, to: u32 },
    /// `docker service update` of something that is not a rollout's.
    EditByHand(String),
    /// `docker service rm`.
    RemoveByHand(String),
    /// Somebody sets the weight of a server of that image at a proxy.
    WeighByHand {
        haproxy: String,
        image: String,
        weight: u16,
    },
    /// The controller.
    Controller(Process),
    /// A second controller.
    Standby(Process),
    /// The controller dies at one of its next calls, the first or a later one.
    CrashAtCall { number: u32, done: bool },
    /// What happens to proxies.
    Haproxy(BTreeMap<String, Proxy>),
    /// What happens to nodes, by their number.
    Node(BTreeMap<String, Node>),
    /// What lies between the controller and everything else.
    Network(Network),
    /// The metric source is deleted, or applied again.
    MetricSource(Presence),
}

/// How an image's tasks behave.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Behaviour {
    /// They answer well.
    Good,
    /// They answer one request in five with an error.
    Bad,
    /// They run and never listen.
    NeverReady,
    /// There is no such image, or no such program in it.
    DoesNotStart,
    /// They listen twenty seconds after their start.
    SlowStart,
    /// They end when they are told to, whatever is open.
    StopsAtOnce,
}

/// What is done to a controller.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Process {
    Start,
    Stop,
    Kill,
    /// Killed, and started at once.
    Restart,
}

/// What happens to a proxy.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proxy {
    /// It ends, and runs again after two seconds.
    Restart,
    Reload,
    /// Its runtime API cannot be reached.
    Cut,
    /// Its runtime API takes connections and says nothing.
    Hang,
    /// It answers again.
    Return,
}

/// What happens to a node.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Node {
    /// No tasks for it any more.
    Drain,
    /// Tasks for it again.
    Activate,
    /// Its power is gone.
    Crash,
    /// It is back.
    Return,
}

/// What lies between the controller and everything else.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Network {
    /// One call in twenty goes wrong, in each way in which it can.
    Lossy,
    Sound,
}

/// Whether something is there.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Presence {
    Deleted,
    Applied,
}

/// What the metric source answers.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Value")]
pub enum Metric {
    /// The canary's true share of errors.
    Truth,
    Value(f64),
    NoData,
    Null,
    Partial,
    Error,
    Never,
    /// The truth, so much later.
    Late(Duration),
}

/// A command, as it is typed.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct Order(pub Verb);

/// What is waited for.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Value")]
pub struct Awaited {
    pub all: Vec<Condition>,
}

impl TryFrom<Value> for Told {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let text = match &value {
            Value::Object(fields) => {
                let fields = fields
                    .iter()
                    .map(|(name, value)| format!("{name}: {}", flow(value)));
                fields.collect::<Vec<_>>().join(", ")
            }
            other => flow(other),
        };
        let step = serde_json::from_value(value);
        let step = step.map_err(|error| format!("step `{text}`: {error}"))?;
        Ok(Self { step, text })
    }
}

/// A value on one line, as YAML has it.
fn flow(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(name, value)| format!("{name}: {}", flow(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(flow).collect();
            format!("[{}]", items.join(", "))
        }
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

impl TryFrom<String> for Order {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let verbs = [
            Verb::Promote,
            Verb::PromoteFull,
            Verb::Pause,
            Verb::Resume,
            Verb::Abort,
            Verb::Retry,
        ];
        let found = verbs.into_iter().find(|verb| verb.to_string() == text);
        found.map(Self).ok_or_else(|| {
            let known = verbs.map(|verb| verb.to_string()).join(", ");
            format!("`{text}` is no command; known are {known}")
        })
    }
}

impl TryFrom<Value> for Metric {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        if let Some(number) = value.as_f64() {
            return Ok(Self::Value(number));
        }
        let text = value.as_str().unwrap_or_default();
        if let Some(by) = text.strip_prefix("late ") {
            let by: Result<Duration, _> = by.parse();
            return by.map(Self::Late).map_err(|error| error.to_string());
        }
        match text {
            "truth" => Ok(Self::Truth),
            "no data" => Ok(Self::NoData),
            "null" => Ok(Self::Null),
            "partial" => Ok(Self::Partial),
            "error" => Ok(Self::Error),
            "never" => Ok(Self::Never),
            _ => Err(format!(
                "the metric cannot be `{value}`; write a number, truth, no data, null, partial, error, never, or late 5s"
            )),
        }
    }
}

impl TryFrom<Value> for Awaited {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let one_or_many = match value {
            Value::Array(many) => many,
            one => vec![one],
        };
        let texts: Option<Vec<&str>> = one_or_many.iter().map(Value::as_str).collect();
        let texts = texts.ok_or("a condition is a text, or a list of texts")?;
        let all: Result<Vec<Condition>, String> = texts.iter().map(|text| text.parse()).collect();
        Ok(Self { all: all? })
    }
}

impl Step {
    /// Whether time passes in it.
    pub fn waits(&self) -> bool {
        matches!(self, Self::Until(_) | Self::AsSoonAs(_) | Self::Wait(_))
    }
}

impl Script {
    /// Reads one.
    pub fn read(text: &str) -> Result<Self, String> {
        let value = from_yaml(text)?;
        serde_json::from_value(value).map_err(|error| error.to_string())
    }

    /// Whether calls go wrong in it.
    pub fn is_lossy(&self) -> bool {
        self.steps
            .iter()
            .any(|told| matches!(told.step, Step::Network(Network::Lossy)))
    }
}
