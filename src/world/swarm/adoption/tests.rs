//! What is read of services: of ours everything comes back, of others everything that does not is told.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::action::NewService;
use crate::api::{Access, Reach, Template};
use crate::manifest::adoption::{Effect, Remark};
use crate::world::swarm::references::References;

/// What our own code makes of a template, read again.
fn through_the_engine(template: &Template) -> Adoptee {
    let new = NewService {
        rollout: "web".parse().expect("a name"),
        revision: "0123456789".parse().expect("a revision"),
        template: template.clone().into(),
        access: Access::Proxied {
            port: 8080,
            reach: Reach::Host,
        },
        replicas: 3,
    };
    let references = References::by_names(template);
    let spec = super::super::spec::build(&new, &references).expect("a spec");
    spec::read(&spec, &BTreeMap::new()).expect("a service")
}

fn template(value: Value) -> Template {
    serde_json::from_value(value).expect("a template")
}

/// Each field of a template, as our own code writes it.
fn fields() -> Vec<(&'static str, Value)> {
    vec![
        ("entrypoint", json!(["/app", "--x y"])),
        ("command", json!(["serve"])),
        ("environment", json!({"A": "1", "B": "a=b", "C": ""})),
        ("networks", json!(["news", "back"])),
        (
            "secrets",
            json!(["db", {"source": "key_v2", "target": "key", "uid": "5", "gid": "6", "mode": 256}]),
        ),
        (
            "configs",
            json!([{"source": "rules", "target": "/etc/rules"}]),
        ),
        (
            "volumes",
            json!([{"type": "volume", "source": "data", "target": "/d", "read_only": true}, {"type": "bind", "source": "/x", "target": "/y"}, {"type": "tmpfs", "target": "/t"}]),
        ),
        (
            "healthcheck",
            json!({"test": ["CMD", "/h"], "interval": "2s", "timeout": "1s500ms", "retries": 3, "start_period": "1m"}),
        ),
        ("stop_grace_period", json!("30s")),
        ("stop_signal", json!("SIGQUIT")),
        ("user", json!("1000:1000")),
        ("working_dir", json!("/srv")),
        ("hostname", json!("{{.Node.Hostname}}")),
        ("labels", json!({"team": "news"})),
        ("dns", json!(["10.0.0.2"])),
        ("extra_hosts", json!(["db:fd00::9", "kv:10.0.0.9"])),
        ("cap_add", json!(["CAP_NET_ADMIN"])),
        ("cap_drop", json!(["ALL"])),
        ("sysctls", json!({"net.core.somaxconn": "1024"})),
        ("read_only", json!(true)),
        ("init", json!(false)),
        (
            "logging",
            json!({"driver": "json-file", "options": {"max-size": "1m"}}),
        ),
        (
            "deploy",
            json!({
                "resources": {"limits": {"cpus": "0.29", "memory": "128M", "pids": 50}, "reservations": {"cpus": "2", "memory": "1000"}},
                "placement": {"constraints": ["node.role == worker"], "preferences": [{"spread": "node.labels.zone"}], "max_replicas_per_node": 2},
                "restart_policy": {"condition": "on-failure", "delay": "5s", "max_attempts": 4, "window": "2m"},
                "labels": {"contact": "ana"},
            }),
        ),
    ]
}

#[test]
fn every_field_of_a_template_comes_back() {
    let all = fields();
    let mut whole = json!({"image": "app:v1"});
    for (name, value) in all {
        let one = template(json!({"image": "app:v1", name: value}));
        assert_eq!(through_the_engine(&one).template, one, "{name}");
        whole[name] = value;
    }
    let schema = crate::manifest::schema(crate::api::Kind::Rollout);
    let known = schema["$defs"]["Template"]["properties"]
        .as_object()
        .expect("its fields");
    let missing: Vec<_> = known
        .keys()
        .filter(|name| whole.get(name).is_none())
        .collect();
    assert!(
        missing.is_empty(),
        "fields that this table lacks: {missing:?}"
    );
    let whole = template(whole);
    let read = through_the_engine(&whole);
    assert_eq!(read.template, whole);
    assert_eq!(read.replicas, Some(3));
    assert_eq!(read.ports, [8080]);
    let lost: Vec<_> = read
        .remarks
        .iter()
        .filter(|r| r.effect == Effect::Lost)
        .collect();
    assert!(lost.is_empty(), "{lost:#?}");
}

