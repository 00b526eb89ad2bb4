//! What can go wrong between the engine and its database.

/// Why a store did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The database is busy or away for a moment: the same call may succeed later. Nothing was changed.
    #[error("the database did not answer: {0}")]
    Unavailable(String),
    /// It is not known whether the transaction was committed. Never try again blindly: read first.
    #[error("the connection was lost during COMMIT: {0}")]
    Unknown(String),
    /// The database is full. Nothing was changed.
    #[error("the database is full: {0}")]
    Full(String),
    /// The database can't be written. Nothing was changed.
    #[error("the database is read-only: {0}")]
    ReadOnly(String),
    /// The database's schema is newer than this binary.
    #[error("the database's schema is at version {found}; this binary knows versions up to {known}")]
    Newer {
        /// What was found.
        found: i64,
        /// The newest that this binary knows.
        known: i64,
    },
    /// The rows contradict each other or the call: a defect of this program, or of the file. Nothing was changed.
    #[error("{0}")]
    Corrupt(String),
    /// Another process runs the worker of this database.
    #[error("another process runs a worker on {0}")]
    Locked(String),
    /// The database can't be opened at all.
    #[error("cannot open the database: {0}")]
    Open(String),
}

impl StoreError {
    /// The stable code that CLI and API show.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "D001",
            Self::Unknown(_) => "D002",
            Self::Full(_) => "D003",
            Self::ReadOnly(_) => "D004",
            Self::Newer { .. } => "D005",
            Self::Corrupt(_) => "D007",
            Self::Locked(_) => "D008",
            Self::Open(_) => "D009",
        }
    }

    /// Whether what the call carries is to blame: it will never succeed. Whatever else is wrong passes when somebody has put the
    /// database right: that it cannot be written, or lets nobody in.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Corrupt(_))
    }
}
