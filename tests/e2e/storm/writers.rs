//! Who makes the storm: versions of manifests, what has been written whole, and the writers. What becomes of it is not
//! looked at here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rolloutctl::api::{Revision, RolloutSpec, RolloutStatus};
use rolloutctl::manifest::from_yaml;
use rolloutctl::sim::Random;
use serde_json::Value;

use crate::lab::Lab;

/// How many manifests there are; the lab has as many back ends, `web-1` and so on.
pub const MANIFESTS: usize = 50;

/// How many write at once, each to manifests of its own.
pub const WRITERS: usize = 3;

/// The version in each manifest's file, and where the file is; by the rollout's name.
pub type Files = BTreeMap<String, (PathBuf, Version)>;

/// A pause of a writer.
#[expect(
    clippy::disallowed_methods,
    reason = "how long a writer takes is what is tested; nothing is awaited by it"
)]
pub fn pause(milliseconds: u64) {
    thread::sleep(Duration::from_millis(milliseconds));
}

/// A version of one manifest, as it was written once whole.
#[derive(Clone, Debug)]
pub struct Version {
    pub name: String,
    pub mark: String,
    pub text: String,
}

impl Version {
    /// The manifest number `number`: a preview, or a canary with a back end of its own. Its marks must agree, and it is a
    /// valid manifest without its last line too.
    fn new(lab: &Lab, number: usize, mark: String, image: u64) -> Self {
        let name = format!("web-{number}");
        let strategy = if number.is_multiple_of(2) {
            "  strategy: {preview: {ttl: 1h}}".to_owned()
        } else {
            let reach = &lab.reach;
            format!(
                "  traffic: {{loadBalancer: edge, backend: {name}, port: 8080, reach: {reach}, drainTimeout: 2s}}
  strategy: {{canary: {{stages: [{{weight: 50}}]}}}}"
            )
        };
        let network = &lab.network;
        let text = format!(
            "apiVersion: rolloutctl.dev/v1alpha1
kind: Rollout
metadata: {{name: {name}, labels: {{mark: '{mark}'}}}}
spec:
  replicas: 1
  revisionHistoryLimit: 0
{strategy}
  template:
    networks: [{network}]
    image: demo-app:v{image}
    environment:
      ON_SIGTERM: exit
      BEGIN: '{mark}'
      END: '{mark}'
"
        );
        Self { name, mark, text }
    }

    pub fn revision(&self) -> Revision {
        let manifest: Value = from_yaml(&self.text).expect("YAML");
        let spec: RolloutSpec = serde_json::from_value(manifest["spec"].clone()).expect("a spec");
        Revision::of(&spec)
    }
}

/// What has been written whole so far, and what the services of that are called.
#[derive(Default)]
pub struct Written {
    pub marks: BTreeSet<(String, String)>,
    pub services: BTreeSet<String>,
}

impl Written {
    fn add(&mut self, version: &Version) {
        let name = version.name.clone();
        self.services
            .insert(format!("{name}-{}", version.revision()));
        self.marks.insert((name, version.mark.clone()));
    }

    /// Panics if a rollout as it is stored, or anything that it has ever begun, is not of a whole manifest.
    pub fn check(&self, object: &Value) {
        let name = object["metadata"]["name"].as_str().expect("a name");
        let mark = mark_of(&object["spec"]["template"]["environment"]);
        let label = object["metadata"]["labels"]["mark"].as_str();
        assert!(mark.is_some() && mark == label, "half a file: {object:#}");
        let key = (name.to_owned(), mark.unwrap_or_default().to_owned());
        assert!(self.marks.contains(&key), "{object:#}");
        let Ok(status) = serde_json::from_value::<RolloutStatus>(object["status"].clone()) else {
            return;
        };
        for entry in &status.history {
            let service = format!("{name}-{}", entry.revision);
            assert!(self.services.contains(&service), "{service}: {entry:?}");
        }
    }
}

/// The mark of an environment whose two marks agree.
fn mark_of(environment: &Value) -> Option<&str> {
    let (begin, end) = (environment["BEGIN"].as_str(), environment["END"].as_str());
    begin.filter(|_| begin == end)
}

