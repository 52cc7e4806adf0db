//! SMTP as a kind of destination.

use futures_util::future::{BoxFuture, FutureExt};

use super::{Because, DeliveredTo, DeliveryError, Pool, SendError, Settings};
use crate::deliver::carrier::{Carrier, Probed, Shipment};
use crate::deliver::error::OutletError;
use crate::deliver::kind::{self, Facts};
use crate::deliver::verdict::{Declined, Verdict};
use crate::failure::{Class, Failure, describe};
use crate::message::Name;
use crate::plan::Place;

impl kind::Settings for Settings {
    fn place(&self, destination: Name, _machine: &str) -> Place {
        Place::server(destination, "smtp", self.endpoint.shown(), &self.recipients.join(","))
    }

    fn summary(&self) -> String {
        let Self { endpoint, login, recipients, .. } = self;
        let login = login.as_ref().map_or(String::new(), |(user, _)| format!(" as {user}"));
        let (server, route, tls) = (endpoint.shown(), endpoint.route.shown(), endpoint.tls.words());
        format!("SMTP to {server}{route} ({tls}){login}, for {}", recipients.join(" and "))
    }

    fn facts(&self) -> Facts<'_> {
        Facts {
            endpoint: Some(&self.endpoint),
            timeout: Some(self.timeout),
            secret: self.login.as_ref().map(|(_, secret)| secret),
            renames_delivered_to: self.delivered_to == DeliveredTo::Rename,
            ..Facts::default()
        }
    }

    fn carrier(&self) -> Option<Box<dyn Carrier>> {
        Some(Box::new(Pool::new(self.clone())))
    }

    fn rehearse(&self, _was_there: bool) -> BoxFuture<'_, Result<String, OutletError>> {
        let rehearsed = async {
            let mut client = Pool::new(self.clone()).connect().await.map_err(OutletError::of)?;
            let encryption = client.tls_version().unwrap_or("in clear");
            let extensions = client.extensions().join(", ");
            let mail = match client.rehearse().await {
                Ok(()) => "would take mail".to_owned(),
                Err(SendError::Deferred { reason }) => {
                    format!("would put mail off, as servers do that greylist ({reason})")
                }
                Err(error) => return Err(OutletError::of(error)),
            };
            client.quit().await;
            Ok(format!("accepts us and {mail}, {encryption}; extensions: {extensions}"))
        };
        rehearsed.boxed()
    }
}

impl Carrier for Pool {
    fn lanes(&self) -> usize {
        self.width()
    }

    fn probe(&self, _was_there: bool, has_failed: bool) -> BoxFuture<'_, Result<Probed, OutletError>> {
        async move { Pool::probe(self, has_failed).await.map_err(OutletError::of) }.boxed()
    }

    // RFC 1047: an SMTP client cannot look up what became of a message.
    fn hand_over<'a>(&'a self, message: Shipment<'a>) -> BoxFuture<'a, Verdict> {
        let Shipment { head, prefix, message_id, spool } = message;
        let sent = async move {
            match self.send(head, prefix, message_id, spool).await {
                Ok(accepted) => Verdict::Delivered(accepted.reply),
                Err(DeliveryError::Unavailable(error)) => Verdict::Unusable(OutletError::of(error)),
                Err(DeliveryError::Send(error)) => of_send_error(error),
            }
        };
        sent.boxed()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Pool::close(self).boxed()
    }
}

/// What refusals of the envelope have in common.
const ENVELOPE: &str = "envelope";

fn of_send_error(error: SendError) -> Verdict {
    match error {
        SendError::Refused { reason, because: Because::Content } => Verdict::Refused(reason),
        SendError::Refused { because: Because::Unsaid { ref like }, .. } => {
            let like = like.clone();
            Verdict::Declined(Declined { error: OutletError::of(error), like, of_all: false, for_good: true })
        }
        SendError::NotServed(error) => {
            let (like, for_good) = (Some(ENVELOPE.to_owned()), error.class() == Class::Configuration);
            Verdict::Declined(Declined { error: OutletError::of(error), like, of_all: true, for_good })
        }
        SendError::Deferred { .. } => Verdict::Deferred(describe(&error)),
        SendError::Lost { outcome_unknown: true, source } => Verdict::Unknown(OutletError::of(source)),
        SendError::Lost { outcome_unknown: false, source } => Verdict::Broken(OutletError::of(source)),
        SendError::Local(error) => Verdict::Unusable(OutletError::Spool(error)),
    }
}
