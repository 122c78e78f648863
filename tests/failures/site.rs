//! What all these tests need: a rollout that serves, and a look at what is there.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use rolloutctl::api::{RolloutStatus, Step};
use rolloutctl::snapshot::{ServerFact, ServerName};

use crate::lab::{Lab, PATIENCE};
use crate::load::{Load, Options, Totals};
use crate::manifest::Manifest;

/// Requests a second in these tests, over both proxies: they look for what is lost, not for how much is served.
const RPS: u32 = 60;

/// Applies the first version, waits until it serves, and puts load on it.
pub fn serve(lab: &Lab, first: &Manifest, name: &str) -> (RolloutStatus, Load) {
    first.apply(lab);
    let status = lab.until_healthy(name);
    (status, Load::start(lab, name, &Options::quick(RPS)))
}

/// Ends the load once it has met the state of things for a while.
pub fn end(lab: &Lab, load: Load) -> Totals {
    let before = load.totals(lab);
    load.until_more(lab, &before, u64::from(RPS));
    load.stop()
}

/// Whether the stage `stage` runs.
pub fn runs(status: &RolloutStatus, stage: u32) -> bool {
    status.stage == stage && matches!(status.step, Step::Running { .. })
}

/// Whether nothing is under way and nothing leaves any more.
pub fn is_at_rest(status: &RolloutStatus) -> bool {
    status.step == Step::Idle && status.leaving.is_empty() && status.canary_revision.is_none()
}

/// Says something to the runtime API of the instance number `index`, as an operator would.
pub fn by_hand(lab: &Lab, index: usize, command: &str) -> String {
    use std::io::Write as _;
    let address = &lab.instances[index].address;
    let address = match address.split_once("://") {
        Some(("unix", path)) => format!("UNIX-CONNECT:{path}"),
        Some(("tcp", peer)) => format!("TCP:{peer}"),
        _ => panic!("{address}"),
    };
    let mut child = Command::new("socat")
        .args(["-t", "2", "-", &address])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("socat runs");
    let mut input = child.stdin.take().expect("its input");
    writeln!(input, "{command}").expect("it listens");
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Our servers in `backend` on the instance `instance`; none if it does not answer.
pub fn servers(lab: &Lab, instance: &str, backend: &str) -> BTreeMap<ServerName, ServerFact> {
    let mut seen = lab.observe();
    let fact = seen.remove(instance).flatten();
    let servers = fact.and_then(|mut fact| fact.backends.remove(backend));
    servers
        .unwrap_or_default()
        .into_iter()
        .filter_map(|(name, fact)| Some((name.parse().ok()?, fact)))
        .collect()
}

/// Whether `revision` has this share, in percent, of both proxies' weights.
pub fn has_share(lab: &Lab, backend: &str, revision: &str, percent: f64) -> bool {
    let shares = lab.shares(backend, revision);
    shares.len() == 2 && shares.values().all(|share| (share - percent).abs() < 0.5)
}

/// Waits until `revision` has this share, in percent, of both proxies' weights.
pub fn until_share(lab: &Lab, backend: &str, revision: &str, percent: f64) {
    let what = format!("{revision} has {percent} % of {backend}");
    lab.until(&what, PATIENCE, || {
        has_share(lab, backend, revision, percent).then_some(())
    });
}

/// The running containers of a service, on the first node.
pub fn containers(lab: &Lab, service: &str) -> Vec<String> {
    let filter = format!("label=com.docker.swarm.service.name={service}");
    let listed = lab.docker(&["ps", "--quiet", "--no-trunc", "--filter", &filter]);
    listed.lines().map(ToOwned::to_owned).collect()
}

/// How many remembered events hold `text`.
pub fn said(status: &RolloutStatus, text: &str) -> usize {
    let events = status.events.iter();
    events.filter(|event| event.message.contains(text)).count()
}

/// What a controller of these tests has logged so far.
pub fn log_of(lab: &Lab, name: &str) -> String {
    let path = lab.dir.join("log").join(format!("e2e-{name}.log"));
    std::fs::read_to_string(path).unwrap_or_default()
}
