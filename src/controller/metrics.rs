//! The controller's own metrics, in the OpenMetrics text format.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::api::Name;
use crate::gitops::SourceReport;
use crate::reconcile::TurnReport;

mod sources;
use sources::Sources;

/// The controller's own metrics.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    turns: Family<TurnLabels, Counter>,
    duration: Histogram,
    leader: Gauge,
    phases: Family<PhaseLabels, Gauge>,
    weights: Family<RolloutLabels, Gauge>,
    waiting: Family<WaitingLabels, Gauge>,
    failures: Family<RolloutLabels, Counter<u64, AtomicU64>>,
    sources: Sources,
    /// The rollouts that have such a count: it goes on from turn to turn, and ends with its rollout. Held while the
    /// rollouts' state is noted, and while it is read: nobody reads half of it.
    failed: Mutex<BTreeSet<Name>>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct TurnLabels {
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct PhaseLabels {
    rollout: String,
    phase: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RolloutLabels {
    rollout: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct WaitingLabels {
    rollout: String,
    on: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All metrics at 0.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("rolloutctl");
        let turns = Family::default();
        registry.register(
            "turns",
            "Turns of the reconcile loop, by outcome",
            turns.clone(),
        );
        // From 1 ms to 16 s.
        let duration = Histogram::new(exponential_buckets(0.001, 2.0, 15));
        registry.register_with_unit(
            "turn_duration",
            "How long turns took",
            Unit::Seconds,
            duration.clone(),
        );
        let leader = Gauge::default();
        registry.register(
            "leader",
            "1 while this controller acts, 0 while it stands by",
            leader.clone(),
        );
        let phases = Family::default();
        registry.register(
            "rollout_phase",
            "1 for the phase of each rollout",
            phases.clone(),
        );
        let weights = Family::default();
        registry.register(
            "rollout_weight_percent",
            "The canary's intended share of the requests",
            weights.clone(),
        );
        let waiting = Family::default();
        registry.register(
            "rollout_waiting",
            "1 for what each rollout waits for",
            waiting.clone(),
        );
        let failures = Family::default();
        registry.register(
            "action_failures",
            "Turns in which actions of a rollout failed",
            failures.clone(),
        );
        let sources = Sources::new(&mut registry);
        Self {
            registry,
            turns,
            duration,
            leader,
            phases,
            weights,
            waiting,
            failures,
            sources,
            failed: Mutex::default(),
        }
    }

    /// Counts a turn that was carried out.
    pub(super) fn turn_done(&self, took: Duration) {
        self.turn("done", took);
    }

    /// Counts a turn that was not carried out.
    pub(super) fn turn_failed(&self, took: Duration) {
        self.turn("failed", took);
    }

    fn turn(&self, outcome: &'static str, took: Duration) {
        self.turns.get_or_create(&TurnLabels { outcome }).inc();
        self.duration.observe(took.as_secs_f64());
    }

    /// This controller acts.
    pub(super) fn leads(&self) {
        self.leader.set(1);
    }

    /// Another controller acts.
    pub(super) fn stands_by(&self) {
        self.leader.set(0);
    }

    /// Notes the state of every rollout; one that is gone leaves no trace.
    pub(super) fn rollouts(&self, report: &TurnReport) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        self.phases.clear();
        self.weights.clear();
        self.waiting.clear();
        failed.retain(|name| {
            let is_there = report.rollouts.contains_key(name);
            if !is_there {
                let rollout = name.to_string();
                self.failures.remove(&RolloutLabels { rollout });
            }
            is_there
        });
        for (name, found) in &report.rollouts {
            let rollout = name.to_string();
            let phase = found.phase.as_str();
            self.phases
                .get_or_create(&PhaseLabels {
                    rollout: rollout.clone(),
                    phase,
                })
                .set(1);
            self.weights
                .get_or_create(&RolloutLabels {
                    rollout: rollout.clone(),
                })
                .set(i64::from(found.weight));
            if let Some(on) = found.waiting_on {
                self.waiting
                    .get_or_create(&WaitingLabels {
                        rollout: rollout.clone(),
                        on,
                    })
                    .set(1);
            }
            if found.problem.is_some() {
                failed.insert(name.clone());
                self.failures
                    .get_or_create(&RolloutLabels { rollout })
                    .inc();
            }
        }
    }

    /// Notes the state of every GitOps source.
    pub(super) fn sources(&self, reports: &[SourceReport]) {
        let _whole = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        self.sources.note(reports);
    }

    /// All metrics as OpenMetrics text.
    pub fn encode(&self) -> String {
        let _whole = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Phase;
    use crate::reconcile::{RolloutReport, Work};

    fn report(names: &[&str]) -> TurnReport {
        let found = RolloutReport {
            phase: Phase::Progressing,
            weight: 5,
            waiting_on: Some("tasks"),
            work: Work::None,
            may_lie: Duration::ZERO,
            problem: Some("no space left".to_owned()),
        };
        let rollouts = names.iter().map(|name| {
            let name: Name = name.parse().expect("a name");
            (name, found.clone())
        });
        TurnReport {
            rollouts: rollouts.collect(),
            ..TurnReport::default()
        }
    }

    #[test]
    fn who_reads_meets_every_rollout_whenever_that_is() {
        let metrics = Metrics::new();
        let all = report(&["shop", "web"]);
        metrics.rollouts(&all);
        std::thread::scope(|scope| {
            let noting = scope.spawn(|| (0..500).for_each(|_| metrics.rollouts(&all)));
            while !noting.is_finished() {
                std::thread::yield_now(); // Else who notes may wait for long.
                let text = metrics.encode();
                for rollout in ["shop", "web"] {
                    let gauge = format!("rollout_weight_percent{{rollout=\"{rollout}\"}} 5");
                    assert!(text.contains(&gauge), "{text}");
                }
            }
        });
    }

    #[test]
    fn a_rollout_that_is_gone_leaves_no_trace_and_the_others_keep_their_counts() {
        let metrics = Metrics::new();
        metrics.rollouts(&report(&["shop", "web"]));
        metrics.rollouts(&report(&["shop", "web"]));
        assert!(metrics.encode().contains("rollout=\"shop\""));
        metrics.rollouts(&report(&["web"]));
        let text = metrics.encode();
        assert!(!text.contains("shop"), "{text}");
        let kept = "rolloutctl_action_failures_total{rollout=\"web\"} 3";
        assert!(text.contains(kept), "{text}");
        metrics.rollouts(&report(&["shop"]));
        let anew = "rolloutctl_action_failures_total{rollout=\"shop\"} 1";
        assert!(metrics.encode().contains(anew), "{}", metrics.encode());
    }
}
