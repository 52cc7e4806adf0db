//! What is true of a server for a whole life.

use super::support::Behaviour;
use fastrand::Rng;
use std::fmt;

/// How a server makes its unique-ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ids {
    /// One for each message, for ever.
    Stable,
    /// The number in the listing, made anew in each session.
    Place,
    /// The lowest that no message has now.
    Reused,
    /// Made from the Message-ID, as popa3d and solid-pop3d do.
    Shared,
}

/// What LIST says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sizes {
    /// The truth.
    Honest,
    /// Wrong, and as different as the truth.
    Inflated,
    /// Lines counted with LF alone.
    Stored,
    /// The same of all.
    Constant,
    /// Another one each time.
    Random,
}

/// A server's nature.
#[derive(Clone, Debug)]
pub(crate) struct Nature {
    pub(crate) ids: Ids,
    /// Messages are moved out of the mailbox and back, or deleted and restored.
    pub(crate) moves: bool,
    /// All unique-ids change now and then.
    pub(crate) migrates: bool,
    /// Some messages have the whole header of another one, and another body.
    pub(crate) twins: bool,
    /// Each listing is in another order.
    pub(crate) shuffles: bool,
    pub(crate) sizes: Sizes,
    top: bool,
    pipelining: bool,
    capabilities: bool,
    /// `UIDL n` is understood.
    uidl_of_one: bool,
}

impl Nature {
    /// Any nature in which what happens can be known from outside: where ids are given to other messages, sizes
    /// or headers must tell.
    pub(crate) fn of(random: &mut Rng) -> Self {
        let ids = [Ids::Stable, Ids::Stable, Ids::Stable, Ids::Place, Ids::Reused, Ids::Shared][random.usize(..6)];
        let top = random.u8(..4) != 0;
        let sizes = match (random.u8(..4), ids, top) {
            (1.., ..) | (_, Ids::Place | Ids::Reused | Ids::Shared, false) => Sizes::Honest,
            (_, Ids::Place | Ids::Reused | Ids::Shared, true) => Sizes::Inflated,
            (_, Ids::Stable, _) => [Sizes::Inflated, Sizes::Stored, Sizes::Constant, Sizes::Random][random.usize(..4)],
        };
        let migrates = ids == Ids::Stable && random.u8(..3) == 0;
        Self {
            ids,
            moves: random.bool(),
            migrates,
            twins: ids == Ids::Stable && !migrates && random.u8(..4) == 0,
            shuffles: random.u8(..3) == 0,
            sizes,
            top,
            pipelining: random.bool(),
            capabilities: random.u8(..5) != 0,
            uidl_of_one: random.u8(..5) != 0,
        }
    }

    /// Whether a unique-id stands for one message as long as that is there: others are told by their sizes.
    pub(crate) fn are_ids_true(&self) -> bool {
        self.ids == Ids::Stable
    }

    /// Whether a header can be had alone.
    pub(crate) fn has_top(&self) -> bool {
        self.top
    }

    /// A name for lives of this kind, in the table.
    pub(crate) fn kind(&self) -> String {
        let ids = match self.ids {
            Ids::Stable => "stable",
            Ids::Place => "by place",
            Ids::Reused => "used again",
            Ids::Shared => "shared",
        };
        let moves = if self.moves { ", moved back" } else { "" };
        let migrates = if self.migrates { ", migrated" } else { "" };
        let twins = if self.twins { ", equal headers" } else { "" };
        format!("{ids}{moves}{migrates}{twins}")
    }

    /// The server's behaviour when nothing goes wrong.
    pub(crate) fn behaviour(&self) -> Behaviour {
        let mut behaviour = Behaviour::default();
        if let Some(capabilities) = &mut behaviour.capabilities {
            capabilities.retain(|word| (word != "TOP" || self.top) && (word != "PIPELINING" || self.pipelining));
        }
        if !self.capabilities {
            behaviour.capabilities = None;
        }
        let mut refuse = |command: String| behaviour.answers.push((command, "-ERR what".to_owned()));
        if !self.top {
            refuse("TOP".to_owned());
        }
        if !self.uidl_of_one {
            (1..=super::mailbox::MOST).for_each(|number| refuse(format!("UIDL {number}")));
        }
        behaviour
    }
}

impl fmt::Display for Nature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ids {}, sizes {:?}", self.kind(), self.sizes)?;
        for (missing, words) in [
            (!self.shuffles, "in order"),
            (self.shuffles, "in any order"),
            (!self.top, "no TOP"),
            (!self.pipelining, "no PIPELINING"),
            (!self.capabilities, "no CAPA"),
            (!self.uidl_of_one, "no UIDL n"),
        ] {
            if missing {
                write!(f, ", {words}")?;
            }
        }
        Ok(())
    }
}
