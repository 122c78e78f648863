//! HAProxy's own counts, asked for by its runtime API, for [`super::loss`].

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::join_all;

use super::Counters;
use super::loss::Reading;
use crate::api::HaproxyInstance;
use crate::world::haproxy::{Haproxy, Inspection};

/// Asks the instances at once; one that does not answer is left out this time.
pub fn counters_of(instances: Vec<HaproxyInstance>) -> Counters {
    let instances = Arc::new(instances);
    let haproxy = Haproxy::default();
    Arc::new(move || {
        let (instances, haproxy) = (instances.clone(), haproxy.clone());
        async move {
            let looks = instances.iter().map(|instance| haproxy.inspect(instance));
            let answers = instances.iter().zip(join_all(looks).await);
            let heard = answers.filter_map(|(instance, answer)| Some((instance, answer.ok()?)));
            heard
                .flat_map(|(instance, inspection)| readings(instance, inspection))
                .collect()
        }
        .boxed()
    })
}

/// What an instance says of its HTTP back ends.
fn readings(instance: &HaproxyInstance, inspection: Inspection) -> impl Iterator<Item = Reading> {
    let Inspection {
        pid, uptime_secs, ..
    } = inspection;
    let is_http = |mode: &str| mode == "http";
    inspection
        .backends
        .into_iter()
        .filter(move |(_, found)| is_http(&found.mode))
        .map(move |(backend, found)| Reading {
            instance: instance.address.clone(),
            uptime_secs,
            pid,
            backend,
            total: found.total,
            open: found.open,
        })
}
