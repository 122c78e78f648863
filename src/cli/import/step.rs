//! The next step of taking a service over, from what is seen at the moment. Pure: it does not know what was done
//! before, so that a takeover that was broken off goes on where it stands.

use std::collections::BTreeMap;

use super::servers::{Backend, Sorted};
use crate::api::Name;
use crate::snapshot::AdminState;
use crate::world::swarm::Running;

/// What is seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Picture {
    /// The instances that answered, all of them.
    pub instances: BTreeMap<Name, Sorted>,
    /// Servers of other load balancers that lead to the service and take requests, with their instances.
    pub others: Vec<String>,
    /// What the old service asks for.
    pub service: Running,
    /// How many tasks carry the rollout's whole traffic.
    pub replicas: u32,
    /// The rollout.
    pub rollout: Condition,
    /// Whether open requests of the old servers have had their time.
    pub drain: Drain,
}

/// How the rollout is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// Its first revision serves.
    Healthy,
    /// Anything else.
    Other,
}

/// Whether open requests have had their time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drain {
    /// They go on.
    Running,
    /// The rollout's `drainTimeout` has passed.
    Over,
}

/// Servers, by instance.
pub(super) type Servers = BTreeMap<Name, Vec<String>>;

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing, and why it cannot go on.
    Refuse(String),
    /// Nothing yet: the rollout's own servers are not all there, here not on this instance.
    AwaitOurs(String),
    /// The old servers get nothing new.
    Drain(Servers),
    /// Their open requests end by themselves: so many are left.
    AwaitRequests(u32),
    /// They are taken out.
    Maintain(Servers),
    /// The old service gets no tasks.
    Stop,
    /// All is done.
    Done,
}

/// The next step.
pub(super) fn next(picture: &Picture) -> Step {
    if let Some(reason) = obstacle(picture) {
        return Step::Refuse(reason);
    }
    let theirs = || {
        picture
            .instances
            .values()
            .flat_map(|sorted| sorted.theirs.values())
    };
    if let Some(waits) = short(picture) {
        return Step::AwaitOurs(waits);
    }
    let ready = those(picture, AdminState::Ready);
    if !ready.is_empty() {
        return Step::Drain(ready);
    }
    let draining = those(picture, AdminState::Drain);
    let open: u32 = theirs()
        .filter(|server| server.admin == AdminState::Drain)
        .map(|server| server.sessions)
        .sum();
    match (draining.is_empty(), open, picture.drain) {
        (false, 1.., Drain::Running) => Step::AwaitRequests(open),
        (false, _, _) => Step::Maintain(draining),
        (true, _, _) if picture.service == Running::Replicas(0) => Step::Done,
        (true, _, _) => Step::Stop,
    }
}

/// Why it cannot go on, whatever time passes.
fn obstacle(picture: &Picture) -> Option<String> {
    for (instance, sorted) in &picture.instances {
        if sorted.backend == Backend::Missing {
            return Some(format!(
                "{instance} does not have the rollout's back end; add it to haproxy.cfg and reload"
            ));
        }
        if let Some((server, address)) = sorted.unknown.iter().next() {
            return Some(format!(
                "{instance}: it is not clear whether server {server} ({address}) leads to the service; if it does, name it by \
                 `--server {server}`, else by `--keep-server {server}`"
            ));
        }
        if let Some(other) = sorted.elsewhere.first() {
            return Some(format!(
                "{instance}: {other} leads to the service as well and takes requests there; turn these to the rollout's \
                 back end first"
            ));
        }
    }
    if let Some(other) = picture.others.first() {
        return Some(format!(
            "{other} leads to the service as well and takes requests there, from another LoadBalancer than the rollout's; \
             turn these to the rollout's back end first"
        ));
    }
    let none_leads = picture
        .instances
        .values()
        .all(|sorted| sorted.theirs.is_empty());
    let asks = picture.service != Running::Replicas(0);
    (none_leads && asks).then(|| {
        "no server of the back end leads to the service, so its requests come another way (the routing mesh, another \
         proxy, other services): turn them to the rollout's back end first, and then stop the service by `docker service \
         scale`; or name the servers by `--server`"
            .to_owned()
    })
}

/// Where too few of the rollout's servers would take requests to do without the old ones (TRAFFIC-5).
fn short(picture: &Picture) -> Option<String> {
    if picture.rollout == Condition::Other {
        return Some("the rollout is not Healthy".to_owned());
    }
    let mut instances = picture.instances.iter();
    let (instance, sorted) = instances.find(|(_, sorted)| sorted.ours_ready < picture.replicas)?;
    Some(format!(
        "{instance}: {} of {} servers of the rollout are ready",
        sorted.ours_ready, picture.replicas
    ))
}

fn those(picture: &Picture, admin: AdminState) -> Servers {
    let of_instance = |(instance, sorted): (&Name, &Sorted)| {
        let theirs = sorted
            .theirs
            .iter()
            .filter(|(_, server)| server.admin == admin);
        let names: Vec<_> = theirs.map(|(name, _)| name.clone()).collect();
        (!names.is_empty()).then(|| (instance.clone(), names))
    };
    picture.instances.iter().filter_map(of_instance).collect()
}

