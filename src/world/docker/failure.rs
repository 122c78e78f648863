//! What the engine's refusals mean: bollard's errors, sorted, each with its remedy.

use std::error::Error as StdError;
use std::io;

use bollard::errors::Error;

use super::{CALL_LIMIT, WorldError};
use crate::world::IN_DOUBT;

/// What an error means to whoever made the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A version, a name or a precondition no longer fits.
    Conflict,
    /// The engine said no; nothing was done.
    Refused,
    /// The engine does not speak the version of its API that was asked for; nothing was done.
    OtherVersion,
    /// The engine is not there: nothing was sent, so nothing was done.
    Absent,
    /// The answer was lost: it is not known what was done.
    Unknown,
}

/// An error, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) meaning: Meaning,
    /// What went wrong and what to do about it.
    pub(super) reason: String,
}

/// The answers that some calls treat in ways of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::world) enum Rejection {
    /// 404: there is no such object.
    NotThere,
    /// 409: an object of that name exists.
    NameTaken,
    /// Any other.
    Other,
}

/// Which of the answers with a meaning of their own `err` is.
pub(in crate::world) fn rejection(err: &Error) -> Rejection {
    match err {
        Error::DockerResponseServerError {
            status_code: 404, ..
        } => Rejection::NotThere,
        Error::DockerResponseServerError {
            status_code: 409, ..
        } => Rejection::NameTaken,
        _ => Rejection::Other,
    }
}

impl Told {
    pub(super) fn of(err: &Error) -> Self {
        match err {
            Error::DockerResponseServerError {
                status_code,
                message,
            } => answered(*status_code, message.trim()),
            Error::RequestTimeoutError => Self::silence(),
            Error::JsonDataError { .. } | Error::JsonSerdeError { .. } => Self::new(
                Meaning::Unknown,
                format!("its answer cannot be read ({err}); look for a newer rolloutctl"),
            ),
            _ => unanswered(err),
        }
    }

    /// The time was up.
    pub(super) fn silence() -> Self {
        let reason = format!(
            "no answer within {} s; see whether the engine is overloaded or the Swarm has lost its leader (`docker node ls`)",
            CALL_LIMIT.as_secs()
        );
        Self::new(Meaning::Unknown, reason)
    }

    /// The same, of a call that was to change something.
    pub(super) fn of_a_change(mut self) -> Self {
        match self.meaning {
            Meaning::Unknown => self.reason.push_str(IN_DOUBT),
            Meaning::Conflict | Meaning::Refused | Meaning::OtherVersion | Meaning::Absent => {}
        }
        self
    }

    fn new(meaning: Meaning, reason: String) -> Self {
        Self { meaning, reason }
    }

    pub(super) fn into_error(self, what: &str) -> WorldError {
        let (what, reason) = (what.to_owned(), self.reason);
        match self.meaning {
            Meaning::Conflict => WorldError::Conflict { what, reason },
            Meaning::Refused | Meaning::OtherVersion => WorldError::Refused { what, reason },
            Meaning::Absent | Meaning::Unknown => WorldError::Unreachable { what, reason },
        }
    }
}

/// Sorts an answer with an error status. Swarm's conflicts come as 500 and are told by their text.
fn answered(status: u16, message: &str) -> Told {
    let says = |text: &str| message.contains(text);
    let (meaning, remedy) = if says("update out of sequence") {
        (Meaning::Conflict, "")
    } else if says("This node is not a swarm manager") {
        (
            Meaning::Refused,
            "; name a manager by DOCKER_HOST or a Docker context, or make this one by `docker swarm init`",
        )
    } else if says("no suitable node") || says("does not have a leader") || says("no leader") {
        (
            Meaning::Unknown,
            "; most managers are lost: see `docker node ls` on the others",
        )
    } else if says("HTTP request to an HTTPS server") {
        (
            Meaning::Refused,
            "; set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH to the directory of ca.pem, cert.pem and key.pem",
        )
    } else if says("is locked") {
        (
            Meaning::Refused,
            "; unlock the manager by `docker swarm unlock`",
        )
    } else if says("is too new") || says("is too old") {
        (
            Meaning::OtherVersion,
            "; DOCKER_API_VERSION, if set, must be a version that the engine speaks",
        )
    } else {
        (by_status(status), "")
    };
    Told::new(
        meaning,
        format!("the engine answered {status}: {message}{remedy}"),
    )
}

fn by_status(status: u16) -> Meaning {
    match status {
        404 | 409 => Meaning::Conflict,
        400..=499 => Meaning::Refused,
        _ => Meaning::Unknown,
    }
}

