//! The fields of a line: where each stands and what it looks like, for messages.

/// A field of `option httplog`, each a word of the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// `%tr`
    Received,
    /// `%ft`
    Frontend,
    /// `%b/%s`
    Server,
    /// `%TR/%Tw/%Tc/%Tr/%Ta`
    Timers,
    /// `%ST`
    Status,
    /// `%B`
    Bytes,
    /// `%CC`
    RequestCookie,
    /// `%CS`
    ResponseCookie,
    /// `%tsc`
    Termination,
    /// `%ac/%fc/%bc/%sc/%rc`
    Counts,
    /// `%sq/%bq`
    Queues,
}

impl Field {
    /// Its name in `log-format` (HAProxy configuration manual, section 8.2.4).
    pub const fn name(self) -> &'static str {
        match self {
            Self::Received => "%tr",
            Self::Frontend => "%ft",
            Self::Server => "%b/%s",
            Self::Timers => "%TR/%Tw/%Tc/%Tr/%Ta",
            Self::Status => "%ST",
            Self::Bytes => "%B",
            Self::RequestCookie => "%CC",
            Self::ResponseCookie => "%CS",
            Self::Termination => "%tsc",
            Self::Counts => "%ac/%fc/%bc/%sc/%rc",
            Self::Queues => "%sq/%bq",
        }
    }

    /// Which word of the line it is, the client's address being the first.
    pub const fn place(self) -> u8 {
        match self {
            Self::Received => 2,
            Self::Frontend => 3,
            Self::Server => 4,
            Self::Timers => 5,
            Self::Status => 6,
            Self::Bytes => 7,
            Self::RequestCookie => 8,
            Self::ResponseCookie => 9,
            Self::Termination => 10,
            Self::Counts => 11,
            Self::Queues => 12,
        }
    }

    /// What was expected there.
    pub const fn expected(self) -> &'static str {
        match self {
            Self::Received => "a date such as [21/Nov/2026:09:12:46.327]",
            Self::Frontend => "a front end",
            Self::Server => "a back end and a server with `/` between them",
            Self::Timers => "five times in ms with `/` between them",
            Self::Status => "a status from 100 to 599, or -1",
            Self::Bytes => "a number of bytes",
            Self::RequestCookie | Self::ResponseCookie => "a cookie, or `-`",
            Self::Termination => "four characters such as `----`",
            Self::Counts => "five numbers with `/` between them",
            Self::Queues => "two numbers with `/` between them",
        }
    }
}
