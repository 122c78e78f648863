//! What is read of Compose files, and what is told of what is not.

use serde_json::json;

use super::*;
use crate::manifest::adoption::{Effect, Remark};

fn around(stack: Option<&str>) -> Surroundings<'_> {
    Surroundings {
        stack,
        directory: "/srv/news".into(),
        variable: &|name| match name {
            "TAG" => Some("1.4".to_owned()),
            "FROM_SHELL" => Some("here".to_owned()),
            _ => None,
        },
        file: &|path| match path.to_str() {
            Some("/srv/news/web.env") => {
                Ok("# a comment\nA=1\n B= 2\n\nC=of the file\n".to_owned())
            }
            Some("/srv/news/shell.env") => {
                Ok("# for a shell\nexport D=4\nE =5\n=6\nexport F\nG=7\n".to_owned())
            }
            _ => Err("no such file".to_owned()),
        },
    }
}

fn import(text: &str, service: &str, stack: Option<&str>) -> Result<Adoptee, Vec<String>> {
    let read = read(&Source::new("stack.yml", text), service, &around(stack));
    read.map_err(|errors| errors.iter().map(ToString::to_string).collect())
}

const STACK: &str = r#"version: "3.8"
x-common: &common
  restart: always
services:
  web:
    <<: *common
    image: web:${TAG}
    command: serve --fast
    environment: [A=2, FROM_SHELL, D=$$5]
    env_file: web.env
    networks: [back, news]
    secrets:
      - db_password
      - {source: key, target: web.key, mode: 0440}
    configs: [rules]
    volumes: ["data:/data", "./etc:/etc/web:ro", {type: tmpfs, target: /tmp}]
    healthcheck: {test: curl localhost, interval: 1m30s, timeout: 1.5s, retries: 3}
    stop_grace_period: 1m
    labels: {version: 1.10}
    extra_hosts: ["db:10.0.0.9"]
    read_only: true
    ports: ["8080:80"]
    deploy:
      replicas: 4
      labels: [team=news]
      resources: {limits: {cpus: ".5", memory: 1.5G, pids: 9}, reservations: {memory: 64M}}
      placement: {constraints: [node.role == worker], preferences: [{spread: node.labels.zone}]}
      update_config: {parallelism: 2, order: start-first}
networks:
  news: {external: true}
  back: {}
secrets:
  db_password: {file: ./password}
  key: {external: true, name: key_v2}
configs:
  rules: {file: ./rules}
volumes:
  data: {}
"#;

fn fields(remarks: &[Remark], effect: Effect) -> Vec<String> {
    let those = remarks.iter().filter(|remark| remark.effect == effect);
    those
        .map(|remark| format!("{} {}", remark.place, remark.field))
        .collect()
}

#[test]
fn a_stack_file_becomes_the_template_that_the_stack_would_run() {
    let read = import(STACK, "news_web", Some("news")).expect("sound");
    let expected: Template = serde_json::from_value(json!({
        "image": "web:1.4", "command": "serve --fast",
        "environment": {"A": "2", "B": " 2", "C": "of the file", "D": "$5", "FROM_SHELL": "here"},
        "networks": ["news", "news_back"],
        "secrets": [{"source": "news_db_password", "target": "db_password"}, {"source": "key_v2", "target": "web.key", "mode": 288}],
        "configs": [{"source": "news_rules", "target": "rules"}],
        "volumes": [
            {"type": "volume", "source": "news_data", "target": "/data"},
            {"type": "bind", "source": "/srv/news/etc", "target": "/etc/web", "read_only": true},
            {"type": "tmpfs", "target": "/tmp"}],
        "healthcheck": {"test": ["CMD-SHELL", "curl localhost"], "interval": "1m30s", "timeout": "1s500ms", "retries": 3},
        "stop_grace_period": "1m", "labels": {"version": "1.10"}, "extra_hosts": ["db:10.0.0.9"], "read_only": true,
        "deploy": {
            "labels": {"team": "news"},
            "resources": {"limits": {"cpus": "0.5", "memory": "1536M", "pids": 9}, "reservations": {"memory": "64M"}},
            "placement": {"constraints": ["node.role == worker"], "preferences": [{"spread": "node.labels.zone"}]},
            "restart_policy": {"condition": "any"},
        },
    }))
    .expect("a template");
    assert_eq!(read.template, expected);
    assert_eq!((read.replicas, read.ports.as_slice()), (Some(4), &[80][..]));
    assert_eq!(
        fields(&read.remarks, Effect::Lost),
        ["stack.yml:22:13 services.web.ports[0]"]
    );
    assert_eq!(
        fields(&read.remarks, Effect::Replaced),
        [
            "stack.yml:9:24 services.web.environment[1]",
            "stack.yml:10:15 services.web.env_file",
            "stack.yml:28:22 services.web.deploy.update_config",
        ]
    );
}

