//! The simulated world: what `rolloutctl simulate` plays a manifest against. No input, no output, no clock.

pub mod point;
pub mod query;
