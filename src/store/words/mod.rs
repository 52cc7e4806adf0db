//! The domain's words for what the state holds: what can change in it, what is known, remembered and shown.
//!
//! Nothing here knows how anything is stored.

mod account;
mod change;
mod destination;
mod history;
mod host;
mod known;
mod lost;
mod record;
mod staged;
mod tokens;
mod undelivered;

pub use account::{AccountMemory, Binding, Holding, LastLogin, Quiet};
pub(super) use change::Concern;
pub use change::{Change, Ending, Release, Settled, Stage, Target, TargetState};
pub use destination::{DestinationTrouble, Doubted};
pub use history::{HistoryEntry, HistoryFilter, QuarantinedDelivery, QuarantinedMessage};
pub use host::{Host, HostMemory};
pub use known::{Content, Known, Renamed};
pub use lost::{Adopted, Adoption, FoundFile, Lost, LostChange, Whereabouts};
pub use record::{Inspection, Record};
pub use staged::{Resolution, StagedDelivery};
pub use tokens::DeliveryTokens;
pub use undelivered::{Backlog, Undelivered};