proptest! {
    /// Whatever fields there are, in whatever spelling: read and made again it is the same service.
    #[test]
    fn a_service_of_ours_read_and_made_again_is_the_same(chosen in prop::collection::vec(any::<bool>(), 23), nano in 1_u64..9_000_000_000, bytes in 1_u64..1 << 40) {
        let mut value = json!({"image": "app:v1"});
        for ((name, field), _) in fields().into_iter().zip(&chosen).filter(|(_, chosen)| **chosen) {
            value[name] = field;
        }
        let cpus = format!("{}.{:09}", nano / 1_000_000_000, nano % 1_000_000_000);
        value["deploy"] = json!({"resources": {"limits": {"cpus": cpus, "memory": bytes.to_string()}}});
        let once = through_the_engine(&template(value)).template;
        prop_assert_eq!(&through_the_engine(&once).template, &once);
    }
}

/// As `docker stack deploy` makes them with Engine 20.10, shortened.
fn stack_service() -> Value {
    json!({
        "Name": "news_web",
        "Labels": {"com.docker.stack.image": "web:1.0", "com.docker.stack.namespace": "news", "contact": "ana"},
        "TaskTemplate": {
            "ContainerSpec": {
                "Image": "web:1.0@sha256:00", "Labels": {"com.docker.stack.namespace": "news"},
                "Env": ["A=1", "GONE"], "Privileges": {"CredentialSpec": null, "SELinuxContext": null},
                "StopGracePeriod": 10_000_000_000_u64, "DNSConfig": {"Search": ["example"]}, "Isolation": "default",
                "TTY": true, "Ulimits": [{"Name": "nofile", "Hard": 9, "Soft": 9}],
                "Secrets": [{"File": {"Name": "db", "UID": "0", "GID": "0", "Mode": 292}, "SecretID": "s", "SecretName": "news_db"}],
            },
            "Resources": {"Reservations": {"GenericResources": [{"DiscreteResourceSpec": {"Kind": "GPU", "Value": 1}}]}},
            "RestartPolicy": {"Condition": "any", "Delay": 5_000_000_000_u64, "MaxAttempts": 0},
            "Placement": {"Platforms": [{"Architecture": "amd64", "OS": "linux"}]},
            "Networks": [{"Target": "n1", "Aliases": ["web"]}], "ForceUpdate": 3, "Runtime": "container",
        },
        "Mode": {"Replicated": {"Replicas": 4}},
        "UpdateConfig": {"Parallelism": 1}, "RollbackConfig": {"Parallelism": 1},
        "EndpointSpec": {"Mode": "vip", "Ports": [
            {"Protocol": "tcp", "TargetPort": 80, "PublishedPort": 8080, "PublishMode": "ingress"},
            {"Protocol": "udp", "TargetPort": 53, "PublishedPort": 5353, "PublishMode": "host"}]},
    })
}

fn named(remarks: &[Remark], effect: Effect) -> Vec<&str> {
    let those = remarks.iter().filter(|remark| remark.effect == effect);
    those.map(|remark| remark.field.as_str()).collect()
}

#[test]
fn what_a_rollout_cannot_express_is_named() {
    let networks = BTreeMap::from([("n1".to_owned(), "news_default".to_owned())]);
    let read = spec::read(&stack_service(), &networks).expect("a service");
    let expected = template(json!({
        "image": "web:1.0@sha256:00", "environment": {"A": "1"}, "networks": ["news_default"],
        "secrets": [{"source": "news_db", "target": "db"}], "stop_grace_period": "10s",
        "deploy": {"labels": {"contact": "ana"}, "restart_policy": {"condition": "any", "delay": "5s"}},
    }));
    assert_eq!(read.template, expected);
    assert_eq!((read.replicas, read.ports), (Some(4), vec![80]));
    assert_eq!(Vec::from_iter(read.names), ["news_web", "web"]);
    assert_eq!(
        named(&read.remarks, Effect::Lost),
        [
            "TaskTemplate.ContainerSpec.Env",
            "TaskTemplate.ContainerSpec.DNSConfig.Search",
            "TaskTemplate.ContainerSpec.TTY",
            "TaskTemplate.ContainerSpec.Ulimits",
            "TaskTemplate.Resources.Reservations.GenericResources",
            "EndpointSpec.Ports[0].PublishMode",
            "EndpointSpec.Ports[1].PublishMode",
        ]
    );
    assert_eq!(
        named(&read.remarks, Effect::Replaced),
        [
            "TaskTemplate.Placement.Platforms",
            "Labels",
            "UpdateConfig",
            "RollbackConfig",
            "EndpointSpec.Mode",
        ]
    );
}