#[cfg(test)]
mod tests {
    use super::super::servers::Theirs;
    use super::*;

    fn theirs(admin: AdminState, sessions: u32) -> BTreeMap<String, Theirs> {
        let server = Theirs {
            admin,
            sessions,
            address: "10.0.0.7:80".to_owned(),
        };
        BTreeMap::from([("old-1".to_owned(), server)])
    }

    fn name(text: &str) -> Name {
        text.parse().expect("a name")
    }

    /// Two instances on which the rollout is whole; the old server is as given on both.
    fn picture(admin: AdminState, sessions: u32) -> Picture {
        let sorted = Sorted {
            ours_ready: 2,
            theirs: theirs(admin, sessions),
            backend: Backend::There,
            ..Sorted::default()
        };
        Picture {
            instances: BTreeMap::from([(name("lb-1"), sorted.clone()), (name("lb-2"), sorted)]),
            others: Vec::new(),
            service: Running::Replicas(3),
            replicas: 2,
            rollout: Condition::Healthy,
            drain: Drain::Running,
        }
    }

    fn on(instances: &[&str]) -> Servers {
        let one = |text: &&str| (name(text), vec!["old-1".to_owned()]);
        instances.iter().map(one).collect()
    }

    #[test]
    fn traffic_4_the_old_service_stops_last() {
        let both = on(&["lb-1", "lb-2"]);
        let mut seen = picture(AdminState::Ready, 4);
        assert_eq!(next(&seen), Step::Drain(both.clone()));
        seen = picture(AdminState::Drain, 4);
        assert_eq!(next(&seen), Step::AwaitRequests(8));
        seen.drain = Drain::Over;
        assert_eq!(next(&seen), Step::Maintain(both.clone()));
        assert_eq!(next(&picture(AdminState::Drain, 0)), Step::Maintain(both));
        seen = picture(AdminState::Maintenance, 0);
        assert_eq!(next(&seen), Step::Stop);
        seen.service = Running::Replicas(0);
        assert_eq!(next(&seen), Step::Done);
    }

    #[test]
    fn traffic_6_an_instance_that_was_reloaded_is_drained_again_before_anything_stops() {
        let mut seen = picture(AdminState::Maintenance, 0);
        let reloaded = seen.instances.get_mut("lb-2").expect("there");
        reloaded.theirs = theirs(AdminState::Ready, 0);
        assert_eq!(next(&seen), Step::Drain(on(&["lb-2"])));
    }

    #[test]
    fn traffic_5_nothing_is_drained_where_the_rollout_is_not_whole() {
        for admin in [
            AdminState::Ready,
            AdminState::Drain,
            AdminState::Maintenance,
        ] {
            let mut seen = picture(admin, 0);
            seen.instances.get_mut("lb-2").expect("there").ours_ready = 1;
            assert!(matches!(next(&seen), Step::AwaitOurs(_)), "{admin:?}");
            let mut seen = picture(admin, 0);
            seen.rollout = Condition::Other;
            assert!(matches!(next(&seen), Step::AwaitOurs(_)), "{admin:?}");
        }
    }

    #[test]
    fn what_is_not_clear_is_not_guessed() {
        let refused = |change: fn(&mut Sorted)| {
            let mut seen = picture(AdminState::Ready, 0);
            change(seen.instances.get_mut("lb-2").expect("there"));
            match next(&seen) {
                Step::Refuse(reason) => reason,
                other => panic!("{other:?}"),
            }
        };
        let unknown = refused(|sorted| {
            sorted
                .unknown
                .insert("x".to_owned(), "10.9.9.9:80".to_owned());
        });
        assert!(unknown.contains("--keep-server x"), "{unknown}");
        let elsewhere = refused(|sorted| sorted.elsewhere.push("api/b".to_owned()));
        assert!(elsewhere.contains("api/b"), "{elsewhere}");
        let missing = refused(|sorted| sorted.backend = Backend::Missing);
        assert!(missing.contains("lb-2"), "{missing}");
    }

    #[test]
    fn what_another_load_balancer_sends_to_the_service_is_not_lost() {
        for admin in [
            AdminState::Ready,
            AdminState::Drain,
            AdminState::Maintenance,
        ] {
            let mut seen = picture(admin, 0);
            seen.others.push("office/lb-1: api/b".to_owned());
            let Step::Refuse(reason) = next(&seen) else {
                panic!("{admin:?}");
            };
            assert!(reason.starts_with("office/lb-1: api/b leads"), "{reason}");
        }
    }

    #[test]
    fn a_service_that_no_server_leads_to_is_left_running() {
        let mut seen = picture(AdminState::Ready, 0);
        for sorted in seen.instances.values_mut() {
            sorted.theirs.clear();
        }
        assert!(matches!(next(&seen), Step::Refuse(_)));
        seen.service = Running::Replicas(0);
        assert_eq!(next(&seen), Step::Done);
    }
}
