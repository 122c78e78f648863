//! A Swarm of several nodes of which one is lost, on a lab of its own: `tests/lab up --nodes 3`. Every other failure
//! is in the failure suite, whose harness this is. Without a lab the tests say that they are skipped.

use rolloutctl::api::Revision;

use lab::Lab;

#[path = "../e2e/daemon.rs"]
#[expect(dead_code, reason = "the end-to-end suite uses more of the harness")]
mod daemon;
mod fewer;
#[path = "../e2e/lab.rs"]
mod lab;
#[path = "../e2e/load.rs"]
#[expect(dead_code, reason = "the end-to-end suite uses more of the harness")]
mod load;
mod log;
mod loss;
#[path = "../e2e/manifest.rs"]
#[expect(dead_code, reason = "the end-to-end suite uses more of the harness")]
mod manifest;
#[path = "../failures/site.rs"]
#[expect(dead_code, reason = "the failure suite uses more of the harness")]
mod site;
#[path = "../failures/switch.rs"]
mod switch;

const INSTANCES: [&str; 2] = ["lb-1", "lb-2"];

/// The nodes on which the running tasks of a revision are, a word for each task.
fn nodes_of(lab: &Lab, name: &str, revision: &Revision) -> Vec<String> {
    let service = format!("{name}-{revision}");
    let filter = ["--filter", "desired-state=running"];
    let format = ["--format", "{{.Node}} {{.CurrentState}}"];
    let listed = lab.docker(&[&["service", "ps", &service], &filter[..], &format[..]].concat());
    let running = listed.lines().filter(|line| line.contains("Running"));
    let node = |line: &str| line.split(' ').next().map(ToOwned::to_owned);
    running.filter_map(node).collect()
}
