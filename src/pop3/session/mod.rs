//! A POP3 connection, one state after the other (RFC 1939 §3).
//!
//! [`Client`] is the AUTHORIZATION state, [`Session`] the TRANSACTION state, and
//! [`Session::quit`] the only way to the UPDATE state, where the server deletes.  Dropping either
//! closes the connection without QUIT, so that nothing is deleted: this is what every error does.
//!
//! Commands may be queued while replies are outstanding ([`Session::queue`]); replies are read in
//! order.  Octets that come when no command is outstanding, or a line that is not a reply, mean
//! that client and server are out of step, and nothing that follows is believed.

mod client;
mod error;
mod listing;
mod opening;
mod question;
mod ration;
mod shape;
mod skips;
mod transaction;
mod window;
mod wire;

pub use client::{Client, Login};
pub use error::SessionError;
pub use listing::{Entry, Listing};
pub use shape::{Behind, Form, Sample, Shape, is_uid, size_of};
pub use skips::{Skips, Stage};
pub use transaction::{Quit, Session};
pub use window::Window;
