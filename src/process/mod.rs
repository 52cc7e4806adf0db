//! What a process of postrider is made of, whatever it does: its log, its signals, whom it acts as and what it may
//! do, what systemd is told, and what it shows of itself.

pub mod confine;
pub mod log;
pub mod privilege;
pub mod reload;
pub mod signals;
pub mod status;
pub mod systemd;
