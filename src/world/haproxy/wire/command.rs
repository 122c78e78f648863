//! Commands: typed values to text, and how many go on one line.

use crate::action::{ServerChange, ServerVerb};
use crate::snapshot::AdminState;

use super::WireError;

/// How the servers that we add are checked and connected to.
///
/// A dynamic server takes nothing from `default-server`, and what is not said is 0 rather than the
/// manual's default (measured on 2.6.12: without `pool-purge-delay` no connection to it is ever
/// used twice). So what section 5.2 has for idle connections is said here, and the back end's
/// `http-reuse` decides as for any other server. The check is the back end's (`option httpchk`), or
/// a TCP connection. `rise 1`: the first answer counts, since the server gets nothing before it;
/// `downinter` is also how long a new server waits for its first check (1.0 s without it, 0.25 s
/// with it). `fall 2` with `fastinter`: a server that died is left after about a second.
///
/// `pool-purge-delay` is 1 s and not the manual's 5 s. Maintenance closes no idle connection of a
/// server that is down, nor one whose last request is just ending; until HAProxy has purged it, the
/// server cannot be removed (before 3.0). How many are kept is halved once in a delay: after 32
/// requests at once that took more than 20 s with 5 s (2.6.12).
const SERVER_OPTIONS: &str = "check inter 1s fastinter 250ms downinter 250ms fall 2 rise 1 \
                              pool-max-conn -1 pool-purge-delay 1s weight 0";

/// Makes the severity of each message visible: `[3]: No such server.`
const PREFACE: &str = "set severity-output number";

/// Asked after each command: its answer marks the end of the one before.
///
/// An empty line ends most answers, but not all: `del server` writes none, `help` two (measured on 2.6.12).
const MARK: &str = "show cli level";

/// The longest line that is sent. HAProxy takes one of `tune.bufsize`, 16,384 by default.
const MAX_LINE: usize = 8_000;

/// One command, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    text: String,
    kind: CommandKind,
}

/// What a command does, as far as its refusal is judged by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CommandKind {
    /// Looks.
    Show,
    /// Adds a server.
    Add,
    /// Deletes a server.
    Delete,
    /// Changes a server that is there.
    Change,
}

impl Command {
    /// `show info`.
    pub fn show_info() -> Self {
        Self::show("show info")
    }

    /// `show servers state`, of all back ends.
    pub fn show_servers_state() -> Self {
        Self::show("show servers state")
    }

    /// `show stat` of back ends and servers (types 2 and 4).
    pub fn show_server_stats() -> Self {
        Self::show("show stat -1 6 -1")
    }

    /// `show stat` of back ends only (type 2).
    pub fn show_backend_stats() -> Self {
        Self::show("show stat -1 2 -1")
    }

    /// `set server … state …` for servers of any name.
    ///
    /// # Errors
    /// When a name holds anything but what HAProxy allows in names.
    pub fn set_state(
        backend: &str,
        servers: &[String],
        state: AdminState,
    ) -> Result<Vec<Self>, WireError> {
        let backend = checked(backend.to_owned())?;
        let word = match state {
            AdminState::Ready => "ready",
            AdminState::Drain => "drain",
            AdminState::Maintenance => "maint",
        };
        let one = |server: &String| {
            let server = checked(server.clone())?;
            Ok(Self {
                text: format!("set server {backend}/{server} state {word}"),
                kind: CommandKind::Change,
            })
        };
        servers.iter().map(one).collect()
    }

    fn show(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            kind: CommandKind::Show,
        }
    }

    /// The command as it is sent.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it does.
    pub const fn kind(&self) -> CommandKind {
        self.kind
    }

    /// What it takes of a line, with what separates and marks it.
    fn length(&self) -> usize {
        self.text.len() + MARK.len() + 2
    }
}

/// The commands that make `changes` in `backend`, in their order.
///
/// # Errors
/// When a name holds anything but what HAProxy allows in names.
pub fn commands(backend: &str, changes: &[ServerChange]) -> Result<Vec<Command>, WireError> {
    let backend = checked(backend.to_owned())?;
    let mut commands = Vec::with_capacity(changes.len());
    for change in changes {
        let server = format!("{backend}/{}", checked(change.server.to_string())?);
        commands.extend(
            texts(&server, &change.verb)
                .into_iter()
                .map(|text| Command {
                    text,
                    kind: kind(&change.verb),
                }),
        );
    }
    Ok(commands)
}

fn texts(server: &str, verb: &ServerVerb) -> Vec<String> {
    match verb {
        ServerVerb::Add(endpoint) => {
            let address = std::net::SocketAddr::new(endpoint.address, endpoint.port);
            vec![format!("add server {server} {address} {SERVER_OPTIONS}")]
        }
        // Health first: the server then comes up one failed check away from down.
        ServerVerb::Enable => vec![
            format!("enable health {server}"),
            format!("enable server {server}"),
        ],
        ServerVerb::Weigh(weight) => vec![format!("set server {server} weight {weight}")],
        ServerVerb::Drain => vec![format!("set server {server} state drain")],
        ServerVerb::Maintain => vec![format!("set server {server} state maint")],
        ServerVerb::Cut => vec![format!("shutdown sessions server {server}")],
        ServerVerb::Delete => vec![format!("del server {server}")],
    }
}

