//! What `undo` writes: all that makes a revision, and nothing else.

use serde_json::json;

use super::fixtures::{at, spec};
use super::past::{asking_for, image, under_way};
use crate::api::{Actor, Reach, Resource, Revision, RevisionRecord, RolloutSpec, RolloutStatus};
use crate::cli::undo::restored;

/// A spec that says all that a template can say, and more.
fn full(version: &str) -> RolloutSpec {
    let mut full = serde_json::to_value(spec(&image(version))).expect("JSON");
    full["template"] = json!({
        "image": image(version),
        "entrypoint": ["/bin/sh", "-c"],
        "command": "serve --now",
        "environment": [format!("RELEASE={version}"), "PLAIN=1"],
        "networks": ["news", "metrics"],
        "secrets": [format!("db-{version}"), {"source": "key", "target": "tls.key", "uid": "1", "gid": "2", "mode": 0o400}],
        "configs": [{"source": format!("conf-{version}"), "target": "/etc/app.conf"}],
        "volumes": ["cache:/cache:ro", {"type": "tmpfs", "target": "/tmp"}],
        "healthcheck": {"test": "curl localhost", "interval": "2s", "timeout": "1s", "retries": 3, "start_period": "5s"},
        "stop_grace_period": "40s",
        "stop_signal": "SIGINT",
        "user": "1000:1000",
        "working_dir": "/srv",
        "hostname": "{{.Node.Hostname}}",
        "labels": {"version": version},
        "dns": ["10.0.0.2"],
        "extra_hosts": ["db:10.0.0.3"],
        "cap_add": ["NET_BIND_SERVICE"],
        "cap_drop": ["ALL"],
        "sysctls": {"net.core.somaxconn": "1024"},
        "read_only": true,
        "init": true,
        "logging": {"driver": "json-file", "options": {"max-size": "1m"}},
        "deploy": {
            "resources": {"limits": {"cpus": "0.5", "memory": "128M", "pids": 10}, "reservations": {"cpus": "0.1", "memory": "64M"}},
            "placement": {"constraints": ["node.role == worker"], "preferences": [{"spread": "node.labels.zone"}], "max_replicas_per_node": 2},
            "restart_policy": {"condition": "on-failure", "delay": "5s", "max_attempts": 3, "window": "1m"},
            "labels": {"team": "news"},
        },
    });
    full["traffic"]["port"] = json!(9_000);
    full["traffic"]["reach"] = json!("host");
    serde_json::from_value(full).expect("a spec")
}

/// Images, secrets, configs and all the rest return together: it is the same revision.
#[test]
fn progress_6_undo_restores_all_of_a_revision_and_nothing_else() {
    let old = full("1.4.1");
    let target = Revision::of(&old);
    let record = RevisionRecord {
        template: old.template.clone().into(),
        access: old.access(),
        created_at: at(0),
    };
    let mut status = under_way();
    status.stable_revision = Some(target.clone());
    status.revisions.insert(target.clone(), record);
    // As it comes back from the store.
    let text = serde_json::to_string(&status).expect("JSON");
    let status: RolloutStatus = serde_json::from_str(&text).expect("the same");
    let before = asking_for("1.4.2", status);
    let by = Actor("ana@desk".to_owned());
    let Ok(Resource::Rollout(after)) = restored(&before, None, &by) else {
        panic!("not restored");
    };
    assert_eq!(Revision::of(&after.spec), target);
    assert_eq!(after.spec.template, old.template);
    let mut expected = spec(&image("1.4.2"));
    expected.template = old.template;
    let traffic = expected.traffic.as_mut().expect("a canary has traffic");
    (traffic.port, traffic.reach) = (9_000, Reach::Host);
    assert_eq!(after.spec, expected);
    assert_eq!(
        after.metadata.labels,
        before.draft.resource.metadata().labels
    );
}
