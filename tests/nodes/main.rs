//! A Swarm of several nodes of which one is lost, on a lab of its own: `tests/lab up --nodes 3`. Every other failure
//! is in the failure suite, whose harness this is. Without a lab the test says that it is skipped.

#[path = "../e2e/daemon.rs"]
#[expect(dead_code, reason = "the end-to-end suite uses more of the harness")]
mod daemon;
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