/// Sorts an error without an answer by the input/output error at its root, if there is one.
fn unanswered(err: &Error) -> Told {
    let kind = io_kind(err);
    let said = chain(err);
    let (meaning, remedy) = match kind {
        Some(io::ErrorKind::PermissionDenied) => (
            Meaning::Refused,
            "; run as a user who may use the Docker socket (root, or a member of its group, mostly `docker`)",
        ),
        Some(io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => (
            Meaning::Absent,
            "; see whether the engine runs, and what DOCKER_HOST or `docker context ls` names",
        ),
        _ if said.contains("certificate") => (
            Meaning::Refused,
            "; see that ca.pem, cert.pem and key.pem (in DOCKER_CERT_PATH or the context) are this engine's",
        ),
        _ => (Meaning::Unknown, ""),
    };
    Told::new(meaning, format!("{said}{remedy}"))
}

fn io_kind(err: &Error) -> Option<io::ErrorKind> {
    let mut next: Option<&(dyn StdError + 'static)> = Some(err);
    while let Some(at) = next {
        if let Some(io) = at.downcast_ref::<io::Error>() {
            // The connectors wrap one in another; the inner one knows better.
            let inner = io
                .get_ref()
                .and_then(|inner| inner.downcast_ref::<io::Error>());
            return Some(inner.map_or(io.kind(), io::Error::kind));
        }
        next = at.source();
    }
    match err {
        Error::SocketNotFoundError(_) => Some(io::ErrorKind::NotFound),
        Error::IOError { err } => Some(err.kind()),
        _ => None,
    }
}

/// An error with its causes, from the outermost one that says something; texts that repeat are said
/// once.
fn chain(err: &Error) -> String {
    let mut said = match err {
        // These only name the layer that failed.
        Error::HyperLegacyError { .. } | Error::HyperResponseError { .. } => String::new(),
        _ => err.to_string(),
    };
    let mut next = err.source();
    while let Some(at) = next {
        let text = at.to_string();
        next = at.source();
        if text == "client error (Connect)" || said.contains(&text) {
            continue;
        }
        if !said.is_empty() {
            said.push_str(": ");
        }
        said.push_str(&text);
    }
    if said.is_empty() {
        err.to_string()
    } else {
        said
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(status_code: u16, message: &str) -> Told {
        Told::of(&Error::DockerResponseServerError {
            status_code,
            message: message.to_owned(),
        })
    }

    #[test]
    fn answers_are_sorted_by_text_and_then_by_status() {
        for (status, message, meaning) in [
            (
                500,
                "rpc error: code = Unknown desc = update out of sequence",
                Meaning::Conflict,
            ),
            (
                409,
                "rpc error: code = AlreadyExists desc = name conflicts with an existing object",
                Meaning::Conflict,
            ),
            (404, "service x not found", Meaning::Conflict),
            (400, "invalid spec", Meaning::Refused),
            (
                503,
                "This node is not a swarm manager. Use \"docker swarm init\"",
                Meaning::Refused,
            ),
            (
                500,
                "rpc error: code = Unknown desc = The swarm does not have a leader.",
                Meaning::Unknown,
            ),
            (
                500,
                "rpc error: code = DeadlineExceeded desc = context deadline exceeded",
                Meaning::Unknown,
            ),
            (502, "", Meaning::Unknown),
        ] {
            assert_eq!(told(status, message).meaning, meaning, "{status} {message}");
        }
    }

    #[test]
    fn a_worker_is_told_to_name_a_manager() {
        let reason = told(503, "This node is not a swarm manager.").reason;
        assert!(reason.contains("docker swarm init"), "{reason}");
    }

    /// `docker service create` sent and no answer: it may be there. A list: nothing is in doubt.
    #[test]
    fn only_a_change_whose_answer_was_lost_is_in_doubt() {
        let io = |kind: io::ErrorKind| Error::IOError { err: kind.into() };
        for (err, in_doubt) in [
            (Error::RequestTimeoutError, true),
            (io(io::ErrorKind::ConnectionReset), true),
            (io(io::ErrorKind::ConnectionRefused), false),
            (io(io::ErrorKind::NotFound), false),
            (io(io::ErrorKind::PermissionDenied), false),
        ] {
            let asked = Told::of(&err).into_error("list the services").to_string();
            assert!(!asked.contains("not known"), "{asked}");
            let told = Told::of(&err).of_a_change();
            let changed = told.into_error("create a service").to_string();
            assert_eq!(changed.contains("not known"), in_doubt, "{changed}");
        }
    }

    #[test]
    fn an_engine_that_is_not_there_is_unreachable_and_no_refusal() {
        for kind in [io::ErrorKind::ConnectionRefused, io::ErrorKind::NotFound] {
            let error = Told::of(&Error::IOError { err: kind.into() }).into_error("list");
            assert!(matches!(error, WorldError::Unreachable { .. }), "{error}");
        }
    }

    #[test]
    fn a_socket_without_permission_names_the_group() {
        let err = Error::IOError {
            err: io::Error::from(io::ErrorKind::PermissionDenied),
        };
        let told = Told::of(&err);
        assert_eq!(told.meaning, Meaning::Refused);
        assert!(told.reason.contains("`docker`"), "{}", told.reason);
    }
}