#[test]
fn what_a_rollout_cannot_express_is_named_with_its_place() {
    let text = r#"services:
  web:
    image: web:${UNSET}
    ulimits: {nofile: 9}
    devices: [/dev/kvm]
    credential_spec: {config: c}
    isolation: hyperv
    depends_on: [db]
    environment: [NOT_SET]
    dns_search: example
    networks: {default: {aliases: [www], ipv4_address: 10.0.0.7}}
    volumes: ["/anonymous", "data:/d:nocopy"]
    ports: [{target: 80, published: 8080, mode: host}, "53:53/udp"]
    deploy:
      mode: global
      endpoint_mode: vip
      resources: {reservations: {generic_resources: [{discrete_resource_spec: {kind: gpu, value: 1}}]}}
volumes:
  data: {driver: nfs}
"#;
    let read = import(text, "web", None).expect("sound");
    let lost = fields(&read.remarks, Effect::Lost);
    for field in [
        "3:12 services.web.image",
        "4:14 services.web.ulimits",
        "5:14 services.web.devices",
        "services.web.credential_spec",
        "services.web.isolation",
        "services.web.environment[0]",
        "services.web.dns_search",
        "services.web.networks.default.ipv4_address",
        "services.web.volumes[0]",
        "services.web.volumes[1]",
        "volumes.data.driver",
        "services.web.ports[0]",
        "services.web.ports[1]",
        "services.web.deploy.mode",
        "services.web.deploy.resources.reservations.generic_resources",
    ] {
        assert!(
            lost.iter().any(|told| told.ends_with(field)),
            "{field} of {lost:#?}"
        );
    }
    let replaced = fields(&read.remarks, Effect::Replaced);
    for field in [
        "services.web.depends_on",
        "services.web.deploy.endpoint_mode",
    ] {
        assert!(
            replaced.iter().any(|told| told.ends_with(field)),
            "{field} of {replaced:#?}"
        );
    }
    assert_eq!((read.replicas, read.ports.as_slice()), (None, &[80][..]));
    assert_eq!(Vec::from_iter(read.names), ["web", "www"]);
}

#[test]
fn a_service_is_called_by_its_own_name_and_the_one_in_the_file() {
    let read = import(STACK, "news_web", Some("news")).expect("sound");
    assert_eq!(Vec::from_iter(read.names), ["news_web", "web"]);
    let apart = "services: {web: {image: web, network_mode: host}}";
    assert!(import(apart, "web", None).is_ok_and(|read| read.names.is_empty()));
}

