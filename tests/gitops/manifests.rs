//! Manifests that the tests write.

use rolloutctl::api::{Commit, Place};
use rolloutctl::gitops::{Content, Freshness, Listing, ManifestFile, Presence};

/// The load balancer that all rollouts use.
pub const EDGE: &str = "apiVersion: rolloutctl.dev/v1alpha1
kind: LoadBalancer
metadata: {name: edge}
spec: {haproxy: {instances: [{name: lb-1, address: 'tcp://127.0.0.1:1'}]}}
";

/// The rollout `name` that runs `image`, with a back end of its own.
pub fn rollout(name: &str, image: &str) -> String {
    format!(
        "apiVersion: rolloutctl.dev/v1alpha1
kind: Rollout
metadata: {{name: {name}}}
spec:
  replicas: 2
  template: {{image: '{image}', networks: [news]}}
  traffic: {{loadBalancer: edge, backend: {name}, port: 8080}}
  strategy: {{canary: {{stages: [{{weight: 50, bake: 1s}}]}}}}
"
    )
}

pub fn place() -> Place {
    Place("dir:/specs".to_owned())
}

/// A listing of these files; the commit is that of a repository, if there is one.
pub fn listing_at(commit: Option<&str>, files: &[(&str, String)]) -> Listing {
    let file = |(path, text): &(&str, String)| ManifestFile {
        path: (*path).to_owned(),
        content: Content::Whole(text.clone().into_bytes().into()),
    };
    let mut files: Vec<_> = files.iter().map(file).collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Listing {
        place: place(),
        commit: commit.map(|commit| Commit(commit.to_owned())),
        files,
        hollow: Vec::new(),
        freshness: Freshness::Current,
        presence: Presence::There,
    }
}

/// A listing of a directory.
pub fn listing(files: &[(&str, String)]) -> Listing {
    listing_at(None, files)
}

/// The load balancer and these rollouts, each in a file of its own.
pub fn with_edge(rollouts: &[(&str, &str)]) -> Vec<(&'static str, String)> {
    const FILES: [&str; 4] = ["a.yaml", "b.yaml", "c.yaml", "d.yaml"];
    let mut files = vec![("edge.yaml", EDGE.to_owned())];
    for (file, (name, image)) in FILES.iter().zip(rollouts) {
        files.push((file, rollout(name, image)));
    }
    files
}
