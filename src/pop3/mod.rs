//! POP3 (RFC 1939), its extensions (RFC 2449) and TLS (RFC 2595).
//!
//! [`command`], [`reply`] and [`multiline`] are pure: octets in, values out.  [`session`] drives
//! them over a connection.

pub mod command;
pub mod multiline;
pub mod reply;
pub mod session;
