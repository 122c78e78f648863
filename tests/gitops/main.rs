//! GitOps sources: what is decided, purely; a watched directory, really; a git repository, really. The store is one in
//! memory, which compares and swaps as the real one does. `tests/reconcile` has what a rollout does with a new spec.

mod branches;
mod decisions;
mod directory;
mod drift;
mod git;
mod hosts;
mod manifests;
mod properties;
mod setbacks;
mod site;
mod store;
mod storm;
mod whole;
