//! Checks of the Swarm: the engine, its role, its clock, the store in it, who controls.

use jiff::Timestamp;

use super::finding::Finding;
use crate::api::Duration;
use crate::world::docker::{ConnectError, Inspection, SwarmRole};
use crate::world::store::Contents;
use crate::world::swarm::SwarmFacts;
use crate::world::{Lease, WorldError};

/// Clocks further apart than this make ages, bake times and measurement windows wrong.
const SKEW: Duration = Duration::from_secs(2);

/// There is no connection.
pub fn unreachable(error: &ConnectError) -> Finding {
    Finding::fail(
        "engine",
        error,
        "choose the engine with --host, --context, DOCKER_HOST or DOCKER_CONTEXT",
    )
}

/// There is a connection and no answer.
pub fn silent(error: &WorldError) -> Finding {
    Finding::fail("engine", error, "look at the engine's log")
}

/// What the engine says of itself. It was asked at `asked` and had answered by `answered`.
pub fn judge(inspection: &Inspection, asked: Timestamp, answered: Timestamp) -> Vec<Finding> {
    vec![
        Finding::ok(
            "engine",
            format_args!(
                "Docker {} at {}, API {}",
                inspection.version, inspection.address, inspection.api_version
            ),
        ),
        role(&inspection.role),
        clock("engine clock", inspection.clock, asked, answered),
    ]
}

fn role(role: &SwarmRole) -> Finding {
    const CHECK: &str = "swarm";
    match role {
        SwarmRole::Outside => Finding::fail(
            CHECK,
            "this engine is in no Swarm",
            "run `docker swarm init` or `docker swarm join`, or choose another engine",
        ),
        SwarmRole::Worker => Finding::fail(
            CHECK,
            "this engine is a worker, and only managers answer for the Swarm",
            "choose a manager with --host or --context, or run `docker node promote` on one",
        ),
        SwarmRole::Broken(problem) => Finding::fail(
            CHECK,
            format_args!("this engine's Swarm is not active: {problem}"),
            "see `docker info` and the engine's log; a locked one needs `docker swarm unlock`",
        ),
        SwarmRole::Manager { managers: 1, nodes } => Finding::info(
            CHECK,
            format_args!("one manager; nodes in all: {nodes}"),
            "without this manager nothing can be rolled out; three survive the loss of one",
        ),
        SwarmRole::Manager { managers, nodes } if managers % 2 == 0 => Finding::warn(
            CHECK,
            format_args!("{managers} managers, {nodes} nodes"),
            "an even number survives the loss of no more managers than one fewer would",
        ),
        SwarmRole::Manager { managers, nodes } => {
            Finding::ok(CHECK, format_args!("{managers} managers, {nodes} nodes"))
        }
    }
}

/// How far another clock is from ours. It was read at some instant between `asked` and `answered`.
pub fn clock(
    check: &str,
    theirs: Option<Timestamp>,
    asked: Timestamp,
    answered: Timestamp,
) -> Finding {
    let Some(theirs) = theirs else {
        return Finding::info(
            check,
            "it does not tell its time",
            "compare the clocks by hand",
        );
    };
    let early = Duration::between(theirs, asked);
    let late = Duration::between(answered, theirs);
    let skew = early.max(late);
    if skew <= SKEW {
        Finding::ok(check, format_args!("within {SKEW} of this machine's"))
    } else {
        let direction = if early > late { "behind" } else { "ahead of" };
        Finding::warn(
            check,
            format_args!("{skew} {direction} this machine's"),
            "let NTP keep the clocks of this machine, the nodes and InfluxDB together",
        )
    }
}

/// Whether the store can be written.
pub fn writable(result: Result<(), WorldError>) -> Finding {
    match result {
        Ok(()) => Finding::ok("store", "configs can be created and removed"),
        Err(error) => Finding::fail(
            "store",
            error,
            "the Docker user, or an authorization plugin, must allow configs to be created, updated and removed",
        ),
    }
}

/// Whether everything in the store can be read.
pub fn readable(contents: &Result<Contents, WorldError>) -> Finding {
    const CHECK: &str = "resources";
    match contents {
        Err(error) => Finding::fail(CHECK, error, "the store cannot be read"),
        Ok(contents) => match contents.unreadable.first() {
            None => Finding::ok(
                CHECK,
                format_args!("{} in the store", contents.resources.len()),
            ),
            Some(first) => Finding::warn(
                CHECK,
                format_args!(
                    "{} cannot be read, the first is {}: {}",
                    contents.unreadable.len(),
                    first.name,
                    first.problem
                ),
                "use the release that wrote them",
            ),
        },
    }
}

/// Whether all nodes are there.
pub fn nodes(facts: Result<SwarmFacts, WorldError>) -> Finding {
    const CHECK: &str = "nodes";
    match facts {
        Err(error) => Finding::fail(CHECK, error, "services, tasks and nodes must be listable"),
        Ok(facts) => {
            let down: Vec<_> = facts
                .nodes
                .values()
                .filter(|node| !node.ready)
                .map(|node| node.hostname.as_str())
                .collect();
            if down.is_empty() {
                Finding::ok(CHECK, format_args!("all {} are ready", facts.nodes.len()))
            } else {
                Finding::warn(
                    CHECK,
                    format_args!("{} not ready: {}", down.len(), down.join(", ")),
                    "their tasks get no traffic; see `docker node ls`",
                )
            }
        }
    }
}

/// Whether somebody controls.
pub fn controller(lease: Result<Option<Lease>, WorldError>) -> Finding {
    const CHECK: &str = "controller";
    match lease {
        Err(error) => Finding::fail(CHECK, error, "the lease must be readable"),
        Ok(Some(lease)) if !lease.holder.is_empty() => {
            Finding::ok(CHECK, format_args!("{} holds the lease", lease.holder))
        }
        Ok(_) => Finding::info(
            CHECK,
            "none holds the lease",
            "nothing is rolled out until `rolloutctl controller` runs",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::preflight::finding::Grade;

    #[test]
    fn only_a_manager_will_do() {
        let manager = |managers| SwarmRole::Manager { managers, nodes: 5 };
        for (found, grade) in [
            (SwarmRole::Outside, Grade::Fail),
            (SwarmRole::Worker, Grade::Fail),
            (SwarmRole::Broken("locked".to_owned()), Grade::Fail),
            (manager(1), Grade::Info),
            (manager(2), Grade::Warn),
            (manager(3), Grade::Ok),
        ] {
            assert_eq!(role(&found).grade, grade, "{found:?}");
        }
    }

    #[test]
    fn a_clock_is_judged_by_what_the_reply_allows_at_most() {
        let at = |seconds| Timestamp::from_second(seconds).expect("in range");
        let judged = |theirs| clock("clock", Some(at(theirs)), at(100), at(105));
        for (theirs, grade) in [
            (97, Grade::Warn),
            (98, Grade::Ok),
            (107, Grade::Ok),
            (108, Grade::Warn),
        ] {
            assert_eq!(judged(theirs).grade, grade, "{theirs}");
        }
        assert_eq!(judged(97).message, "3s behind this machine's");
        assert_eq!(clock("clock", None, at(0), at(1)).grade, Grade::Info);
    }
}
