//! The Maildir as a kind of destination.

use futures_util::future::{BoxFuture, FutureExt};

use super::{FILE_MODE, Maildir, Settings};
use crate::deliver::carrier::Carrier;
use crate::deliver::error::OutletError;
use crate::deliver::kind::{self, Facts};
use crate::message::Name;
use crate::plan::Place;
use crate::threads;

impl kind::Settings for Settings {
    fn place(&self, destination: Name, machine: &str) -> Place {
        Place::maildir(destination, &self.path, machine)
    }

    fn summary(&self) -> String {
        let mode =
            if self.file_mode == FILE_MODE { String::new() } else { format!(", file-mode {:04o}", self.file_mode) };
        format!("Maildir {}{mode}", self.path.display())
    }

    fn facts(&self) -> Facts<'_> {
        Facts { writes_to: Some(&self.path), ..Facts::default() }
    }

    fn carrier(&self) -> Option<Box<dyn Carrier>> {
        None
    }

    fn rehearse(&self, was_there: bool) -> BoxFuture<'_, Result<String, OutletError>> {
        let settings = self.clone();
        let rehearsed = async move {
            let way = threads::run(move || Maildir::open(&settings, was_there)?.rehearse()).await??;
            Ok(format!("can be written; messages are moved to new/ {way}"))
        };
        rehearsed.boxed()
    }
}
