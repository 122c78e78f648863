//! Checks of haproxy.cfg, for what the runtime API does not show.
//!
//! Only as much of the file is read as the checks need: sections, and in them `option redispatch`,
//! `retries`, `hard-stop-after` (HAProxy manual, sections 2.3, 3 and 4).

use std::collections::{BTreeMap, BTreeSet};

use super::finding::Finding;
use super::{ConfigFile, Resources};
use crate::api::Resource;

/// What the files mean for the rollouts; without a file, what cannot be seen.
pub fn judge(resources: &Resources, files: &[ConfigFile]) -> Vec<Finding> {
    let routes: Vec<_> = resources
        .0
        .values()
        .filter_map(|resource| match resource {
            Resource::Rollout(manifest) => manifest.spec.route(),
            Resource::LoadBalancer(_)
            | Resource::MetricSource(_)
            | Resource::AnalysisTemplate(_) => None,
        })
        .collect();
    let wanted = routes.iter().map(|route| route.backend.as_str()).collect();
    if files.is_empty() {
        return vec![Finding::info(
            "haproxy.cfg",
            "whether `option redispatch`, `retries` and `hard-stop-after` are set cannot be seen through the runtime API",
            "name the file with --haproxy-config",
        )];
    }
    files
        .iter()
        .flat_map(|file| judge_file(&file.name, &Config::read(&file.text), &wanted))
        .collect()
}

fn judge_file(file: &str, config: &Config<'_>, wanted: &BTreeSet<&str>) -> Vec<Finding> {
    let mut findings = vec![if config.hard_stop_after {
        Finding::ok(file, "`hard-stop-after` is set")
    } else {
        Finding::warn(
            file,
            "`hard-stop-after` is not set: after a reload, old processes go on with the old weights for as long as a client stays connected",
            "write `hard-stop-after 30s`, or as long as the longest request takes, in the section `global`",
        )
    }];
    findings.extend(wanted.iter().map(|name| {
        let check = format!("{file} backend {name}");
        match config.backends.get(name) {
            None => Finding::warn(
                check,
                "not in this file",
                format_args!("add a section `backend {name}`, or name the file that has it"),
            ),
            Some(Settings {
                redispatch: Switch::Off | Switch::Unsaid,
                ..
            }) => Finding::warn(
                check,
                "`option redispatch` is not set: a request whose server just went away fails",
                "write `option redispatch 1` in it or in its defaults, and reload",
            ),
            Some(Settings {
                redispatch: Switch::On,
                retries: Retries::None,
            }) => Finding::warn(
                check,
                "`retries 0` leaves `option redispatch` nothing to do: a request whose server just went away fails",
                "write `retries 3`, or remove it, and reload",
            ),
            Some(Settings {
                redispatch: Switch::On,
                retries: Retries::Some,
            }) => Finding::ok(check, "`option redispatch` is set, and connections are tried again"),
        }
    }));
    findings
}

/// What matters here of a configuration.
#[derive(Debug, Default, PartialEq, Eq)]
struct Config<'a> {
    hard_stop_after: bool,
    backends: BTreeMap<&'a str, Settings>,
}

/// What matters here of a `defaults`, `backend` or `listen` section.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Settings {
    redispatch: Switch,
    retries: Retries,
}

/// Whether a connection that fails is tried again; where nothing is said, three times (section 4.2, "retries").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Retries {
    #[default]
    Some,
    None,
}

/// An option that may be set, unset (`no option …`) or not mentioned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Switch {
    On,
    Off,
    #[default]
    Unsaid,
}

