//! HAProxy's runtime API as the loops use it: look, change, inspect.
//!
//! Text becomes types and types become text in [`wire`]; the socket is in `connection`. No choice is
//! made here: which server gets what is decided by the planner.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;

use crate::action::ServerChanges;
use crate::api::{HaproxyInstance, Name};
use crate::snapshot::{InstanceFact, ProxyFact};
use crate::world::{IN_DOUBT, WorldError};

mod address;
mod connection;
mod foreign;
mod inspection;
mod refusal;
mod silence;
pub mod wire;

pub use address::{Address, AddressError};
pub use connection::ConnectionError;
pub use inspection::{ApiLevel, Balance, Inspection, ProxyBackend};

use refusal::Refusal;
use silence::Silences;
use wire::{Command, WireError};

/// Talks to the runtime API of HAProxy instances, 2.6 or later.
///
/// # Guarantees
/// Every line is a connection of its own, which HAProxy closes after its answer; none is kept, so
/// that `stats maxconn` (10 by default) is not used up. Only servers of ours are written to (TRAFFIC-7).
/// An address that gave no answer in time is not waited for again: clones share the memory of that.
#[derive(Clone, Debug)]
pub struct Haproxy {
    limit: Duration,
    silences: Silences,
}

/// Why an instance could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum HaproxyError {
    /// Its address is not one.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// It could not be reached, or went away.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// It gave no answer in time before, and is not waited for again.
    #[error(
        "{address} has given no answer since {since:.0}, and is asked again until it does; check that HAProxy is not \
         stopped or overloaded, that it is HAProxy that listens there, and that no firewall is in between"
    )]
    Silent {
        /// The socket.
        address: Address,
        /// When that was noticed.
        since: Timestamp,
    },
    /// What it said was not understood.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// Its socket does not let us change anything.
    #[error(
        "{address} has only `level {level}`; give the `stats socket` line in haproxy.cfg `level admin` and reload"
    )]
    Level {
        /// The socket.
        address: Address,
        /// What it has.
        level: ApiLevel,
    },
}

impl HaproxyError {
    /// What to say of a change that ended like this.
    fn of_a_change(&self) -> String {
        match self {
            Self::Address(_)
            | Self::Connection(ConnectionError::Connect { .. })
            | Self::Level { .. } => self.to_string(),
            Self::Silent { .. } => format!("{self}; nothing was sent"),
            Self::Connection(
                ConnectionError::Broken { .. }
                | ConnectionError::Timeout { .. }
                | ConnectionError::Empty { .. }
                | ConnectionError::Endless { .. },
            )
            | Self::Wire(_) => format!("{self}{IN_DOUBT}"),
        }
    }
}

impl Default for Haproxy {
    fn default() -> Self {
        Self::new(Self::DEFAULT_LIMIT)
    }
}

impl Haproxy {
    /// How long one connection may take, from connecting to the end of the answer.
    pub const DEFAULT_LIMIT: Duration = Duration::from_secs(2);

    /// A client that gives each connection `limit` in all.
    pub fn new(limit: Duration) -> Self {
        Self {
            limit,
            silences: Silences::default(),
        }
    }

    /// Looks at all `instances` at once, with one connection to each.
    ///
    /// An instance that does not answer, or that would not let us change anything, is a fact. One
    /// that gave no answer in time is a fact at once from then on: it is asked in the background, by
    /// one connection at a time, until it answers. Wants to be called in a tokio runtime.
    pub async fn observe(&self, instances: &[HaproxyInstance]) -> BTreeMap<Name, InstanceFact> {
        let looks = instances.iter().map(async |instance| {
            let fact = match self.look(&instance.address).await {
                Ok(proxy) => InstanceFact::Reachable(proxy),
                Err(error) => InstanceFact::Unreachable {
                    problem: error.to_string(),
                },
            };
            (instance.name.clone(), fact)
        });
        join_all(looks).await.into_iter().collect()
    }

