//! The simulated world is true to what is known of Swarm, HAProxy and InfluxDB: each test names the fact.

mod faults;
mod haproxy;
mod history;
mod influxdb;
mod nodes;
mod rollout;
mod site;
mod store;
mod swarm;
mod time;
mod traffic;
