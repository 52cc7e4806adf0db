//! The service.
//!
//! One loop (`service`) takes in what happens (a poll ended, time passed, a file changed, a
//! signal, a request) and asks the schedule which polls to begin.  A poll is a task of its own,
//! with the configuration that it began with; one that panics is a failed poll of that account.

mod service;

pub(crate) use service::{Options, ServiceError, run};
