//! One line of HAProxy's HTTP log, from text to a typed record. Pure.
//!
//! The format is that of `option httplog` (HAProxy configuration manual, section 8.2.3):
//! `%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r`.
//! `option httpslog` appends to it and is read as well. The client's address, the cookies, the captured
//! headers and the request itself are not kept: nothing here needs them, and they may be personal.

use std::str::FromStr;

use jiff::civil::DateTime;

mod field;

pub use field::Field;

/// What one line tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpLog<'a> {
    /// When the request's first byte came (`%tr`), in the local time of the HAProxy, whose zone the line
    /// does not tell. That is why no point's time is taken from it.
    pub received: DateTime,
    /// The front end (`%ft`), without the `~` that marks TLS.
    pub frontend: &'a str,
    /// The back end (`%b`); the front end's name if none was chosen.
    pub backend: &'a str,
    /// The server (`%s`), the last one after a redispatch; none for `<NOSRV>`, `<STATS>` and their like.
    pub server: Option<&'a str>,
    /// How long each phase took.
    pub timers: Timers,
    /// At which moment the line was written.
    pub moment: Moment,
    /// The status sent to the client (`%ST`); none if nothing was (`-1`, `0`).
    pub status: Option<u16>,
    /// Bytes sent to the client, headers included (`%B`).
    pub bytes: u64,
    /// How the request ended (`%tsc`).
    pub termination: Termination,
    /// Connections that were open when the line was written.
    pub connections: Connections,
    /// How often the connection to a server was tried again (`%rc`).
    pub retries: u32,
    /// Whether another server than the first took the request (`+` before `%rc`).
    pub redispatched: bool,
    /// What waited in the queues before this request.
    pub queues: Queues,
}

/// Phases of a request, in milliseconds; none where the phase was not reached (`-1`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timers {
    /// Until the whole request had come (`%TR`).
    pub request: Option<u32>,
    /// In queues (`%Tw`).
    pub queue: Option<u32>,
    /// Until the server accepted the connection (`%Tc`).
    pub connect: Option<u32>,
    /// Until the server had sent all headers of its answer (`%Tr`).
    pub response: Option<u32>,
    /// From the first byte of the request to the last of the answer (`%Ta`).
    pub total: Option<u32>,
}

/// At which moment a line was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// At the request's end, as is usual.
    End,
    /// When the answer's headers had come (`option logasap`): total time and bytes are what they were
    /// by then.
    Headers,
}

/// The first two characters of `%tsc` (section 8.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Termination {
    /// What ended the request: `-` nothing special, `C` the client, `S` the server, `P` the proxy, …
    pub cause: u8,
    /// In which phase: `R` request, `Q` queue, `C` connection, `H` headers, `D` data, `L` last data, …
    pub phase: u8,
}

/// Connections open when the line was written (`%ac/%fc/%bc/%sc`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    /// Of the process.
    pub process: u32,
    /// Of the front end.
    pub frontend: u32,
    /// Of the back end; the request itself is no longer counted.
    pub backend: u32,
    /// Of the server; the request itself is no longer counted.
    pub server: u32,
}

/// What waited before this request (`%sq/%bq`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queues {
    /// In the server's queue.
    pub server: u32,
    /// In the back end's queue.
    pub backend: u32,
}

/// Why a message is not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpLogError {
    /// HAProxy tells something else, such as that a server is down. Not a fault.
    #[error("it does not tell of a request")]
    NotARequest,
    /// A line of the TCP log.
    #[error("it is a line of the TCP log; set `mode http` and `option httplog`")]
    Tcp,
    /// A field cannot be read. What stands there is not told: in another format it may be a client's.
    #[error(
        "its word {} is not `{}`, {}; set `option httplog` and no `log-format` of your own",
        .0.place(), .0.name(), .0.expected()
    )]
    Field(Field),
}

impl HttpLog<'_> {
    /// Whether the request was answered with a server error or not at all.
    pub fn is_error(&self) -> bool {
        self.status.is_none_or(|status| status >= 500)
    }

    /// Whether the server broke its answer off, by closing (`S`) or by falling silent (`s`). The
    /// status, which went out before, does not show it.
    pub fn is_aborted_by_server(&self) -> bool {
        matches!(self.termination.cause, b'S' | b's')
            && matches!(self.termination.phase, b'D' | b'L')
    }

    /// Whether HAProxy counts the request in the `stot` of its back end. It does not count what the front end
    /// itself refused or answered; such lines name the front end as their back end.
    pub fn reached_backend(&self) -> bool {
        self.server.is_some() || self.frontend != self.backend || self.termination.phase != b'R'
    }
}