const fn kind(verb: &ServerVerb) -> CommandKind {
    match verb {
        ServerVerb::Add(_) => CommandKind::Add,
        ServerVerb::Delete => CommandKind::Delete,
        ServerVerb::Enable
        | ServerVerb::Weigh(_)
        | ServerVerb::Drain
        | ServerVerb::Maintain
        | ServerVerb::Cut => CommandKind::Change,
    }
}

/// A name that HAProxy's configuration would take (`invalid_char` in its sources), so neither `;`,
/// `/`, a space, a line's end nor a back slash.
fn checked(name: String) -> Result<String, WireError> {
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    if !name.is_empty() && name.len() <= MAX_LINE / 16 && name.bytes().all(sound) {
        Ok(name)
    } else {
        Err(WireError::Name(name))
    }
}

/// `commands` in as few lines as fit, in their order.
pub fn lines(commands: &[Command]) -> Vec<&[Command]> {
    let mut lines = Vec::new();
    let mut start = 0;
    let mut length = PREFACE.len() + 1;
    for (index, command) in commands.iter().enumerate() {
        if length + command.length() > MAX_LINE && index > start {
            lines.push(&commands[start..index]);
            start = index;
            length = PREFACE.len() + 1;
        }
        length += command.length();
    }
    if start < commands.len() {
        lines.push(&commands[start..]);
    }
    lines
}

/// One line of commands, to be sent in one write.
pub fn line(commands: &[Command]) -> String {
    let mut line = PREFACE.to_owned();
    for command in commands {
        line.extend([";", command.text.as_str(), ";", MARK]);
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::api::ServerWeight;
    use crate::snapshot::{Endpoint, ServerName, TaskId};

    fn server(slot: u32) -> ServerName {
        ServerName::new(
            &"0123456789".parse().expect("a revision"),
            slot,
            &TaskId::from("abcdefghijkl0123456789abc"),
        )
    }

    fn rendered(verb: ServerVerb) -> Vec<String> {
        let change = ServerChange {
            server: server(1),
            verb,
        };
        let commands = commands("web", &[change]).expect("sound names");
        commands.into_iter().map(|c| c.text).collect()
    }

    #[test]
    fn each_verb_has_its_commands() {
        let name = "web/0123456789.1.abcdefghijkl";
        let endpoint = |address: &str| Endpoint {
            address: address.parse().expect("an address"),
            port: 8080,
        };
        assert_eq!(
            rendered(ServerVerb::Add(endpoint("10.0.0.1"))),
            [format!("add server {name} 10.0.0.1:8080 {SERVER_OPTIONS}")]
        );
        assert_eq!(
            rendered(ServerVerb::Add(endpoint("fd00::1"))),
            [format!("add server {name} [fd00::1]:8080 {SERVER_OPTIONS}")]
        );
        assert_eq!(
            rendered(ServerVerb::Enable),
            [
                format!("enable health {name}"),
                format!("enable server {name}")
            ]
        );
        assert_eq!(
            rendered(ServerVerb::Weigh(ServerWeight::new(7))),
            [format!("set server {name} weight 7")]
        );
        assert_eq!(
            rendered(ServerVerb::Drain),
            [format!("set server {name} state drain")]
        );
        assert_eq!(
            rendered(ServerVerb::Maintain),
            [format!("set server {name} state maint")]
        );
        assert_eq!(
            rendered(ServerVerb::Cut),
            [format!("shutdown sessions server {name}")]
        );
        assert_eq!(rendered(ServerVerb::Delete), [format!("del server {name}")]);
    }

    #[test]
    fn traffic_7_a_name_never_becomes_a_command() {
        let change = || ServerChange {
            server: server(1),
            verb: ServerVerb::Drain,
        };
        for bad in [
            "",
            "web;disable frontend f",
            "web\nshow info",
            "web x",
            "web/y",
            "web\\",
            "wéb",
            "#web",
        ] {
            assert_eq!(
                commands(bad, &[change()]),
                Err(WireError::Name(bad.to_owned())),
                "{bad:?} was accepted"
            );
        }
        let task = TaskId::from("x;show info".to_owned());
        let server = ServerName::new(&"0123456789".parse().expect("a revision"), 1, &task);
        let verb = ServerVerb::Delete;
        assert!(commands("web", &[ServerChange { server, verb }]).is_err());
    }

    proptest! {
        #[test]
        fn traffic_7_any_accepted_back_end_stays_one_word(backend in ".{0,40}") {
            let change = ServerChange { server: server(1), verb: ServerVerb::Drain };
            if let Ok(commands) = commands(&backend, &[change]) {
                let text = commands[0].text();
                prop_assert_eq!(text.split_ascii_whitespace().count(), 5);
                prop_assert!(!text.contains([';', '\n', '\r', '\\', '<', '#', '@', '"', '\'']));
                prop_assert_eq!(text.matches('/').count(), 1);
            }
        }

        #[test]
        fn lines_keep_every_command_in_order_and_fit(count in 0_u32..600) {
            let changes: Vec<_> = (0..count)
                .map(|slot| ServerChange {
                    server: server(slot),
                    verb: ServerVerb::Weigh(ServerWeight::EVEN),
                })
                .collect();
            let commands = commands("web", &changes).expect("sound names");
            let lines = lines(&commands);
            prop_assert_eq!(&lines.concat(), &commands);
            prop_assert!(lines.iter().all(|part| line(part).len() <= MAX_LINE));
        }
    }
}
