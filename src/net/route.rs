//! The way to a server, where it is not simply the network.

use std::net::IpAddr;

/// How a server is reached.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Route {
    /// By TCP.
    Direct {
        /// The address of this machine to connect from; `None`: the system chooses.
        source: Option<IpAddr>,
    },
}

impl Route {
    /// The way in words that follow the server's name; empty for the usual one.
    pub fn shown(&self) -> String {
        match self {
            Route::Direct { source: None } => String::new(),
            Route::Direct { source: Some(source) } => format!(" from {source}"),
        }
    }
}

impl Default for Route {
    fn default() -> Self {
        Route::Direct { source: None }
    }
}
