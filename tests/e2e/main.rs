//! The end-to-end suite: the program against the Swarm, proxies and database of the lab (`tests/lab env`).
//!
//! Here the modules are listed; the harness first, then the tests, by what they show. Every test has the lab for
//! itself, whatever `--test-threads` says, and leaves no rollout behind. Without a lab each one says that it is
//! skipped.

mod adoption;
mod daemon;
mod friday;
mod gitops;
mod jobs;
mod lab;
mod load;
mod lossless;
mod manifest;
mod pause;
mod pipelines;
mod previews;
#[expect(dead_code, reason = "the failure suite uses more of it")]
mod relay;
mod replicas;
mod rest;
mod rollback;
mod rollover;
mod stages;
mod storm;
mod undo;
mod verbs;
