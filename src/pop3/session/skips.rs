//! When a session asks for the capabilities, and when it had better not.

/// When a session asks for the capabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Behind the greeting.
    Greeting,
    /// Again behind STLS.
    Tls,
    /// Again behind the login.
    Login,
}

/// When a session does not ask for the capabilities, since the server hangs up on CAPA or falls silent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Skips(u32);

impl Skips {
    /// As [`Skips::bits`] gave it.
    pub fn of_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// For keeping.
    pub fn bits(self) -> u32 {
        self.0
    }

    /// Whether it always asks.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Not then either.
    #[must_use]
    pub fn with(self, stage: Stage) -> Self {
        Self(self.0 | 1 << stage as u32)
    }

    pub(super) fn has(self, stage: Stage) -> bool {
        self.0 & (1 << stage as u32) != 0
    }
}
