//! From what a proxy shows to what it should: the changes, in the order in which no request is
//! lost and the canary's share never passes its target on the way.

use std::collections::BTreeSet;

use super::picture::{Picture, Role, Server};
use crate::action::{ServerChange, ServerVerb};
use crate::api::ServerWeight;
use crate::snapshot::{AdminState, ServerFact, ServerName};

/// Which servers that leave may be cut although requests are open.
pub(in crate::plan) struct Overdue(pub BTreeSet<ServerName>);

/// The changes that bring one back end from what was seen to what `picture` wants.
pub(in crate::plan) fn changes(picture: &Picture, overdue: &Overdue) -> Vec<ServerChange> {
    let mut steps: Vec<(Order, ServerChange)> = Vec::new();
    let relieved = picture.is_relieved();
    for server in &picture.servers {
        let mut step = |order, verb| {
            let server = server.name.clone();
            steps.push((order, ServerChange { server, verb }));
        };
        match (server.role, server.seen) {
            (Role::Stable | Role::Canary | Role::Warm, _) => keep(picture, server, &mut step),
            (Role::Leaving, Some(fact)) if relieved || !server.takes_requests() => {
                let patience = if overdue.0.contains(&server.name) {
                    Patience::Over
                } else {
                    Patience::Left
                };
                leave(fact, patience, &mut step);
            }
            (Role::Leaving, _) => {}
        }
    }
    if !relieved && picture.servers.iter().any(is_leaving_and_serves) {
        steps.retain(|(order, _)| !order.enlarges_the_canarys_part());
    }
    // The sort is stable: within a step, servers stay in the order of their names.
    steps.sort_by_key(|(order, _)| *order);
    steps.into_iter().map(|(_, change)| change).collect()
}

/// The order of the changes of one turn. Stable is strengthened before anything is weakened, and
/// the canary is raised before stable is lowered, so that somebody always serves.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Order {
    Enter,
    RaiseStable,
    Weaken,
    RaiseCanary,
    LowerStable,
    Remove,
}

impl Order {
    /// What waits while one that leaves serves on as nobody relieves it: its weight is in the measure of before.
    const fn enlarges_the_canarys_part(self) -> bool {
        match self {
            Self::RaiseCanary | Self::LowerStable => true,
            Self::Enter | Self::RaiseStable | Self::Weaken | Self::Remove => false,
        }
    }
}

fn is_leaving_and_serves(server: &Server) -> bool {
    server.role == Role::Leaving && server.takes_requests()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Patience {
    Left,
    Over,
}

fn keep(picture: &Picture, server: &Server, step: &mut impl FnMut(Order, ServerVerb)) {
    let target = picture.target(server);
    let weight = match (server.seen, server.wanted) {
        (None, None) => return,
        (None, Some(endpoint)) => {
            step(Order::Enter, ServerVerb::Add(endpoint));
            step(Order::Enter, ServerVerb::Enable);
            ServerWeight::ZERO
        }
        (Some(fact), _) => {
            if fact.admin != AdminState::Ready {
                step(Order::Enter, ServerVerb::Enable);
            }
            fact.weight
        }
    };
    if weight != target {
        step(
            order_of(server.role, weight, target),
            ServerVerb::Weigh(target),
        );
    }
}

fn order_of(role: Role, from: ServerWeight, to: ServerWeight) -> Order {
    match (role, to > from) {
        (Role::Stable, true) => Order::RaiseStable,
        (Role::Stable, false) => Order::LowerStable,
        (Role::Canary, true) => Order::RaiseCanary,
        (Role::Canary | Role::Warm | Role::Leaving, _) => Order::Weaken,
    }
}

/// One server's way out (TRAFFIC-4), one step a turn: weight 0 and drain; once that is seen and
/// nothing is open, or patience is over, maintenance; what is still open is cut; removal.
///
/// Maintenance and removal never share a turn: HAProxy closes a server's idle connections some time
/// after the command, and refuses to remove it before (2.6.12, measured).
fn leave(fact: &ServerFact, patience: Patience, step: &mut impl FnMut(Order, ServerVerb)) {
    if !fact.weight.is_zero() {
        step(Order::Weaken, ServerVerb::Weigh(ServerWeight::ZERO));
    }
    match fact.admin {
        AdminState::Ready => step(Order::Weaken, ServerVerb::Drain),
        AdminState::Drain if fact.sessions > 0 && patience == Patience::Left => {}
        AdminState::Drain => step(Order::Remove, ServerVerb::Maintain),
        AdminState::Maintenance if fact.sessions == 0 => step(Order::Remove, ServerVerb::Delete),
        AdminState::Maintenance => match patience {
            Patience::Left => {}
            Patience::Over => step(Order::Remove, ServerVerb::Cut),
        },
    }
}
