//! When a session asks for the capabilities, and when it must not.

/// When a session asks for the capabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// After the greeting.
    Greeting,
    /// Again after STLS.
    Tls,
    /// Again after the login.
    Login,
}

/// The stages at which a session does not send CAPA, since the server then hangs up or falls silent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Skips(u32);

impl Skips {
    /// From the result of [`Skips::bits`].
    pub fn of_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// As a number, to be stored.
    pub fn bits(self) -> u32 {
        self.0
    }

    /// Whether no stage is skipped.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Adds a stage to skip.
    #[must_use]
    pub fn with(self, stage: Stage) -> Self {
        Self(self.0 | 1 << stage as u32)
    }

    pub(super) fn has(self, stage: Stage) -> bool {
        self.0 & (1 << stage as u32) != 0
    }
}
