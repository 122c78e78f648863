//! Queries over a few points.
