//! Which servers of a back end lead to the service that is taken over. Pure; nothing is guessed: a server leads there by
//! its address, or because somebody said so.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::Name;
use crate::snapshot::{
    AdminState, CheckState, OperationalState, ProxyFact, ServerFact, ServerName,
};
use crate::world::swarm::Ways;

/// What somebody said of servers that are not ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// They lead to the service.
    pub leaves: BTreeSet<String>,
    /// They have nothing to do with it.
    pub stays: BTreeSet<String>,
}

/// The servers of one instance, as far as they matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sorted {
    /// How many servers of the rollout would take a request.
    pub ours_ready: u32,
    /// Those that lead to the service.
    pub theirs: BTreeMap<String, Theirs>,
    /// Those that may lead there, with their addresses.
    pub unknown: BTreeMap<String, String>,
    /// Servers of other back ends that lead there too and take requests, as `BACKEND/SERVER`.
    pub elsewhere: Vec<String>,
    /// Whether the instance has the back end.
    pub backend: Backend,
}

/// Whether an instance has the back end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Backend {
    /// It has.
    There,
    /// It has not.
    #[default]
    Missing,
}

/// A server that leads to the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Theirs {
    /// What was asked of it.
    pub admin: AdminState,
    /// Its open requests.
    pub sessions: u32,
    /// Its address, for people.
    pub address: String,
}

/// Sorts the servers that `proxy` shows.
pub(super) fn sort(proxy: &ProxyFact, backend: &str, ways: &Ways, said: &Said) -> Sorted {
    let mut sorted = Sorted::default();
    for (name, servers) in &proxy.backends {
        if name != backend {
            sorted.elsewhere.extend(leading(name, servers, ways));
            continue;
        }
        sorted.backend = Backend::There;
        for (server, fact) in servers {
            if is_ours(server) {
                sorted.ours_ready += u32::from(takes_requests(fact));
            } else if said.stays.contains(server) {
            } else if said.leaves.contains(server) || leads(fact, ways) {
                sorted.theirs.insert(server.clone(), theirs(fact));
            } else if fact.admin != AdminState::Maintenance && fact.endpoint.is_some() {
                sorted.unknown.insert(server.clone(), address(fact));
            }
        }
    }
    sorted
}

/// Servers that lead to the service on instances of other load balancers, as `LOADBALANCER/INSTANCE: BACKEND/SERVER`.
pub(super) fn elsewhere(others: &BTreeMap<String, ProxyFact>, ways: &Ways) -> Vec<String> {
    let mut all = Vec::new();
    for (instance, proxy) in others {
        for (backend, servers) in &proxy.backends {
            let found = leading(backend, servers, ways);
            all.extend(found.map(|server| format!("{instance}: {server}")));
        }
    }
    all
}

/// The servers of a back end that lead to the service and take requests, as `BACKEND/SERVER`.
fn leading<'a>(
    backend: &'a str,
    servers: &'a BTreeMap<String, ServerFact>,
    ways: &'a Ways,
) -> impl Iterator<Item = String> + 'a {
    let lead = servers.iter().filter(|(server, fact)| {
        !is_ours(server) && fact.admin == AdminState::Ready && leads(fact, ways)
    });
    lead.map(move |(server, _)| format!("{backend}/{server}"))
}

/// A server that was named and is in the back end of no instance, or is the rollout's own.
pub(super) fn misnamed<'a>(
    said: &'a Said,
    backend: &str,
    proxies: &BTreeMap<Name, ProxyFact>,
) -> Option<&'a str> {
    let is_there = |server: &String| {
        let mut backends = proxies
            .values()
            .filter_map(|proxy| proxy.backends.get(backend));
        backends.any(|servers| servers.contains_key(server)) && !is_ours(server)
    };
    let mut named = said.leaves.iter().chain(&said.stays);
    named.find(|server| !is_there(server)).map(String::as_str)
}

fn is_ours(server: &str) -> bool {
    server.parse::<ServerName>().is_ok()
}

fn leads(fact: &ServerFact, ways: &Ways) -> bool {
    fact.endpoint
        .is_some_and(|endpoint| ways.lead_from(&endpoint))
}

fn takes_requests(fact: &ServerFact) -> bool {
    fact.admin == AdminState::Ready
        && fact.operational == OperationalState::Running
        && fact.check == CheckState::Passed
        && fact.weight.get() > 0
}

fn theirs(fact: &ServerFact) -> Theirs {
    Theirs {
        admin: fact.admin,
        sessions: fact.sessions,
        address: address(fact),
    }
}

