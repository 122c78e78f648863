//! A watched directory, really: files are written, renamed, cut short and taken away under the eyes of the source.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rolloutctl::api::{OnDrift, Place, Prune, SourcePhase};
use rolloutctl::gitops::{MAX_FILE, SourceOptions};
use rolloutctl::runtime::{Runtime, Tokio};
use tempfile::TempDir;

use crate::manifests::{EDGE, rollout};
use crate::site::Site;
use crate::store::Memory;

struct Bench {
    directory: TempDir,
    site: Site,
}

fn watching(path: &Path, prune: Prune) -> Site {
    let source = SourceOptions::directory(path, prune, OnDrift::Restore).expect("a path");
    Site::reading(Arc::default(), vec![source])
}

/// Another controller with the same store, which prunes.
fn reading(store: &Arc<Memory>, path: &Path) -> Site {
    let source = SourceOptions::directory(path, Prune::Delete, OnDrift::Restore).expect("a path");
    Site::reading(store.clone(), vec![source])
}

impl Bench {
    fn new(prune: Prune) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join("edge.yaml"), EDGE).expect("written");
        Self {
            site: watching(directory.path(), prune),
            directory,
        }
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.directory.path().join(file);
        fs::create_dir_all(path.parent().expect("below")).expect("a directory");
        fs::write(path, text).expect("written");
    }

    async fn until_image(&mut self, name: &str, image: Option<&str>) {
        let what = format!("{name} runs {image:?}");
        self.site
            .until(&what, |store| {
                store.images().get(name).map(String::as_str) == image
            })
            .await;
    }

    /// Waits until the rollout's manifest is in this file, through which it lives.
    async fn until_in_file(&mut self, name: &str, file: &str) {
        let target = format!("rollout/{name}");
        let is_there = |store: &Memory| {
            let draft = store.find(&target).expect("it is not removed").draft;
            let deleted = format!("{target} is deleted while it moves to {file}");
            assert_eq!(draft.deletion, None, "{deleted}");
            draft.origin.is_some_and(|origin| origin.file == file)
        };
        self.site.until(file, is_there).await;
    }

    /// Waits until it is told that the rollout stays, with these words.
    async fn until_kept(&mut self, name: &str, words: &str) {
        let start = format!("rollout/{name}: ");
        let is_told = |store: &Memory| {
            let draft = store.find(&format!("rollout/{name}"));
            let draft = draft.expect("it is not removed").draft;
            assert_eq!(draft.deletion, None, "{name} is deleted, without {words}");
            let kept = store.source().map(|source| source.kept);
            let mut kept = kept.iter().flatten();
            kept.any(|kept| kept.starts_with(&start) && kept.contains(words))
        };
        self.site.until(words, is_told).await;
    }

    async fn until_phase(&mut self, phase: SourcePhase) {
        let is_so = |store: &Memory| store.source().is_some_and(|source| source.phase == phase);
        self.site.until(&format!("{phase:?}"), is_so).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_come_change_move_and_go_are_followed() {
    let mut bench = Bench::new(Prune::Delete);
    bench.write("web.yaml", &rollout("web", "web:1"));
    bench.until_image("web", Some("web:1")).await;
    bench.write("team/deep/shop.yml", &rollout("shop", "shop:1"));
    bench.until_image("shop", Some("shop:1")).await;
    // An editor's way: a new file is renamed over the old one.
    bench.write(".web.yaml.swp", &rollout("web", "web:2"));
    let at = |file: &str| bench.directory.path().join(file);
    fs::rename(at(".web.yaml.swp"), at("web.yaml")).expect("renamed");
    bench.until_image("web", Some("web:2")).await;
    let version = bench
        .site
        .store
        .find("rollout/web")
        .map(|web| web.draft.generation);
    fs::rename(
        bench.directory.path().join("web.yaml"),
        bench.directory.path().join("moved.yaml"),
    )
    .expect("renamed");
    let has_moved = |store: &Memory| {
        let origin = store.find("rollout/web").and_then(|web| web.draft.origin);
        origin.is_some_and(|origin| origin.file == "moved.yaml")
    };
    bench
        .site
        .until("the mark follows the file", has_moved)
        .await;
    let after = bench
        .site
        .store
        .find("rollout/web")
        .map(|web| web.draft.generation);
    assert_eq!(after, version, "a file that moves changes no spec");
    fs::remove_dir_all(bench.directory.path().join("team")).expect("removed");
    bench.until_image("shop", None).await;
    bench.until_image("web", Some("web:2")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_being_written_is_not_taken() {
    let mut bench = Bench::new(Prune::Delete);
    bench.write("web.yaml", &rollout("web", "web:1"));
    bench.until_image("web", Some("web:1")).await;
    // The first part is a valid manifest by itself.
    let mut file = File::create(bench.directory.path().join("web.yaml")).expect("cut short");
    file.write_all(rollout("web", "web:half").as_bytes())
        .expect("written");
    file.flush().expect("flushed");
    // Later than the file would have settled, had its writer not been seen.
    bench.write("shop.yaml", &rollout("shop", "shop:1"));
    bench.until_image("shop", Some("shop:1")).await;
    Tokio::default().sleep(Duration::from_millis(600)).await;
    bench.site.settle().await;
    assert_eq!(bench.site.store.images()["web"], "web:1");
    let rest = format!("---\n{}", rollout("news", "news:1"));
    file.write_all(rest.as_bytes()).expect("written");
    drop(file);
    bench.until_image("news", Some("news:1")).await;
    assert_eq!(bench.site.store.images()["web"], "web:half");
    assert_eq!(bench.site.store.all_images()["web"], ["web:1", "web:half"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_who_never_ends_keeps_no_other_file_from_its_first_look() {
    let mut bench = Bench::new(Prune::Delete);
    bench.write("web.yaml", &rollout("web", "web:1"));
    let mut file = File::create(bench.directory.path().join("notes.yaml")).expect("cut short");
    let writer = tokio::spawn(async move {
        loop {
            file.write_all(b"# and one more thing\n").expect("written");
            Tokio::default().sleep(Duration::from_millis(20)).await;
        }
    });
    bench.until_image("web", Some("web:1")).await;
    writer.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_swapped_as_git_sync_does() {
    let root = tempfile::tempdir().expect("a directory");
    let at = |name: &str| root.path().join(name);
    for (revision, image) in [("rev-1", "web:1"), ("rev-2", "web:2")] {
        fs::create_dir(at(revision)).expect("a directory");
        fs::write(at(revision).join("edge.yaml"), EDGE).expect("written");
        fs::write(at(revision).join("web.yaml"), rollout("web", image)).expect("written");
    }
    symlink("rev-1", at("current")).expect("a link");
    let mut bench = Bench {
        site: watching(&at("current"), Prune::Delete),
        directory: root,
    };
    bench.until_image("web", Some("web:1")).await;
    let at = |name: &str| bench.directory.path().join(name);
    symlink("rev-2", at("next")).expect("a link");
    fs::rename(at("next"), at("current")).expect("swapped");
    fs::remove_dir_all(at("rev-1")).expect("removed");
    bench.until_image("web", Some("web:2")).await;
    assert_eq!(bench.site.store.all_images()["web"], ["web:1", "web:2"]);
}

/// What moves from one file into another one is in neither for a while: the first is gone, and the second has not settled.
#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_that_moves_into_another_file_by_a_swap_is_not_deleted() {
    let root = tempfile::tempdir().expect("a directory");
    let at = |name: &str| root.path().join(name);
    let (web, shop) = (rollout("web", "web:1"), rollout("shop", "shop:1"));
    let both = format!("{shop}---\n{web}");
    for (revision, files) in [
        ("rev-1", vec![("a.yaml", &web), ("b.yaml", &shop)]),
        ("rev-2", vec![("b.yaml", &both)]),
    ] {
        fs::create_dir(at(revision)).expect("a directory");
        fs::write(at(revision).join("edge.yaml"), EDGE).expect("written");
        for (file, text) in files {
            fs::write(at(revision).join(file), text).expect("written");
        }
    }
    symlink("rev-1", at("current")).expect("a link");
    let mut bench = Bench {
        site: watching(&at("current"), Prune::Delete),
        directory: root,
    };
    bench.until_image("web", Some("web:1")).await;
    let at = |name: &str| bench.directory.path().join(name);
    symlink("rev-2", at("next")).expect("a link");
    fs::rename(at("next"), at("current")).expect("swapped");
    bench.until_in_file("web", "b.yaml").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_that_moves_into_a_file_that_is_written_slowly_is_not_deleted() {
    let mut bench = Bench::new(Prune::Delete);
    bench.write("a.yaml", &rollout("web", "web:1"));
    bench.write("b.yaml", &rollout("shop", "shop:1"));
    bench.until_image("web", Some("web:1")).await;
    bench.until_image("shop", Some("shop:1")).await;
    let at = |name: &str| bench.directory.path().join(name);
    let mut file = File::create(at("b.yaml")).expect("cut short");
    fs::remove_file(at("a.yaml")).expect("removed");
    file.write_all(rollout("shop", "shop:1").as_bytes())
        .expect("written");
    // Much longer than a file that is gone takes to be gone; others' changes come through.
    bench.write("news.yaml", &rollout("news", "news:1"));
    bench.until_image("news", Some("news:1")).await;
    bench.write("news.yaml", &rollout("news", "news:2"));
    bench.until_image("news", Some("news:2")).await;
    bench.site.settle().await;
    assert!(bench.site.store.images().contains_key("web"));
    let rest = format!("---\n{}", rollout("web", "web:1"));
    file.write_all(rest.as_bytes()).expect("written");
    drop(file);
    bench.until_in_file("web", "b.yaml").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_within_the_directory_is_followed_and_one_that_leads_out_is_not() {
    let outside = tempfile::tempdir().expect("a directory");
    fs::write(outside.path().join("web.yaml"), rollout("web", "web:1")).expect("written");
    let mut bench = Bench::new(Prune::Delete);
    // As a mounted config of Kubernetes is laid out.
    bench.write("..2026_01/shop.yaml", &rollout("shop", "shop:1"));
    let root = bench.directory.path();
    symlink("..2026_01", root.join("..data")).expect("a link");
    symlink("..data/shop.yaml", root.join("shop.yaml")).expect("a link");
    symlink(outside.path(), root.join("outside")).expect("a link");
    symlink(".", root.join("round")).expect("a link");
    bench.until_image("shop", Some("shop:1")).await;
    bench.until_phase(SourcePhase::Invalid).await;
    let problems = bench.site.store.source().expect("told").problems;
    assert!(
        problems
            .iter()
            .any(|p| p.starts_with("outside:1:1: document: it is a link that leads out")),
        "{problems:?}"
    );
    assert!(!bench.site.store.images().contains_key("web"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_vanishes_and_comes_back_deletes_nothing() {
    let root = tempfile::tempdir().expect("a directory");
    let specs = root.path().join("specs");
    fs::create_dir(&specs).expect("a directory");
    let mut bench = Bench {
        site: watching(&specs, Prune::Delete),
        directory: root,
    };
    bench.write("specs/edge.yaml", EDGE);
    bench.write("specs/web.yaml", &rollout("web", "web:1"));
    bench.until_image("web", Some("web:1")).await;
    fs::rename(&specs, bench.directory.path().join("away")).expect("renamed");
    bench.until_phase(SourcePhase::Unreadable).await;
    fs::create_dir(&specs).expect("a directory");
    let is_empty = |store: &Memory| {
        let kept = store.source().map(|source| source.kept).unwrap_or_default();
        kept.iter().any(|kept| kept.contains("no manifest at all"))
    };
    bench.site.until("it is empty", is_empty).await;
    assert_eq!(bench.site.store.images()["web"], "web:1");
    bench.write("specs/edge.yaml", EDGE);
    bench.write("specs/web.yaml", &rollout("web", "web:2"));
    bench.until_image("web", Some("web:2")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_behind_a_link_to_nowhere_is_kept() {
    let mut bench = Bench::new(Prune::Delete);
    bench.write("..rev-1/web.yaml", &rollout("web", "web:1"));
    let root = bench.directory.path();
    symlink("..rev-1", root.join("team")).expect("a link");
    bench.until_image("web", Some("web:1")).await;
    // As git-sync leaves it when it breaks off.
    fs::remove_dir_all(bench.directory.path().join("..rev-1")).expect("removed");
    bench.until_kept("web", "team").await;
    bench.write("..rev-2/web.yaml", &rollout("web", "web:2"));
    let root = bench.directory.path();
    symlink("..rev-2", root.join("..next")).expect("a link");
    fs::rename(root.join("..next"), root.join("team")).expect("swapped");
    bench.until_image("web", Some("web:2")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_in_a_directory_whose_name_is_not_utf_8_any_more_is_kept() {
    let mut bench = Bench::new(Prune::Delete);
    bench.write("team/web.yaml", &rollout("web", "web:1"));
    bench.until_image("web", Some("web:1")).await;
    let root = bench.directory.path();
    fs::rename(root.join("team"), root.join(OsStr::from_bytes(b"t\xe9am"))).expect("renamed");
    bench.until_kept("web", "t\u{fffd}am").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_in_a_directory_in_whose_place_there_is_an_empty_one_is_kept() {
    let mut bench = Bench::new(Prune::Delete);
    bench.write("team/web.yaml", &rollout("web", "web:1"));
    bench.until_image("web", Some("web:1")).await;
    let at = |name: &str| bench.directory.path().join(name);
    // As a mount that goes: at once there is the empty directory on which it stood.
    fs::create_dir(at("..under")).expect("a directory");
    fs::rename(at("team"), at("..mounted")).expect("renamed");
    fs::rename(at("..under"), at("team")).expect("renamed");
    bench
        .until_kept("web", "team, which holds no manifest")
        .await;
    // A controller that begins now has not seen what was there.
    bench.site = reading(&bench.site.store, bench.directory.path());
    let desk = bench.site.desk.clone();
    let place = Place(format!("dir:{}", bench.directory.path().display()));
    let is_read = |_: &Memory| desk.look(&place).listing.is_some();
    bench.site.until("it is read", is_read).await;
    bench.site.settle().await;
    bench
        .until_kept("web", "team, which holds no manifest")
        .await;
    // The directory itself goes: that is meant.
    fs::remove_dir(bench.directory.path().join("team")).expect("removed");
    bench.until_image("web", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_manifest_of_a_directory_may_be_removed() {
    let mut bench = Bench::new(Prune::Delete);
    bench.write("team/web.yaml", &rollout("web", "web:1"));
    bench.until_image("web", Some("web:1")).await;
    fs::remove_file(bench.directory.path().join("team/web.yaml")).expect("removed");
    bench.until_image("web", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_too_large_is_refused_and_keeps_its_resource() {
    let mut bench = Bench::new(Prune::Delete);
    bench.write("web.yaml", &rollout("web", "web:1"));
    bench.until_image("web", Some("web:1")).await;
    let large = format!(
        "{}# {}\n",
        rollout("web", "web:2"),
        "x".repeat(usize::try_from(MAX_FILE).expect("fits"))
    );
    bench.write("web.yaml", &large);
    bench.until_phase(SourcePhase::Invalid).await;
    assert_eq!(bench.site.store.images()["web"], "web:1");
    let problem = bench
        .site
        .store
        .find("rollout/web")
        .and_then(|web| web.draft.origin?.problem);
    assert!(problem.is_some_and(|problem| problem.message.contains("1048576 is the most")));
}
