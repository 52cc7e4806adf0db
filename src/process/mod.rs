//! What every process of postrider is made of: its log, its signals, the user that it acts as, its sandbox, its
//! notifications to systemd, and its status.

pub mod confine;
pub mod log;
pub mod privilege;
pub mod reload;
pub mod signals;
pub mod status;
pub mod systemd;
