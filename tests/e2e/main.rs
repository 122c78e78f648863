//! The end-to-end suite: the program against the lab's Swarm, HAProxies and InfluxDB (`tests/lab env`).
//!
//! Here the modules are listed; the harness first, then the tests, by what they show. Every test has the lab for
//! itself, whatever `--test-threads` says, and leaves no rollout behind. Without a lab each one says that it is
//! skipped.

mod daemon;
mod lab;
mod load;
mod lossless;
mod manifest;
mod relay;
mod replicas;
mod rest;
mod rollback;
mod stages;
mod verbs;
