//! A storm on a watched directory: fifty manifests are written in place and in pieces, cut short, renamed, taken away and put
//! back at random. At the end the Swarm is what the directory says, and nothing was ever begun that stood in half a file.
//!
//! `STORM=300` chooses how many deeds are done, `STORM_SEED` which.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use rolloutctl::api::{Phase, RolloutStatus};
use rolloutctl::manifest::from_yaml;
use rolloutctl::sim::Random;
use serde_json::Value;

use crate::daemon::Controller;
use crate::lab::Lab;

mod writers;
use writers::{Files, MANIFESTS, WRITERS, Writer, Written, pause};

/// Within so long after the last deed the Swarm is as the directory says.
const REST: Duration = Duration::from_secs(240);

/// What keeps the directory from being empty at the end, of which nothing would be believed.
const OTHER: &str = "apiVersion: rolloutctl.dev/v1alpha1
kind: MetricSource
metadata: {name: e2e-storm}
spec: {influxdb: {url: \"http://127.0.0.1:8086\", database: rollouts}}
";

/// Hears of every service that is made.
struct Made {
    child: Child,
    path: PathBuf,
}

impl Made {
    fn hear(lab: &Lab, path: PathBuf) -> Self {
        let file = File::create(&path).expect("a file");
        let filters = ["--filter", "type=service", "--filter", "event=create"];
        let child = Command::new("docker")
            .env("DOCKER_HOST", &lab.docker_host)
            .arg("events")
            .args(filters)
            .args(["--format", "{{.Actor.Attributes.name}}"])
            .stdin(Stdio::null())
            .stdout(file)
            .spawn()
            .expect("docker starts");
        Self { child, path }
    }

    fn names(&self) -> Vec<String> {
        let heard = fs::read_to_string(&self.path).expect("what was heard");
        heard.lines().map(ToOwned::to_owned).collect()
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// All rollouts as they are stored.
fn stored(lab: &Lab) -> Vec<Value> {
    let told = lab.cli(&["get", "rollout", "-o", "json"]).ok();
    let told: Value = serde_json::from_str(&told).expect("JSON");
    told["items"].as_array().expect("a list").clone()
}

/// Looks at all that is stored for as long as somebody writes, and some more often than not.
fn watch<T>(lab: &Lab, written: &Mutex<Written>, writers: &[ScopedJoinHandle<'_, T>]) -> u64 {
    let mut looks = 0;
    while !writers.iter().all(ScopedJoinHandle::is_finished) {
        let objects = stored(lab);
        let written = writers::lock(written);
        for object in &objects {
            written.check(object);
        }
        looks += 1;
        drop(written);
        pause(200);
    }
    looks
}

/// What runs: each running container's service.
fn containers(lab: &Lab) -> Vec<String> {
    let format = "{{.Label \"com.docker.swarm.service.name\"}}";
    let listed = lab.docker(&["ps", "--format", format]);
    let mut names: Vec<String> = listed
        .lines()
        .filter(|name| name.starts_with("web-"))
        .map(ToOwned::to_owned)
        .collect();
    names.sort();
    names
}

/// The services that are ours, each with its image and its mark.
fn services(lab: &Lab) -> BTreeMap<String, (String, String)> {
    let filter = "label=rolloutctl.dev/rollout";
    let ids = lab.docker(&["service", "ls", "--quiet", "--filter", filter]);
    let ids: Vec<&str> = ids.lines().collect();
    if ids.is_empty() {
        return BTreeMap::new();
    }
    let mut command = Command::new("docker");
    command.env("DOCKER_HOST", &lab.docker_host);
    let inspected = command.args(["service", "inspect"]).args(&ids).output();
    // One that went meanwhile is left out.
    let told = inspected.expect("docker").stdout;
    let told: Vec<Value> = serde_json::from_slice(&told).expect("JSON");
    let told = told.iter().map(|service| {
        let spec = &service["Spec"];
        let container = &spec["TaskTemplate"]["ContainerSpec"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let environment = container["Env"].as_array().cloned().unwrap_or_default();
        let mark = environment
            .iter()
            .filter_map(Value::as_str)
            .find_map(|variable| variable.strip_prefix("END="));
        let mark = mark.unwrap_or_default().to_owned();
        (text(&spec["Name"]), (text(&container["Image"]), mark))
    });
    told.collect()
}

/// What there is to be: each service with its image and its mark.
fn wanted(files: &Files) -> BTreeMap<String, (String, String)> {
    let wanted = files.values().map(|(path, version)| {
        let text = fs::read_to_string(path).expect("a manifest");
        assert_eq!(text, version.text, "{}", path.display());
        let manifest: Value = from_yaml(&text).expect("YAML");
        let image = manifest["spec"]["template"]["image"].as_str();
        let image = image.expect("an image").to_owned();
        let service = format!("{}-{}", version.name, version.revision());
        (service, (image, version.mark.clone()))
    });
    wanted.collect()
}

/// The servers at both proxies, as the services that they are of; each as often as there are proxies that have it.
fn served(lab: &Lab) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for fact in lab.observe().into_values().flatten() {
        for (backend, servers) in fact.backends {
            for server in servers.into_keys() {
                let revision = server.split('.').next().unwrap_or_default();
                *found.entry(format!("{backend}-{revision}")).or_default() += 1;
            }
        }
    }
    found
}

/// Waits until the Swarm is what the files say, and nothing else.
fn until_as_the_directory(lab: &Lab, files: &Files) {
    let wanted = wanted(files);
    let running: Vec<String> = wanted.keys().cloned().collect();
    let with_traffic = |name: &&String| {
        let version = &files
            .values()
            .find(|(_, version)| name.starts_with(&format!("{}-", version.name)));
        version.is_some_and(|(_, version)| version.text.contains("traffic:"))
    };
    let behind: BTreeMap<String, usize> = wanted
        .keys()
        .filter(with_traffic)
        .map(|name| (name.clone(), 2))
        .collect();
    lab.until("the Swarm is what the directory says", REST, || {
        let is_healthy = |object: &Value| {
            let status = serde_json::from_value::<RolloutStatus>(object["status"].clone()).ok()?;
            let is_seen = object["metadata"]["generation"] == status.observed_generation;
            (is_seen && status.phase == Phase::Healthy).then_some(())
        };
        let objects = stored(lab);
        let names = objects
            .iter()
            .filter_map(|object| object["metadata"]["name"].as_str());
        let is_at_rest =
            names.eq(files.keys()) && objects.iter().all(|object| is_healthy(object).is_some());
        let is_wanted = is_at_rest && services(lab) == wanted && containers(lab) == running;
        (is_wanted && served(lab) == behind).then_some(())
    });
}

fn chosen(variable: &str, usual: usize) -> usize {
    std::env::var(variable).map_or(usual, |text| text.parse().expect("a number"))
}

/// Writes for a while; which files there are then.
fn blow(lab: &Lab, root: &Path, written: &Mutex<Written>, deeds: usize, seed: usize) -> Files {
    let began = Instant::now();
    thread::scope(|scope| {
        let writers = (0..WRITERS).map(|number| {
            let mut writer = Writer {
                lab,
                root,
                number,
                random: Random::of_seed((seed * WRITERS + number) as u64),
                versions: 0,
                written,
                files: BTreeMap::new(),
            };
            scope.spawn(move || {
                writer.begin();
                writer.storm(deeds / WRITERS)
            })
        });
        let writers: Vec<_> = writers.collect();
        let looks = watch(lab, written, &writers);
        eprintln!(
            "{deeds} deeds took {:?}, {looks} looks meanwhile",
            began.elapsed()
        );
        let files = writers
            .into_iter()
            .map(|writer| writer.join().expect("no panic"));
        files.flatten().collect::<BTreeMap<_, _>>()
    })
}

#[test]
fn after_a_storm_the_swarm_is_what_the_directory_says_and_no_half_file_was_applied() {
    let Some(lab) = Lab::open() else { return };
    let (deeds, seed) = (chosen("STORM", 300), chosen("STORM_SEED", 1));
    let directory = tempfile::tempdir().expect("a directory");
    let root = directory.path();
    fs::write(root.join("other.yaml"), OTHER).expect("a manifest");
    let elsewhere = tempfile::tempdir().expect("a directory");
    let made = Made::hear(&lab, elsewhere.path().join("made"));
    let place = root.to_str().expect("UTF-8");
    let controller = Controller::start_with(&lab, "storm", &["--watch", place, "--prune"]);
    let written = Mutex::new(Written::default());

    let files = blow(&lab, root, &written, deeds, seed);
    let ended = Instant::now();
    until_as_the_directory(&lab, &files);
    eprintln!(
        "{} manifests: at rest {:?} after the last deed",
        files.len(),
        ended.elapsed()
    );
    let written = written.into_inner().unwrap_or_else(PoisonError::into_inner);
    for object in stored(&lab) {
        written.check(&object);
    }
    let names = made.names();
    eprintln!(
        "{} versions written, {} services made",
        written.marks.len(),
        names.len()
    );
    assert!(names.len() > MANIFESTS, "it was slept through: {names:?}");
    for name in names {
        assert!(
            written.services.contains(&name),
            "of no whole manifest: {name}"
        );
    }

    for (path, _) in files.values() {
        fs::remove_file(path).expect("removed");
    }
    let ended = Instant::now();
    lab.until("all rollouts are gone", REST, || {
        (lab.rollouts().is_empty() && services(&lab).is_empty() && served(&lab).is_empty())
            .then_some(())
    });
    eprintln!("all are gone {:?} after their manifests", ended.elapsed());
    controller.stop();
    // The store still tells of the source, which no controller reads any more.
    lab.cli(&["delete", "metricsource/e2e-storm", "--force"])
        .ok();
}
