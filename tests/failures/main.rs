//! What goes wrong in production, on the lab's real Swarm, proxies and InfluxDB (`tests/lab env`): crashes, restarts,
//! outages, bad releases and other hands. Each test has load on its rollout and ends in the right end state.
//!
//! The harness is that of the end-to-end suite. Every test has the lab for itself; without a lab each one says that
//! it is skipped.

#[path = "../e2e/daemon.rs"]
#[expect(dead_code, reason = "the end-to-end suite uses more of the harness")]
mod daemon;
#[path = "../e2e/lab.rs"]
mod lab;
#[path = "../e2e/load.rs"]
#[expect(dead_code, reason = "the end-to-end suite uses more of the harness")]
mod load;
#[path = "../e2e/manifest.rs"]
#[expect(dead_code, reason = "the end-to-end suite uses more of the harness")]
mod manifest;
#[path = "../e2e/relay.rs"]
#[expect(dead_code, reason = "the end-to-end suite uses more of the harness")]
mod relay;

mod crashes;
mod deletion;
mod hands;
mod proxies;
mod releases;
mod site;
mod source;
mod standby;
mod switch;
mod tasks;
