//! Whole turns, and whole controllers, in the toy world of the planner's tests: what is written when, what happens
//! when the world says no, who acts, and what is served over HTTP.

#[path = "reconcile/bench.rs"]
mod bench;
#[path = "reconcile/deletion.rs"]
mod deletion;
#[path = "reconcile/leadership.rs"]
mod leadership;
#[path = "reconcile/neighbour.rs"]
mod neighbour;
#[path = "reconcile/serving.rs"]
mod serving;
#[expect(dead_code, reason = "the planner's tests use the rest of it")]
#[path = "plan/toy.rs"]
mod toy;
#[path = "reconcile/turns.rs"]
mod turns;
