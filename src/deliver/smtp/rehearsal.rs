//! An envelope without a message: whether a server would take mail at all.

use super::client::Client;
use super::dialogue::Dialogue;
use super::{SendError, SmtpError};
use crate::header::Address;

impl Client {
    /// Says MAIL, RCPT for each recipient, and RSET.  If the settings name no sender, the null sender is used, which every
    /// server has to take (RFC 5321 §4.5.5), and then the first recipient, since some refuse the null sender.
    ///
    /// # Errors
    /// The server does not take mail for the recipients now; the first refusal is returned.
    pub async fn rehearse(&mut self) -> Result<(), SendError> {
        let mut first = None;
        for sender in self.addresses.rehearsed(&self.extensions) {
            match self.try_envelope(sender.as_ref()).await {
                Ok(()) => return Ok(()),
                Err(lost @ SendError::Lost { .. }) => return Err(first.unwrap_or(lost)),
                Err(refused) => first = first.or(Some(refused)),
            }
        }
        first.map_or(Ok(()), Err)
    }

    async fn try_envelope(&mut self, sender: Option<&Address>) -> Result<(), SendError> {
        let mut dialogue = Dialogue::default();
        if !std::mem::take(&mut self.usable) {
            return Err(self.lost("MAIL", |place| SmtpError::Closed { place }));
        }
        for command in self.addresses.envelope(sender) {
            let exchanged = self.exchange(vec![command], &mut dialogue).await;
            exchanged.map_err(|source| SendError::Lost { outcome_unknown: false, source })?;
            if let Some(refusal) = dialogue.refusal(&self.server) {
                self.reset().await;
                return Err(refusal);
            }
        }
        self.reset().await;
        Ok(())
    }
}
