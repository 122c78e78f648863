//! What another hand changes in our services (SAFETY-3).

use rolloutctl::action::{Action, NewService};
use rolloutctl::api::{Name, Reach};
use rolloutctl::snapshot::ServiceFact;
use rolloutctl::world::swarm::Swarm;

use super::{clear, docker, lab, network, plain, service, target, template, unique};

/// Every field of the template that an engine stores.
fn everything(rollout: &Name, secret: &str, config: &str) -> NewService {
    NewService {
        template: template(serde_json::json!({
            "image": "demo-app:v1",
            "entrypoint": ["/app"], "command": "--flag 'two words'",
            "environment": ["B=2", "A=", "C=x=y"],
            "networks": [network()],
            "secrets": [secret, {"source": secret, "target": "other", "mode": 256, "uid": "1"}],
            "configs": [{"source": config, "target": "/etc/app.toml"}],
            "volumes": ["data:/data", {"type": "tmpfs", "target": "/tmp"}],
            "healthcheck": {"test": ["NONE"], "interval": "2s", "timeout": "1s", "retries": 3, "start_period": "1s"},
            "stop_grace_period": "1s", "stop_signal": "SIGINT", "user": "0:0", "working_dir": "/",
            "hostname": "{{.Task.Name}}", "labels": {"a": "", "b": "1"},
            "dns": ["10.0.0.53"], "extra_hosts": ["db:10.0.0.9"],
            "cap_add": ["net_admin"], "cap_drop": ["ALL"], "sysctls": {"net.core.somaxconn": "100"},
            "read_only": true, "init": false,
            "logging": {"driver": "json-file", "options": {"max-size": "1m"}},
            "deploy": {
                "resources": {"limits": {"cpus": "0.5", "memory": "64M", "pids": 50}, "reservations": {"cpus": "0.01", "memory": "4M"}},
                "placement": {"constraints": ["node.platform.os == linux"], "preferences": [{"spread": "node.labels.zone"}], "max_replicas_per_node": 3},
                "restart_policy": {"condition": "on-failure", "delay": "1s", "max_attempts": 0, "window": "10s"},
                "labels": {"team": "news", "empty": ""}
            }
        }))
        .into(),
        ..plain(rollout, Reach::Host, 0)
    }
}

/// Everything that a service with every field of the template needs; removed at the end.
struct Furnished {
    new: NewService,
    secret: String,
    config: String,
}

impl Furnished {
    async fn create(swarm: &Swarm, rollout: &Name) -> Self {
        let (secret, config) = (format!("{rollout}-s"), format!("{rollout}-c"));
        docker(&["secret", "create", &secret, "/etc/hostname"]).await;
        docker(&["config", "create", &config, "/etc/hostname"]).await;
        let new = everything(rollout, &secret, &config);
        let create = Action::CreateService(new.clone());
        swarm.act(&create).await.expect("created");
        Self {
            new,
            secret,
            config,
        }
    }

    /// What the service has become.
    async fn look(&self, swarm: &Swarm) -> ServiceFact {
        let facts = swarm.observe().await.expect("a look");
        service(&facts, &self.new).expect("there").clone()
    }

    async fn clear(self, swarm: &Swarm) {
        clear(swarm, &self.new).await;
        docker(&["secret", "rm", &self.secret]).await;
        docker(&["config", "rm", &self.config]).await;
    }
}

#[tokio::test]
async fn safety_3_what_another_hand_changed_is_named_and_put_back() {
    let Some(engine) = lab().await else { return };
    let swarm = Swarm::new(engine);
    let furnished = Furnished::create(&swarm, &unique("drift")).await;
    let name = furnished.new.name();
    for (option, value, said) in [
        ("--env-add", "PASSWORD=hunter2", "Env: PASSWORD changed"),
        (
            "--limit-cpu",
            "0.25",
            "Resources.Limits.NanoCPUs: 250000000 instead of 500000000",
        ),
        (
            "--image",
            "demo-app:v2",
            "Image: demo-app:v2 instead of demo-app:v1",
        ),
        ("--label-add", "team=sport", "Labels.team changed"),
        (
            "--label-rm",
            "rolloutctl.dev/made",
            "the label rolloutctl.dev/made is missing",
        ),
        ("--secret-rm", &furnished.secret, "Secrets taken away"),
        (
            "--publish-add",
            "mode=host,target=9",
            "EndpointSpec.Ports changed",
        ),
        (
            "--update-parallelism",
            "5",
            "UpdateConfig.Parallelism: 5 instead of 1",
        ),
        (
            "--health-retries",
            "9",
            "Healthcheck.Retries: 9 instead of 3",
        ),
    ] {
        let change = [
            "service",
            "update",
            "--detach",
            "--no-resolve-image",
            option,
            value,
            &name,
        ];
        docker(&change).await;
        let fact = furnished.look(&swarm).await;
        let drift = fact.drift.clone().unwrap_or_default();
        assert!(drift.contains(said), "{option} {value} gave {drift:?}");
        let restore = Action::RestoreService {
            service: target(&fact),
            spec: furnished.new.clone(),
        };
        swarm.act(&restore).await.expect("put back");
        assert_eq!(furnished.look(&swarm).await.drift, None, "after {option}");
        // SAFETY-1: the answer was lost, and it is done again.
        swarm.act(&restore).await.expect("put back already");
    }
    furnished.clear(&swarm).await;
}

#[tokio::test]
async fn safety_3_what_is_no_other_hand_is_no_drift() {
    let Some(engine) = lab().await else { return };
    let swarm = Swarm::new(engine);
    let furnished = Furnished::create(&swarm, &unique("still")).await;
    let name = furnished.new.name();
    assert_eq!(furnished.look(&swarm).await.drift, None, "as created");

    docker(&[
        "service",
        "update",
        "--detach",
        "--no-resolve-image",
        "--force",
        &name,
    ])
    .await;
    assert_eq!(furnished.look(&swarm).await.drift, None, "started anew");

    docker(&["service", "scale", "--detach", &format!("{name}=2")]).await;
    let fact = furnished.look(&swarm).await;
    assert_eq!(
        (fact.drift.as_deref(), fact.replicas),
        (None, 2),
        "scaled by hand"
    );

    let scale = Action::ScaleService {
        service: target(&fact),
        replicas: 0,
    };
    swarm.act(&scale).await.expect("scaled");
    let fact = furnished.look(&swarm).await;
    assert_eq!(
        (fact.drift.as_deref(), fact.replicas),
        (None, 0),
        "scaled by us"
    );
    furnished.clear(&swarm).await;
}