/// One who writes manifests.
pub struct Writer<'a> {
    /// The lab for which it writes.
    pub lab: &'a Lab,
    /// The directory.
    pub root: &'a Path,
    /// Which writer it is, from 0.
    pub number: usize,
    /// Its chance.
    pub random: Random,
    /// How many versions it has written.
    pub versions: usize,
    /// What all have written.
    pub written: &'a Mutex<Written>,
    /// The files that there are.
    pub files: Files,
}

impl Writer<'_> {
    /// The manifests of this writer.
    fn numbers(&self) -> Vec<usize> {
        let all = 1..=MANIFESTS;
        all.filter(|number| number % WRITERS == self.number)
            .collect()
    }

    /// A new version of one of them.
    fn version(&mut self) -> Version {
        let numbers = self.numbers();
        let number = numbers[self.random.index(numbers.len())];
        self.version_of(number)
    }

    fn version_of(&mut self, number: usize) -> Version {
        self.versions += 1;
        let mark = format!("{}-{}", self.number, self.versions);
        let version = Version::new(self.lab, number, mark, 1 + self.random.below(3));
        lock(self.written).add(&version);
        version
    }

    /// Where the version's manifest is, or is to be.
    fn path(&self, version: &Version) -> PathBuf {
        let known = self.files.get(&version.name);
        known.map_or_else(
            || self.root.join(format!("{}.yaml", version.name)),
            |(path, _)| path.clone(),
        )
    }

    fn keep(&mut self, path: PathBuf, version: Version) {
        self.files.insert(version.name.clone(), (path, version));
    }

    /// All of this writer's manifests, for the first time.
    pub fn begin(&mut self) {
        for number in self.numbers() {
            let version = self.version_of(number);
            let path = self.path(&version);
            fs::write(&path, &version.text).expect("written");
            self.keep(path, version);
        }
    }

    pub fn storm(mut self, deeds: usize) -> Files {
        for _ in 0..deeds {
            self.deed();
            let breath = if self.random.chance(0.1) { 500 } else { 60 };
            pause(self.random.below(breath));
        }
        self.files
    }

    fn deed(&mut self) {
        let version = self.version();
        let path = self.path(&version);
        match self.random.below(10) {
            0..3 => self.in_pieces(&path, &version.text),
            3 => fs::write(&path, &version.text).expect("written"),
            4 => self.cut_short(&path, &version.text),
            5 | 6 => {
                let beside = path.with_extension("yaml.new");
                fs::write(&beside, &version.text).expect("written");
                fs::rename(&beside, &path).expect("renamed");
            }
            7 => return self.moved(&version.name),
            _ => return self.removed(&version.name),
        }
        self.keep(path, version);
    }

    /// Written where it stands, held open meanwhile, with a pause for which the half would settle now and then.
    fn in_pieces(&mut self, path: &Path, text: &str) {
        // Half of them before the last line, where the half is a valid manifest.
        let last = text.trim_end().rfind('\n').expect("lines") + 1;
        let cut = [self.random.index(text.len()), last][self.random.index(2)];
        let mut file = File::create(path).expect("cut short");
        file.write_all(&text.as_bytes()[..cut]).expect("written");
        file.flush().expect("flushed");
        let long = if self.random.chance(0.3) { 700 } else { 30 };
        pause(long);
        file.write_all(&text.as_bytes()[cut..]).expect("written");
    }

    /// Left as a piece that is no manifest for a while, and then written whole.
    fn cut_short(&mut self, path: &Path, text: &str) {
        let valid = text.find("  template:").expect("a template");
        let cut = self.random.index(valid);
        fs::write(path, &text[..cut]).expect("written");
        pause(400);
        fs::write(path, text).expect("written");
    }

    /// Another name, in another folder, for the same manifest.
    fn moved(&mut self, name: &str) {
        let Some((path, version)) = self.files.remove(name) else {
            return;
        };
        let folder = self.root.join(format!("team-{}", self.random.below(3)));
        fs::create_dir_all(&folder).expect("a directory");
        let file = format!("{name}-{}.yml", self.random.below(3));
        let to = folder.join(file);
        fs::rename(&path, &to).expect("renamed");
        self.keep(to, version);
    }

    fn removed(&mut self, name: &str) {
        if let Some((path, _)) = self.files.remove(name) {
            fs::remove_file(path).expect("removed");
        }
    }
}

pub fn lock(written: &Mutex<Written>) -> MutexGuard<'_, Written> {
    written.lock().unwrap_or_else(PoisonError::into_inner)
}
