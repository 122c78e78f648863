//! Servers that are not ours, when their owner hands them over: out of the traffic, and back into it.
//!
//! Nothing here is called by a controller: TRAFFIC-7 holds but for the servers that
//! `rolloutctl import SERVICE --take-over` was told of. Which those are is decided there.

use super::refusal::{self, Refusal};
use super::wire::{self, Command};
use super::{Address, AddressError, Haproxy};
use crate::snapshot::{AdminState, ServerName};
use crate::world::WorldError;

impl Haproxy {
    /// Asks `state` of foreign servers of one back end, on the instance at `address`.
    ///
    /// # Errors
    /// As [`Haproxy::apply`]; and [`WorldError::Refused`] for a server that is ours.
    pub async fn set_foreign(
        &self,
        address: &str,
        backend: &str,
        servers: &[String],
        state: AdminState,
    ) -> Result<(), WorldError> {
        let what = || format!("change servers of back end {backend} at {address}");
        let refused = |reason: String| WorldError::Refused {
            what: what(),
            reason,
        };
        if let Some(ours) = servers
            .iter()
            .find(|name| name.parse::<ServerName>().is_ok())
        {
            return Err(refused(format!(
                "{ours} is a rollout's, and the controller's to change"
            )));
        }
        let socket: Address = address
            .parse()
            .map_err(|error: AddressError| refused(error.to_string()))?;
        let commands = Command::set_state(backend, servers, state)
            .map_err(|error| refused(error.to_string()))?;
        let mut refusals = Vec::new();
        for line in wire::lines(&commands) {
            let replies =
                self.ask(&socket, line)
                    .await
                    .map_err(|error| WorldError::Unreachable {
                        what: what(),
                        reason: error.of_a_change(),
                    })?;
            refusals.extend(Refusal::of(line, &replies, backend));
        }
        match refusal::told(&refusals) {
            None => Ok(()),
            Some(refusal::Told::Early(reason) | refusal::Told::No(reason)) => Err(refused(reason)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn traffic_7_a_server_of_ours_is_not_handed_over() {
        let ours = "0123456789.1.abcdefghijkl".to_owned();
        let asked = Haproxy::default()
            .set_foreign("tcp://127.0.0.1:1", "web", &[ours], AdminState::Drain)
            .await;
        assert!(
            matches!(asked, Err(WorldError::Refused { .. })),
            "{asked:?}"
        );
    }

    #[test]
    fn traffic_7_a_foreign_name_never_becomes_a_command() {
        let texts = |name: &str, state| {
            let commands = Command::set_state("web", &[name.to_owned()], state);
            commands.map(|all| all.iter().map(|c| c.text().to_owned()).collect::<Vec<_>>())
        };
        for (state, word) in [
            (AdminState::Drain, "drain"),
            (AdminState::Maintenance, "maint"),
            (AdminState::Ready, "ready"),
        ] {
            let expected = format!("set server web/old_1 state {word}");
            assert_eq!(texts("old_1", state), Ok(vec![expected]));
        }
        assert!(texts("old;show info", AdminState::Drain).is_err());
    }
}
