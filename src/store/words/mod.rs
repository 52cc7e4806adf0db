//! The domain's words for what the state holds: what can change in it, what is known, remembered and shown.
//!
//! Nothing here knows how anything is stored.

mod account;
mod change;
mod history;
mod host;
mod known;
mod lost;
mod record;
mod tokens;

pub use account::{AccountMemory, Binding, Holding, LastLogin, Quiet};
pub(super) use change::Concern;
pub use change::{Change, Ending, Release, Resolution, Settled, Stage, StagedDelivery, Target, TargetState};
pub use history::{HistoryEntry, HistoryFilter, QuarantinedDelivery, QuarantinedMessage};
pub use host::{Host, HostMemory};
pub use known::{Content, Known, Renamed};
pub use lost::{Adopted, Adoption, FoundFile, Lost, LostChange, Whereabouts};
pub use record::{Inspection, Record};
pub use tokens::DeliveryTokens;