fn address(fact: &ServerFact) -> String {
    fact.endpoint.map_or_else(
        || "no address".to_owned(),
        |endpoint| std::net::SocketAddr::new(endpoint.address, endpoint.port).to_string(),
    )
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::api::ServerWeight;
    use crate::snapshot::Endpoint;

    pub const OURS: &str = "0123456789.1.abcdefghijkl";

    /// A server at `10.0.0.LAST:80` that takes requests.
    pub fn server(last: u8) -> ServerFact {
        ServerFact {
            endpoint: Some(Endpoint {
                address: [10, 0, 0, last].into(),
                port: 80,
            }),
            admin: AdminState::Ready,
            operational: OperationalState::Running,
            unchanged_secs: 60,
            check: CheckState::Passed,
            weight: ServerWeight::new(1),
            sessions: 0,
        }
    }

    fn proxy(servers: &[(&str, &str, ServerFact)]) -> ProxyFact {
        let mut proxy = ProxyFact::default();
        for (backend, name, fact) in servers {
            let servers = proxy.backends.entry((*backend).to_owned()).or_default();
            servers.insert((*name).to_owned(), fact.clone());
        }
        proxy
    }

    /// The service has a task at 10.0.0.7.
    fn ways() -> Ways {
        Ways {
            addresses: BTreeSet::from([[10, 0, 0, 7].into()]),
            ..Ways::default()
        }
    }

    fn said(leaves: &[&str], stays: &[&str]) -> Said {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Said {
            leaves: set(leaves),
            stays: set(stays),
        }
    }

    #[test]
    fn a_server_leads_to_the_service_by_its_address_or_because_somebody_said_so() {
        let proxy = proxy(&[
            ("web", OURS, server(1)),
            ("web", "by-address", server(7)),
            ("web", "named", server(8)),
            ("web", "sorry-page", server(9)),
            ("web", "who-knows", server(10)),
        ]);
        let sorted = sort(&proxy, "web", &ways(), &said(&["named"], &["sorry-page"]));
        let theirs: Vec<_> = sorted.theirs.keys().map(String::as_str).collect();
        assert_eq!(theirs, ["by-address", "named"]);
        let unknown: Vec<_> = sorted.unknown.into_iter().collect();
        assert_eq!(
            unknown,
            [("who-knows".to_owned(), "10.0.0.10:80".to_owned())]
        );
        assert_eq!(sorted.ours_ready, 1);
    }

    #[test]
    fn what_gets_no_requests_is_no_question() {
        let in_maintenance = ServerFact {
            admin: AdminState::Maintenance,
            ..server(10)
        };
        let without_address = ServerFact {
            endpoint: None,
            ..server(11)
        };
        let proxy = proxy(&[("web", "a", in_maintenance), ("web", "b", without_address)]);
        let sorted = sort(&proxy, "web", &ways(), &Said::default());
        assert_eq!((sorted.unknown.len(), sorted.theirs.len()), (0, 0));
    }

    #[test]
    fn a_server_that_is_named_must_be_a_foreign_one_of_the_back_end() {
        let proxy = proxy(&[
            ("web", "old", server(7)),
            ("web", OURS, server(1)),
            ("api", "b", server(8)),
        ]);
        let proxies = BTreeMap::from([("lb-1".parse().expect("a name"), proxy)]);
        let wrong = |said: &Said| misnamed(said, "web", &proxies).map(str::to_owned);
        assert_eq!(wrong(&said(&["old"], &[])), None);
        for name in ["odl", "b", OURS] {
            assert_eq!(wrong(&said(&[name], &["old"])).as_deref(), Some(name));
            assert_eq!(wrong(&said(&[], &[name])).as_deref(), Some(name));
        }
    }

    #[test]
    fn other_back_ends_that_lead_there_are_seen() {
        let proxy = proxy(&[
            ("web", "a", server(7)),
            ("api", "b", server(7)),
            ("api", "c", server(8)),
        ]);
        let sorted = sort(&proxy, "web", &ways(), &Said::default());
        assert_eq!(sorted.elsewhere, ["api/b"]);
        assert_eq!(
            sort(&proxy, "shop", &ways(), &Said::default()).backend,
            Backend::Missing
        );
    }

    /// There is no back end there that the rollout serves: whatever leads to the service is lost with it.
    #[test]
    fn every_back_end_of_another_load_balancer_that_leads_there_is_seen() {
        let drained = ServerFact {
            admin: AdminState::Drain,
            ..server(7)
        };
        let proxy = proxy(&[
            ("web", "a", server(7)),
            ("web", "b", drained),
            ("api", "c", server(7)),
            ("api", "d", server(8)),
        ]);
        let others = BTreeMap::from([("office/lb-1".to_owned(), proxy)]);
        assert_eq!(
            elsewhere(&others, &ways()),
            ["office/lb-1: api/c", "office/lb-1: web/a"]
        );
    }

    #[test]
    fn traffic_5_ours_count_only_when_they_would_take_a_request() {
        let weightless = ServerFact {
            weight: ServerWeight::new(0),
            ..server(1)
        };
        let unchecked = ServerFact {
            check: CheckState::Pending,
            ..server(1)
        };
        let down = ServerFact {
            operational: OperationalState::Stopped,
            ..server(1)
        };
        for fact in [weightless, unchecked, down] {
            let proxy = proxy(&[("web", OURS, fact)]);
            assert_eq!(sort(&proxy, "web", &ways(), &Said::default()).ours_ready, 0);
        }
    }
}