#[test]
fn without_the_stacks_name_it_is_asked_for() {
    let read = import(STACK, "web", None).expect("sound");
    let asks = |remark: &&Remark| remark.remedy.contains("--stack");
    let asked: Vec<_> = read
        .remarks
        .iter()
        .filter(asks)
        .map(|r| r.field.as_str())
        .collect();
    assert_eq!(
        asked,
        [
            "services.web.networks[0]",
            "services.web.secrets[0]",
            "services.web.configs[0]",
            "services.web.volumes[0]",
        ]
    );
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_all_at_once() {
    let told = |text: &str, service: &str| {
        import(text, service, None)
            .expect_err("an error")
            .join("\n")
    };
    let unknown = told(STACK, "wbe");
    assert!(
        unknown
            .starts_with("stack.yml:5:3: services: there is no service `wbe`; did you mean `web`?"),
        "{unknown}"
    );
    assert!(
        told(STACK, "news_web").contains("--stack"),
        "{}",
        told(STACK, "news_web")
    );
    let wrong = told(
        "services:\n  web:\n    networks: [nwes]\n    stop_grace_period: 5\n    healthcheck: {retries: many}\n    env_file: none\n    restart: sometimes\n",
        "web",
    );
    for expected in [
        "stack.yml:3:5: services.web: the service has no image",
        "stack.yml:3:16: services.web.networks[0]: `nwes` is not defined",
        "stack.yml:4:24: services.web.stop_grace_period: `5` is no length of time",
        "stack.yml:5:28: services.web.healthcheck.retries",
        "stack.yml:6:15: services.web.env_file: /srv/news/none cannot be read",
        "stack.yml:7:14: services.web.restart: `sometimes` is no restart policy",
    ] {
        assert!(wrong.contains(expected), "{expected}\nof\n{wrong}");
    }
    let variable = told("services:\n  web:\n    image: web:${TAG\n", "web");
    assert!(
        variable.starts_with("stack.yml:3:12: services.web.image:"),
        "{variable}"
    );
    assert!(told("services: [\n", "web").contains("YAML cannot be read"));
}

/// As docker refuses it.
#[test]
fn a_variable_whose_name_has_white_space_is_refused_with_its_line() {
    let text = "services:\n  web:\n    image: web:1\n    env_file: shell.env\n";
    let errors = import(text, "web", None).expect_err("an error");
    let place = "stack.yml:4:15: services.web.env_file: /srv/news/shell.env";
    let names = [(2, "export D"), (3, "E "), (4, ""), (5, "export F")];
    assert_eq!(errors.len(), names.len(), "{errors:#?}");
    for (error, (line, name)) in errors.iter().zip(names) {
        let start = format!("{place}:{line}: {name:?} is no name of a variable; write NAME=value");
        assert!(error.starts_with(&start), "{error}");
    }
}

#[test]
fn a_variable_may_give_a_number_or_a_truth() {
    let text = "services: {web: {image: w, init: '${INIT:-true}', deploy: {replicas: '${N:-3}'}, network_mode: host}}";
    let read = import(text, "web", None).expect("sound");
    assert_eq!((read.replicas, read.template.init), (Some(3), Some(true)));
    assert!(read.template.networks.is_empty());
}

#[test]
fn a_restart_policy_of_deploy_counts_wherever_it_stands_and_restart_is_told_as_ignored() {
    let policy = "deploy: {restart_policy: {condition: on-failure, max_attempts: 3}}";
    for fields in [
        format!("restart: always\n    {policy}"),
        format!("{policy}\n    restart: always"),
    ] {
        let text = format!(
            "services:\n  web:\n    image: web:1\n    networks: [news]\n    {fields}\nnetworks: {{news: {{external: true}}}}\n"
        );
        let read = import(&text, "web", None).expect("sound");
        let template = serde_json::to_value(&read.template).expect("JSON");
        assert_eq!(
            template["deploy"]["restart_policy"],
            json!({"condition": "on-failure", "max_attempts": 3}),
            "{fields}"
        );
        let told = fields_of(&read, Effect::Replaced);
        assert_eq!(told, ["services.web.restart"], "{fields}");
    }
}

#[test]
fn a_network_of_the_node_is_not_taken_over() {
    for name in ["host", "bridge", "none"] {
        let text = format!(
            "services:\n  web:\n    image: web:1\n    networks: [own]\nnetworks: {{own: {{external: true, name: {name}}}}}\n"
        );
        let read = import(&text, "web", None).expect("sound");
        assert!(read.template.networks.is_empty(), "{:?}", read.template);
        assert!(read.names.is_empty(), "{:?}", read.names);
        let told = fields_of(&read, Effect::Lost);
        assert_eq!(told, ["services.web.networks[0]"], "{name}");
    }
    let text = "services:\n  web:\n    image: web:1\n    networks: {news: {}, own: {}}\nnetworks: {own: {external: {name: host}}, news: {external: true}}\n";
    let read = import(text, "web", None).expect("sound");
    assert_eq!(read.template.networks, ["news"]);
    assert_eq!(
        fields_of(&read, Effect::Lost),
        ["services.web.networks.own"]
    );
}

fn fields_of(read: &Adoptee, effect: Effect) -> Vec<&str> {
    let those = read.remarks.iter().filter(|remark| remark.effect == effect);
    those.map(|remark| remark.field.as_str()).collect()
}
