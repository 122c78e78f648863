//! What a preflight check learns of an engine (Engine API, `GET /info`).

use bollard::models::{LocalNodeState, SwarmInfo, SystemInfo};
use jiff::Timestamp;

use super::{Engine, ask, timestamp};
use crate::world::WorldError;

/// One engine, as far as a preflight check can see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// Its address.
    pub address: String,
    /// Its version, such as `20.10.24`; empty if it does not tell.
    pub version: String,
    /// The API version on which both sides agree.
    pub api_version: String,
    /// What it is in a Swarm.
    pub role: SwarmRole,
    /// Its clock, if it tells.
    pub clock: Option<Timestamp>,
}

/// What an engine is in a Swarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SwarmRole {
    /// It is in none.
    Outside,
    /// It runs tasks and cannot be asked about the Swarm.
    Worker,
    /// It is one of the managers.
    Manager {
        /// How many managers there are.
        managers: u64,
        /// How many nodes there are, managers among them.
        nodes: u64,
    },
    /// It should be in a Swarm and is not: locked, joining, or with an error.
    Broken(String),
}

impl Engine {
    /// What a preflight check wants to know.
    ///
    /// # Errors
    /// When the engine does not answer or refuses.
    pub async fn inspect(&self) -> Result<Inspection, WorldError> {
        let info = ask("inspect the engine", self.client().info()).await?;
        Ok(Inspection::read(self, info))
    }
}

impl Inspection {
    fn read(engine: &Engine, info: SystemInfo) -> Self {
        Self {
            address: engine.address().to_owned(),
            api_version: engine.api_version(),
            clock: timestamp(info.system_time.as_deref()),
            version: info.server_version.unwrap_or_default(),
            role: info.swarm.map_or(SwarmRole::Outside, role),
        }
    }
}

fn role(swarm: SwarmInfo) -> SwarmRole {
    let count = |number: Option<i64>| number.and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
    let error = swarm.error.filter(|error| !error.is_empty());
    match swarm.local_node_state {
        Some(LocalNodeState::ACTIVE) if swarm.control_available == Some(true) => {
            SwarmRole::Manager {
                managers: count(swarm.managers),
                nodes: count(swarm.nodes),
            }
        }
        Some(LocalNodeState::ACTIVE) => SwarmRole::Worker,
        Some(
            state @ (LocalNodeState::PENDING | LocalNodeState::ERROR | LocalNodeState::LOCKED),
        ) => SwarmRole::Broken(error.unwrap_or_else(|| state.to_string())),
        Some(LocalNodeState::INACTIVE | LocalNodeState::EMPTY) | None => SwarmRole::Outside,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(state: LocalNodeState) -> SwarmInfo {
        SwarmInfo {
            local_node_state: Some(state),
            control_available: Some(false),
            error: Some(String::new()),
            managers: Some(3),
            nodes: Some(5),
            ..SwarmInfo::default()
        }
    }

    #[test]
    fn only_an_active_node_with_control_is_a_manager() {
        let in_control = SwarmInfo {
            control_available: Some(true),
            ..found(LocalNodeState::ACTIVE)
        };
        let (managers, nodes) = (3, 5);
        assert_eq!(role(in_control), SwarmRole::Manager { managers, nodes });
        assert_eq!(role(found(LocalNodeState::ACTIVE)), SwarmRole::Worker);
        assert_eq!(role(found(LocalNodeState::INACTIVE)), SwarmRole::Outside);
        let locked = SwarmRole::Broken("locked".to_owned());
        assert_eq!(role(found(LocalNodeState::LOCKED)), locked);
        let broken = SwarmInfo {
            error: Some("bad certificate".to_owned()),
            ..found(LocalNodeState::ERROR)
        };
        let said = SwarmRole::Broken("bad certificate".to_owned());
        assert_eq!(role(broken), said);
    }
}
