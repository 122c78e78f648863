//! A lower `replicas`, where Swarm itself chooses which tasks to stop.

use crate::daemon::{Collector, Controller};
use crate::lab::{Lab, PATIENCE};
use crate::load::{Load, Options, Totals};
use crate::manifest::Manifest;

/// Half of the requests are slow.
fn slow(slow_ms: &'static str) -> Options {
    Options {
        rps: 60,
        connections: 200,
        slow_share: 0.5,
        slow_ms,
        close_share: 0.1,
    }
}

/// Has the rollout want `replicas`, and waits until so many tasks serve at both proxies and no other one is left.
fn scale(lab: &Lab, name: &str, manifest: &Manifest, replicas: u32) {
    manifest.clone().replicas(replicas).apply(lab);
    let wanted = usize::try_from(replicas).expect("a few");
    lab.until(&format!("{name}: {replicas} tasks serve"), PATIENCE, || {
        let servers = |proxy: &Option<rolloutctl::snapshot::ProxyFact>| {
            let backends = proxy.as_ref().map(|fact| &fact.backends);
            backends
                .and_then(|all| all.get(name))
                .map_or(0, std::collections::BTreeMap::len)
        };
        let served = lab.observe().values().all(|proxy| servers(proxy) == wanted);
        let filter = format!("label=com.docker.swarm.service.name={}", service(lab, name));
        let running = lab.docker(&["ps", "--quiet", "--filter", &filter]);
        (served && running.lines().count() == wanted).then_some(())
    });
    lab.until_healthy(name);
}

/// The stable revision's service.
fn service(lab: &Lab, name: &str) -> String {
    let stable = lab.status(name).and_then(|status| status.stable_revision);
    stable.map_or_else(String::new, |revision| format!("{name}-{revision}"))
}

/// Goes down from six to two and up to five again under load, `rounds` times.
fn down_and_up(
    lab: &Lab,
    name: &str,
    on_sigterm: &str,
    slow_ms: &'static str,
    rounds: u32,
) -> Totals {
    let manifest = Manifest::new(lab, name).env("ON_SIGTERM", on_sigterm);
    scale(lab, name, &manifest, 6);
    let load = Load::start(lab, name, &slow(slow_ms));
    let before = load.totals(lab);
    load.until_more(lab, &before, 100);
    for _ in 0..rounds {
        scale(lab, name, &manifest, 2);
        scale(lab, name, &manifest, 5);
    }
    let total = load.stop();
    lab.clean(name);
    eprintln!(
        "ON_SIGTERM={on_sigterm}, requests of {slow_ms} ms: {} lost of {}, {:?} {:?}",
        total.lost, total.requests, total.proxy_errors, total.failures
    );
    total
}

#[test]
fn traffic_4_fewer_replicas_lose_no_request_of_an_app_that_finishes_what_it_has() {
    let Some(lab) = Lab::open() else { return };
    let _collector = Collector::start(&lab);
    let _controller = Controller::start(&lab);
    let total = down_and_up(&lab, "web-4", "finish", "300-2000", 1);
    total.assert_nothing_lost();
}

#[test]
fn traffic_4_fewer_replicas_lose_no_short_request_of_an_app_that_ends_at_once() {
    let Some(lab) = Lab::open() else { return };
    let _collector = Collector::start(&lab);
    let _controller = Controller::start(&lab);
    let total = down_and_up(&lab, "web-5", "exit", "300-1000", 1);
    total.assert_nothing_lost();
}

/// Not a promise: it tells how many are lost when requests take longer than Swarm waits.
#[test]
#[ignore = "measures what is not promised; run it by name"]
fn what_fewer_replicas_lose_of_long_requests_of_an_app_that_ends_at_once() {
    let Some(lab) = Lab::open() else { return };
    let _collector = Collector::start(&lab);
    let _controller = Controller::start(&lab);
    for slow_ms in ["2500", "3000", "4000", "5000"] {
        down_and_up(&lab, "web-5", "exit", slow_ms, 1);
    }
}
