//! The service.
//!
//! One loop (`service`) handles everything that happens (a poll ended, time passed, a file changed, a
//! signal, a request) and asks the schedule which polls to begin.  Each poll is its own tokio task,
//! with the configuration that it began with; a panic is a failed poll of that account.

mod service;

pub(crate) use service::{Options, ServiceError, run};
