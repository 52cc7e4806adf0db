//! Why a destination cannot be used.

use std::io;
use std::sync::Arc;

use super::health::Lapse;
use crate::failure::{Class, Failure, is_shortage, shortage};
use crate::message::Name;
use crate::threads::ThreadError;

/// A destination that cannot be used, whatever the message is.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the texts say it")]
pub enum OutletError {
    /// What its kind says.
    #[error(transparent)]
    Own(Arc<dyn Failure + Send + Sync>),
    #[error("{0} (it is tried again later)")]
    Waiting(Arc<Lapse>),
    #[error("it refuses several different messages in the same way: {0}")]
    Alike(Box<OutletError>),
    #[error("a message cannot be spooled in the state directory: {0}")]
    Spool(io::Error),
    #[error("it is the same folder as the destination {other}")]
    SameFolder { other: Name },
    #[error(transparent)]
    Thread(#[from] ThreadError),
}

impl OutletError {
    /// An error of a kind of destination.
    pub fn of(error: impl Failure + Send + Sync + 'static) -> Self {
        OutletError::Own(Arc::new(error))
    }
}

impl Failure for OutletError {
    fn is_shortage(&self) -> bool {
        match self {
            OutletError::Own(error) => error.is_shortage(),
            OutletError::Waiting(_) | OutletError::SameFolder { .. } | OutletError::Alike(_) => false,
            OutletError::Spool(error) => is_shortage(error),
            OutletError::Thread(error) => error.is_shortage(),
        }
    }

    fn class(&self) -> Class {
        match self {
            OutletError::Own(error) => error.class(),
            OutletError::Waiting(lapse) => lapse.class(),
            OutletError::Alike(error) => error.class(),
            OutletError::Spool(_) if self.is_shortage() => Class::TryLater,
            OutletError::Spool(_) => Class::LocalIo,
            OutletError::SameFolder { .. } => Class::Configuration,
            OutletError::Thread(error) => error.class(),
        }
    }

    fn advice(&self) -> Option<String> {
        match self {
            OutletError::Own(error) => error.advice(),
            OutletError::Waiting(lapse) => lapse.advice(),
            OutletError::Alike(error) => error.advice(),
            OutletError::Thread(error) => error.advice(),
            OutletError::Spool(_) if self.is_shortage() => Some(shortage()),
            OutletError::SameFolder { .. } => {
                Some("One destination is enough: give the other one a folder of its own.".into())
            }
            OutletError::Spool(_) => Some("Check the disk that holds the state directory.".into()),
        }
    }
}
