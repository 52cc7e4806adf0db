//! Why a poll ended early, or without having delivered everything.

use std::sync::Arc;
use std::time::Duration;

use crate::credential::CredentialError;
use crate::deliver::OutletError;
use crate::failure::{Class, Failure};
use crate::message::Name;
use crate::oauth::OAuthError;
use crate::pop3::session::SessionError;
use crate::store::StoreError;
use crate::threads::ThreadError;

/// A poll's failure.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the texts say it")]
pub enum PollError {
    #[error(transparent)]
    Credential(#[from] CredentialError),
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error(transparent)]
    OAuth(#[from] OAuthError),
    #[error("{source}")]
    TokenRefused { account: Name, source: Box<SessionError> },
    #[error("{source}; the same password has worked before")]
    Doubted { source: Box<SessionError>, is_over: bool },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("destination {name}: {source}")]
    Destination { name: Name, source: Arc<OutletError>, others_work: bool },
    #[error("the server has no UIDL, which is needed to recognise mail that stays there")]
    NoUniqueIds,
    #[error("the server has no TOP, which is needed to see the dates of the mail there, and `initial` is a time")]
    NoTop,
    #[error(
        "its state was lost, and of the {total} messages on the server only {found} are known or were found in a Maildir"
    )]
    Lost { account: Name, found: usize, total: usize },
    #[error("the poll took longer than {} s (deadline)", limit.as_secs())]
    Deadline { limit: Duration },
    #[error("{} of {total} messages could not be delivered: {first}", count)]
    Undelivered { count: usize, total: usize, first: String },
    #[error("it was asked to stop")]
    Stopped,
    #[error("the message cannot be written: {0}")]
    Export(std::io::Error),
    #[error(transparent)]
    Thread(ThreadError),
    #[error("the poll failed because of a bug in postrider: {0}")]
    Panic(String),
}

impl From<ThreadError> for PollError {
    fn from(error: ThreadError) -> Self {
        match error {
            ThreadError::Panicked(text) => PollError::Panic(text),
            refused @ ThreadError::Refused { .. } => PollError::Thread(refused),
        }
    }
}

impl Failure for PollError {
    fn class(&self) -> Class {
        match self {
            PollError::Credential(error) => error.class(),
            PollError::Session(error) => error.class(),
            PollError::TokenRefused { source, .. } => source.class(),
            PollError::Doubted { source, is_over: true } => source.class(),
            PollError::OAuth(error) => error.class(),
            PollError::Store(error) => error.class(),
            PollError::Destination { source, .. } => source.class(),
            PollError::Thread(error) => error.class(),
            PollError::NoUniqueIds => Class::Protocol,
            PollError::NoTop => Class::Configuration,
            PollError::Export(_) | PollError::Lost { .. } => Class::LocalIo,
            PollError::Doubted { .. }
            | PollError::Deadline { .. }
            | PollError::Undelivered { .. }
            | PollError::Stopped
            | PollError::Panic(_) => Class::TryLater,
        }
    }

    fn advice(&self) -> Option<String> {
        let text = match self {
            PollError::Credential(error) => return error.advice(),
            PollError::Session(error) => return error.advice(),
            PollError::OAuth(error) => return error.advice(),
            PollError::TokenRefused { account, .. } => {
                return Some(format!(
                    "The token is new, so it is not for this mailbox.  Run `postrider login {account}` and sign in as \
                     its `username`; check the provider's `scopes`, and whether it wants POP3 switched on in its web \
                     mail."
                ));
            }
            PollError::Store(error) => return error.advice(),
            PollError::Destination { source, .. } => return source.advice(),
            PollError::Thread(error) => return error.advice(),
            PollError::NoUniqueIds => {
                "Without unique-ids new mail cannot be told from mail that was left there.  With `retention = \
                 \"delete\"` and without `initial` messages are known by their content: each is retrieved, \
                 delivered and deleted."
            }
            PollError::NoTop => {
                "Nothing was fetched.  Set initial = \"none\" to leave alone all mail that is there now, or \
                 initial = \"all\" to fetch all of it."
            }
            PollError::Lost { account, .. } => {
                return Some(format!(
                    "Nothing was fetched or deleted.  If the others were delivered before, or are not wanted: `postrider \
                     state rebuild --seen {account}`; to fetch them, even if they come a second time: `postrider state \
                     rebuild --fetch-again {account}`.  If the account had another name before: `postrider state \
                     rename OLD {account}`."
                ));
            }
            PollError::Doubted { is_over: true, .. } => {
                "Check the password: it was refused several times in a row, so somebody has changed it there.  Repeated \
                 attempts may lock the account."
            }
            PollError::Doubted { .. } => {
                "Perhaps another session holds the mailbox, or the server has a temporary problem: the login is tried \
                 again in a few minutes, three times.  If it is still refused then, somebody has changed the password \
                 there."
            }
            PollError::Deadline { .. } => "What was received is delivered; the rest comes with the next poll.",
            PollError::Undelivered { .. } => {
                "They stay on the server.  `postrider history` and `postrider quarantine list` say more."
            }
            PollError::Stopped => "What was received is delivered; the rest comes with the next poll.",
            PollError::Export(_) => "Check the folder and its disk.  The message is still on the server.",
            PollError::Panic(_) => "Please report it.  Nothing was lost or deleted.",
        };
        Some(text.to_owned())
    }
}