/// Reads one message.
///
/// # Errors
/// When the message is something else, or a field cannot be read.
pub fn parse(message: &str) -> Result<HttpLog<'_>, HttpLogError> {
    use HttpLogError::{NotARequest, Tcp};

    let mut rest = message.split(' ');
    let (Some(client), Some(date)) = (rest.next(), rest.next()) else {
        return Err(NotARequest);
    };
    let mut word = |field| rest.next().ok_or(HttpLogError::Field(field));
    if !client.contains(':') || !date.starts_with('[') {
        return Err(NotARequest);
    }
    let received = date_time(date).ok_or(HttpLogError::Field(Field::Received))?;
    let frontend = word(Field::Frontend)?;
    if frontend.ends_with(':') {
        return Err(NotARequest);
    }
    let (backend, server) = word(Field::Server)?
        .split_once('/')
        .ok_or(HttpLogError::Field(Field::Server))?;
    let phases = word(Field::Timers)?;
    if phases.split('/').count() == 3 {
        return Err(Tcp);
    }
    let (timers, moment) = timers(phases).ok_or(HttpLogError::Field(Field::Timers))?;
    let status = status(word(Field::Status)?).map_err(|_| HttpLogError::Field(Field::Status))?;
    let bytes =
        number(without_plus(word(Field::Bytes)?)).ok_or(HttpLogError::Field(Field::Bytes))?;
    let (_, _) = (word(Field::RequestCookie)?, word(Field::ResponseCookie)?);
    let termination =
        termination(word(Field::Termination)?).ok_or(HttpLogError::Field(Field::Termination))?;
    let counts = word(Field::Counts)?;
    let (connections, tries) = connections(counts).ok_or(HttpLogError::Field(Field::Counts))?;
    let retries = number(without_plus(tries)).ok_or(HttpLogError::Field(Field::Counts))?;
    let queues = queues(word(Field::Queues)?).ok_or(HttpLogError::Field(Field::Queues))?;
    Ok(HttpLog {
        received,
        frontend: frontend.strip_suffix('~').unwrap_or(frontend),
        backend,
        server: (!server.starts_with('<')).then_some(server),
        timers,
        moment,
        status,
        bytes,
        termination,
        connections,
        retries,
        redispatched: tries.starts_with('+'),
        queues,
    })
}

/// Digits only: a sign is a matter of the field.
fn number<N: FromStr>(text: &str) -> Option<N> {
    text.as_bytes().first().filter(|b| b.is_ascii_digit())?;
    text.parse().ok()
}

fn without_plus(text: &str) -> &str {
    text.strip_prefix('+').unwrap_or(text)
}

/// `[21/Nov/2026:09:12:44.111]`.
fn date_time(text: &str) -> Option<DateTime> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    let (day, rest) = inner.split_once('/')?;
    let (month, rest) = rest.split_once('/')?;
    let month = (1..).zip(MONTHS).find(|(_, name)| *name == month)?.0;
    let mut parts = rest.split([':', '.']);
    let year = number(parts.next()?)?;
    let [hour, minute, second] = [parts.next()?, parts.next()?, parts.next()?].map(number::<i8>);
    let millis: i32 = number(parts.next()?).filter(|ms| *ms < 1_000)?;
    parts.next().is_none().then_some(())?;
    let nanos = millis * 1_000_000;
    DateTime::new(year, month, number(day)?, hour?, minute?, second?, nanos).ok()
}

/// A field that is not what it should be.
struct Unreadable;

/// None: the phase was not reached.
fn timer(text: &str) -> Result<Option<u32>, Unreadable> {
    match text.strip_prefix('-') {
        Some(digits) => number::<u32>(digits).map(|_| None),
        None => number(text).map(Some),
    }
    .ok_or(Unreadable)
}

fn timers(text: &str) -> Option<(Timers, Moment)> {
    let mut parts = text.split('/');
    let [request, queue, connect, response] =
        [parts.next()?, parts.next()?, parts.next()?, parts.next()?].map(timer);
    let last = parts.next()?;
    parts.next().is_none().then_some(())?;
    let moment = if last.starts_with('+') {
        Moment::Headers
    } else {
        Moment::End
    };
    let timers = Timers {
        request: request.ok()?,
        queue: queue.ok()?,
        connect: connect.ok()?,
        response: response.ok()?,
        total: timer(without_plus(last)).ok()?,
    };
    Some((timers, moment))
}

/// None: nothing was sent to the client.
fn status(text: &str) -> Result<Option<u16>, Unreadable> {
    match text {
        "-1" | "0" => Ok(None),
        _ => number(text)
            .filter(|status| (100..600).contains(status))
            .map(Some)
            .ok_or(Unreadable),
    }
}

fn termination(text: &str) -> Option<Termination> {
    match *text.as_bytes() {
        [cause, phase, _, _] => Some(Termination { cause, phase }),
        _ => None,
    }
}

/// The four counts, and `%rc` as it stands.
fn connections(text: &str) -> Option<(Connections, &str)> {
    let mut parts = text.split('/');
    let [process, frontend, backend, server] =
        [parts.next()?, parts.next()?, parts.next()?, parts.next()?].map(number);
    let retries = parts.next().filter(|_| parts.next().is_none())?;
    let connections = Connections {
        process: process?,
        frontend: frontend?,
        backend: backend?,
        server: server?,
    };
    Some((connections, retries))
}

fn queues(text: &str) -> Option<Queues> {
    let (server, backend) = text.split_once('/')?;
    Some(Queues {
        server: number(server)?,
        backend: number(backend)?,
    })
}

#[cfg(test)]
mod tests;
