//! Progressive delivery for Docker Swarm: a pure planner and the loops around it.
//!
//! A user writes a [`api::RolloutSpec`]. The controller observes the Swarm, HAProxy and InfluxDB
//! into one [`snapshot::Snapshot`], the planner turns spec, status and snapshot into a plan
//! of [`action::Action`]s, and the shell remembers and carries it out. A file imports only from its
//! own floor or below:
//!
//! 1. nouns: [`api`], [`manifest`], [`influxql`]
//! 2. facts and intents: [`snapshot`], [`action`]
//! 3. decisions, pure: [`plan`], [`analysis`]
//! 4. the world, all I/O: [`world`], [`retry`], [`runtime`]; and a simulated one: [`sim`]
//! 5. the loops: [`reconcile`], [`controller`], [`collector`], [`gitops`]; and whole controllers on trial: [`trial`]
//! 6. the door: [`cli`]

pub mod action;
pub mod analysis;
pub mod api;
pub mod cli;
pub mod collector;
pub mod controller;
pub mod gitops;
pub mod influxql;
pub mod manifest;
pub mod plan;
pub mod reconcile;
pub mod retry;
pub mod runtime;
pub mod sim;
pub mod snapshot;
pub mod trial;
pub mod world;