    async fn look(&self, address: &str) -> Result<ProxyFact, HaproxyError> {
        let address: Address = address.parse()?;
        let commands = [
            Command::show_info(),
            Command::show_servers_state(),
            Command::show_server_stats(),
        ];
        if let Err(silent) = self.expect_answer(&address) {
            self.silences
                .probe(&address, wire::line(&commands), self.limit);
            return Err(silent);
        }
        let replies = self.ask(&address, &commands).await?;
        let level = replies.level;
        if level != ApiLevel::Admin {
            return Err(HaproxyError::Level { address, level });
        }
        let [info, state, counters] = replies.texts();
        Ok(wire::proxy_fact(info, state, counters)?)
    }

    /// What a preflight check wants to know of one instance.
    ///
    /// Unlike [`Self::observe`], a socket that does not allow changes is an answer: see
    /// [`Inspection::level`].
    ///
    /// # Errors
    /// When the instance cannot be reached or its answer is not understood.
    pub async fn inspect(&self, instance: &HaproxyInstance) -> Result<Inspection, HaproxyError> {
        let address: Address = instance.address.parse()?;
        let commands = [Command::show_info(), Command::show_backend_stats()];
        let replies = self.ask(&address, &commands).await?;
        let level = replies.level;
        let [info, stats] = replies.texts();
        Ok(Inspection::read(level, info, stats)?)
    }

    /// Makes `changes` on the instance at `address`, in their order and in as few lines as fit.
    ///
    /// Adding a server that is there and deleting one that is not are done already. HAProxy goes on
    /// after a command that it refuses, and so does this: all refusals are told together.
    ///
    /// # Errors
    /// - [`WorldError::Conflict`]: a server was not yet, or no longer, in a state to be deleted.
    /// - [`WorldError::Refused`]: HAProxy said no; its words and a remedy.
    /// - [`WorldError::Unreachable`]: no answer, or half of one; at once, and without a connection,
    ///   where the last look or change ran into the time limit.
    pub async fn apply(&self, address: &str, changes: &ServerChanges) -> Result<(), WorldError> {
        let what = || {
            format!(
                "changing servers of back end {} on {}/{}",
                changes.backend, changes.load_balancer, changes.instance
            )
        };
        let refused = |reason: String| WorldError::Refused {
            what: what(),
            reason,
        };
        let address: Address = address
            .parse()
            .map_err(|error: AddressError| refused(error.to_string()))?;
        let commands = wire::commands(&changes.backend, &changes.changes)
            .map_err(|error| refused(error.to_string()))?;
        let unreachable = |error: HaproxyError| WorldError::Unreachable {
            what: what(),
            reason: error.of_a_change(),
        };
        self.expect_answer(&address).map_err(unreachable)?;
        let mut refusals = Vec::new();
        for line in wire::lines(&commands) {
            let replies = self.ask(&address, line).await.map_err(unreachable)?;
            refusals.extend(Refusal::of(line, &replies, &changes.backend));
        }
        match refusal::told(&refusals) {
            None => Ok(()),
            Some(refusal::Told::Early(reason)) => Err(WorldError::Conflict {
                what: what(),
                reason,
            }),
            Some(refusal::Told::No(reason)) => Err(refused(reason)),
        }
    }

    /// Nobody waits for an address that is silent.
    fn expect_answer(&self, address: &Address) -> Result<(), HaproxyError> {
        self.silences.since(address).map_or(Ok(()), |since| {
            Err(HaproxyError::Silent {
                address: address.clone(),
                since,
            })
        })
    }

    async fn ask(
        &self,
        address: &Address,
        commands: &[Command],
    ) -> Result<wire::Replies, HaproxyError> {
        let line = wire::line(commands);
        let answer = connection::exchange(address, &line, self.limit).await;
        if matches!(answer, Err(ConnectionError::Timeout { .. })) {
            self.silences.begin(address);
        }
        let text = answer?;
        Ok(wire::Replies::split(&text, commands.len())?)
    }
}