#[test]
fn a_global_service_has_no_number_and_no_scale() {
    let mut spec = stack_service();
    spec["Mode"] = json!({"Global": {}});
    assert_eq!(spec::running(&spec["Mode"]), Running::Unscalable);
    let read = spec::read(&spec, &BTreeMap::new()).expect("a service");
    assert_eq!(read.replicas, None);
    assert!(named(&read.remarks, Effect::Lost).contains(&"Mode"));
}

#[test]
fn a_service_on_no_network_of_its_own_is_called_by_nobody() {
    let mut spec = stack_service();
    spec["TaskTemplate"]["Networks"] = json!([]);
    let read = spec::read(&spec, &BTreeMap::new()).expect("a service");
    assert!(read.names.is_empty(), "{:?}", read.names);
}

fn service(spec: Value) -> ForeignService {
    ForeignService {
        id: "s".to_owned(),
        version: 1,
        name: "news_web".to_owned(),
        spec,
        virtual_addresses: virtual_addresses(&json!({"VirtualIPs": [{"Addr": "10.0.1.5/24"}]})),
        networks: BTreeMap::new(),
    }
}

#[test]
fn a_service_is_reached_by_its_tasks_its_virtual_address_and_the_mesh() {
    let task = |state: &str, address: &str| {
        let raw = json!({"ID": "t", "NodeID": "n", "Status": {"State": state, "PortStatus": {"Ports": [
            {"Protocol": "tcp", "TargetPort": 80, "PublishedPort": 32768, "PublishMode": "host"}]}},
            "DesiredState": "running",
            "NetworksAttachments": [{"Network": {"Spec": {"Name": "web"}}, "Addresses": [address]}]});
        facts::task(serde_json::from_value(raw).expect("a task")).expect("sound")
    };
    let node = json!({"ID": "n", "Status": {"State": "ready", "Addr": "192.0.2.1"}});
    let node = facts::node(serde_json::from_value(node).expect("a node")).expect("a fact");
    let nodes = BTreeMap::from([(node.id.clone(), node)]);
    let tasks = [
        task("running", "10.0.1.7/24"),
        task("failed", "10.0.1.8/24"),
    ];
    let ways = ways(&service(stack_service()), &tasks, &nodes);
    for (endpoint, leads) in [
        ("10.0.1.5:80", true),
        ("10.0.1.7:9999", true),
        ("10.0.1.8:80", false),
        ("192.0.2.1:32768", true),
        ("192.0.2.1:8080", true),
        ("192.0.2.1:5353", false),
        ("192.0.2.1:80", false),
    ] {
        let endpoint: std::net::SocketAddr = endpoint.parse().expect("an address");
        let endpoint = Endpoint {
            address: endpoint.ip(),
            port: endpoint.port(),
        };
        assert_eq!(ways.lead_from(&endpoint), leads, "{endpoint:?}");
    }
}

#[test]
fn a_network_of_the_node_is_not_taken_over() {
    let spec = json!({
        "Name": "web",
        "TaskTemplate": {
            "ContainerSpec": {"Image": "web:1"},
            "Networks": [{"Target": "id-1"}, {"Target": "id-2"}],
        },
        "Mode": {"Replicated": {"Replicas": 1}},
    });
    let networks = [("id-1", "host"), ("id-2", "news")];
    let networks = networks.map(|(id, name)| (id.to_owned(), name.to_owned()));
    let read = spec::read(&spec, &BTreeMap::from(networks)).expect("a service");
    assert_eq!(read.template.networks, ["news"]);
    let lost = read.remarks.iter().filter(|r| r.effect == Effect::Lost);
    let lost: Vec<_> = lost.map(|remark| remark.field.as_str()).collect();
    assert_eq!(lost, ["TaskTemplate.Networks[0].Target"]);
}
