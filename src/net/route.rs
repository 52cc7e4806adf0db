//! The route to a server: direct, through a proxy, or by a command.

use std::net::IpAddr;
use std::path::PathBuf;

/// How a server is reached.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Route {
    /// By TCP.
    Direct {
        /// The address of this machine to connect from; `None`: the system chooses.
        source: Option<IpAddr>,
    },
    /// Through a proxy.
    Proxy {
        /// The proxy.
        proxy: Proxy,
        /// The address of this machine to connect to the proxy from.
        source: Option<IpAddr>,
    },
    /// By the standard input and output of a command: program and arguments.
    Command(Vec<String>),
}

/// A SOCKS 5 proxy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Proxy {
    /// A name or an address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// A user name, and the file whose first line is the password.
    pub login: Option<(String, PathBuf)>,
}

impl Proxy {
    /// `host:port` as it is shown.
    pub fn shown(&self) -> String {
        super::shown(&self.host, self.port)
    }
}

impl Route {
    /// Whether nobody else can read clear text to a host: the host is this machine, or a command of the
    /// operator's connects to it.  Through a proxy, the host's name means what it means there.
    pub fn is_private(&self, host: &str) -> bool {
        match self {
            Route::Direct { .. } => super::is_loopback(host),
            Route::Proxy { .. } => false,
            Route::Command(_) => true,
        }
    }

    /// The route in words that follow the server's name; empty for the usual one.
    pub fn shown(&self) -> String {
        let from = |source: &Option<IpAddr>| source.map_or(String::new(), |source| format!(" from {source}"));
        match self {
            Route::Direct { source } => from(source),
            Route::Proxy { proxy, source } => format!(" through the proxy {}{}", proxy.shown(), from(source)),
            Route::Command(argv) => format!(" by connect-command {:?}", argv.first().map_or("", String::as_str)),
        }
    }
}

impl Default for Route {
    fn default() -> Self {
        Route::Direct { source: None }
    }
}