/// The section at hand.
enum Section<'a> {
    Global,
    Defaults(Option<&'a str>),
    Backend(&'a str),
    Other,
}

impl<'a> Config<'a> {
    fn read(text: &'a str) -> Self {
        let mut config = Self::default();
        let mut named: BTreeMap<&str, Settings> = BTreeMap::new();
        let mut latest = Settings::default();
        let mut section = Section::Other;
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default();
            let words: Vec<_> = line.split_whitespace().collect();
            match words.as_slice() {
                ["global", ..] => section = Section::Global,
                ["defaults", rest @ ..] => {
                    let (name, parent) = heading(rest);
                    latest = parent
                        .and_then(|parent| named.get(parent))
                        .copied()
                        .unwrap_or_default();
                    section = Section::Defaults(name);
                }
                ["backend" | "listen", name, rest @ ..] => {
                    let parent = heading(rest).1;
                    let inherited = parent.map_or(Some(&latest), |parent| named.get(parent));
                    let inherited = inherited.copied().unwrap_or_default();
                    config.backends.insert(name, inherited);
                    section = Section::Backend(name);
                }
                [word, ..] if SECTIONS.contains(word) => section = Section::Other,
                words => match &section {
                    Section::Global => {
                        config.hard_stop_after |= words.first() == Some(&"hard-stop-after");
                    }
                    Section::Defaults(name) => {
                        latest.set(words);
                        if let Some(name) = name {
                            named.insert(name, latest);
                        }
                    }
                    Section::Backend(name) => {
                        if let Some(settings) = config.backends.get_mut(name) {
                            settings.set(words);
                        }
                    }
                    Section::Other => {}
                },
            }
        }
        config
    }
}

/// The other words that begin a section.
const SECTIONS: [&str; 14] = [
    "frontend",
    "userlist",
    "peers",
    "resolvers",
    "mailers",
    "program",
    "http-errors",
    "ring",
    "cache",
    "fcgi-app",
    "log-forward",
    "log-profile",
    "crt-store",
    "traces",
];

/// What stands after `defaults` or after a back end's name: `[NAME] [from NAME]`.
fn heading<'a>(words: &[&'a str]) -> (Option<&'a str>, Option<&'a str>) {
    match words {
        ["from", parent, ..] => (None, Some(parent)),
        [name, "from", parent, ..] => (Some(name), Some(parent)),
        [name, ..] => (Some(name), None),
        [] => (None, None),
    }
}

impl Settings {
    fn set(&mut self, words: &[&str]) {
        match words {
            ["option", "redispatch", ..] => self.redispatch = Switch::On,
            ["no", "option", "redispatch", ..] => self.redispatch = Switch::Off,
            ["retries", "0", ..] => self.retries = Retries::None,
            ["retries", ..] => self.retries = Retries::Some,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redispatch(text: &str) -> Vec<(&str, Switch)> {
        let config = Config::read(text);
        let backends = config.backends.into_iter();
        backends.map(|(name, s)| (name, s.redispatch)).collect()
    }

    #[test]
    fn options_come_from_the_section_and_its_defaults() {
        use Switch::{Off, On, Unsaid};
        let text = "
global
    hard-stop-after 30s # or so
defaults plain
    mode http
defaults safe from plain
    option redispatch 1
frontend in
    option redispatch
backend inherits
    balance roundrobin
backend refuses
    no option redispatch
backend chooses from plain
    # option redispatch
listen says from plain
    option redispatch
";
        assert_eq!(
            redispatch(text),
            [
                ("chooses", Unsaid),
                ("inherits", On),
                ("refuses", Off),
                ("says", On)
            ]
        );
        assert!(Config::read(text).hard_stop_after);
        assert!(!Config::read("backend a\n  hard-stop-after 3s\n").hard_stop_after);
    }

    #[test]
    fn a_backend_without_redispatch_is_found() {
        let config = Config::read("global\n hard-stop-after 1m\nbackend news-web\n");
        let found = judge_file("haproxy.cfg", &config, &["news-web", "shop"].into());
        let grades: Vec<_> = found
            .iter()
            .map(|finding| finding.grade.to_string())
            .collect();
        assert_eq!(grades, ["ok", "warn", "warn"]);
    }

    #[test]
    fn a_backend_that_never_tries_again_is_found() {
        let grade = |text: &str| {
            let found = judge_file("haproxy.cfg", &Config::read(text), &["news-web"].into());
            (found[1].grade.to_string(), found[1].message.clone())
        };
        let set = "defaults\n option redispatch 1\nbackend news-web\n";
        assert_eq!(grade(set).0, "ok");
        assert_eq!(grade(&format!("{set} retries 2\n")).0, "ok");
        let (grade, message) = grade(&format!("{set} retries 0\n"));
        assert_eq!(grade, "warn");
        assert!(message.contains("`retries 0`"), "{message}");
    }
}
