//! Hints from the engine's event stream: wake up, something may have changed.
//!
//! The stream is read by a task of its own, so that what happens between two waits is not missed.
//! Many events make one hint. There are no events of Swarm tasks (moby #37403), and those of
//! containers come from the connected node only.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bollard::models::{EventMessage, EventMessageTypeEnum};
use bollard::query_parameters::EventsOptions;
use futures_util::StreamExt;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::retry::{Backoff, Policy};
use crate::world::docker::Engine;

/// After so long without an event the stream is opened anew: a broken connection can be silent.
const SILENCE: Duration = Duration::from_secs(300);

/// The attribute by which a container's event is known for one of a Swarm task.
const SERVICE_ATTRIBUTE: &str = "com.docker.swarm.service.name";

/// The event stream of one engine, opened when somebody first waits.
#[derive(Debug)]
pub(super) struct Hints {
    engine: Engine,
    arrived: Arc<Notify>,
    reader: OnceLock<AbortHandle>,
}

impl Hints {
    pub(super) fn new(engine: Engine) -> Self {
        Self {
            engine,
            arrived: Arc::default(),
            reader: OnceLock::new(),
        }
    }

    /// Waits for the next hint. One that came since the last wait is answered at once.
    pub(super) async fn next(&self) {
        self.reader.get_or_init(|| {
            let reader = read(self.engine.clone(), Arc::clone(&self.arrived));
            tokio::spawn(reader).abort_handle()
        });
        self.arrived.notified().await;
    }
}

impl Drop for Hints {
    fn drop(&mut self) {
        if let Some(reader) = self.reader.get() {
            reader.abort();
        }
    }
}

/// Reads the stream, for ever: what ends it is followed by a pause and a new one.
async fn read(engine: Engine, arrived: Arc<Notify>) {
    let mut backoff = Backoff::new(Policy::UNTIL_IT_COMES_BACK);
    loop {
        let mut events = engine.client().events(Some(what_matters()));
        loop {
            match tokio::time::timeout(SILENCE, events.next()).await {
                Ok(Some(Ok(event))) => {
                    backoff.reset();
                    if matters(&event) {
                        arrived.notify_one();
                    }
                }
                Ok(Some(Err(err))) => {
                    tracing::debug!("the event stream of {} broke: {err}", engine.address());
                    break;
                }
                Ok(None) | Err(_) => break,
            }
        }
        backoff.pause().await;
        // What happened meanwhile left no event behind.
        arrived.notify_one();
    }
}

/// The engine leaves out the rest; of health checks' own `exec` events there are many.
fn what_matters() -> EventsOptions {
    let list = |items: &[&str]| items.iter().map(|&item| item.to_owned()).collect();
    EventsOptions {
        filters: Some(HashMap::from([
            (
                "type".to_owned(),
                list(&[
                    "service",
                    "node",
                    "network",
                    "secret",
                    "config",
                    "container",
                ]),
            ),
            (
                "event".to_owned(),
                list(&[
                    "create",
                    "update",
                    "remove",
                    "start",
                    "health_status",
                    "kill",
                    "die",
                ]),
            ),
        ])),
        ..EventsOptions::default()
    }
}

/// Whether an event is worth a look. A container counts if it is a Swarm task's and does more than
/// come into being.
fn matters(event: &EventMessage) -> bool {
    if event.typ != Some(EventMessageTypeEnum::CONTAINER) {
        return true;
    }
    let attributes = event.actor.as_ref().and_then(|a| a.attributes.as_ref());
    attributes.is_some_and(|attributes| attributes.contains_key(SERVICE_ATTRIBUTE))
        && event.action.as_deref() != Some("create")
}

#[cfg(test)]
mod tests {
    use bollard::models::EventActor;

    use super::*;

    fn event(typ: EventMessageTypeEnum, action: &str, attributes: &[&str]) -> EventMessage {
        let attributes = attributes
            .iter()
            .map(|&key| (key.to_owned(), "web".to_owned()));
        EventMessage {
            typ: Some(typ),
            action: Some(action.to_owned()),
            actor: Some(EventActor {
                id: None,
                attributes: Some(attributes.collect()),
            }),
            ..EventMessage::default()
        }
    }

    #[test]
    fn only_containers_of_the_swarm_matter() {
        use EventMessageTypeEnum::{CONTAINER, SERVICE};
        assert!(matters(&event(SERVICE, "update", &[])));
        assert!(matters(&event(CONTAINER, "die", &[SERVICE_ATTRIBUTE])));
        assert!(!matters(&event(CONTAINER, "die", &["image"])));
        assert!(!matters(&event(CONTAINER, "create", &[SERVICE_ATTRIBUTE])));
    }
}
