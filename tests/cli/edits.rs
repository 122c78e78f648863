//! Overlays and values that are set: what comes of them, and what is said of those that are wrong.

use super::{code, manifest, run, stderr, stdout};

const WEB: &str = "apiVersion: rolloutctl.dev/v1alpha1
kind: Rollout
metadata: {name: web, labels: {team: news}}
spec:
  replicas: 6
  template: {image: 'web:1', environment: {LOG: debug}}
  traffic: {loadBalancer: edge, backend: web, port: 80, reach: host}
  strategy: {canary: {stages: [{weight: 50}]}}
overlays:
  test:
    metadata: {name: 'web-{{ branch }}'}
    spec: {replicas: 1, traffic: {backend: web-test}}
  master:
    spec:
      strategy: {blueGreen: {}}
---
apiVersion: rolloutctl.dev/v1alpha1
kind: LoadBalancer
metadata: {name: edge}
spec: {haproxy: {instances: [{name: lb-1, address: 'unix:///run/haproxy/admin.sock'}]}}
";

/// Runs `validate` with the options; its exit code, and its output with the file's name as `FILE`.
fn validate(text: &str, options: &[&str]) -> (Option<i32>, String) {
    let directory = tempfile::tempdir().expect("a directory");
    let file = manifest(directory.path(), "web.yaml", text);
    let output = run(&[&["validate", "-f", &file], options].concat());
    let told = stdout(&output) + &stderr(&output);
    (code(&output), told.replace(&file, "FILE"))
}

fn refused(text: &str, options: &[&str], wanted: &str) {
    let (code, told) = validate(text, options);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains(wanted), "{told}");
}

#[test]
fn the_base_and_every_overlay_are_checked() {
    let (code, told) = validate(WEB, &[]);
    assert_eq!(
        (code, told.as_str()),
        (Some(0), "2 resources valid, also with master, test\n")
    );
    let (code, told) = validate(WEB, &["--overlay", "test"]);
    assert_eq!((code, told.as_str()), (Some(0), "2 resources valid\n"));
}

#[test]
fn what_an_overlay_says_is_reported_where_the_overlay_says_it() {
    let broken = WEB.replace("replicas: 1", "replcas: 1");
    let expected =
        "FILE:12:12: overlays.test.spec.replcas: unknown field; did you mean `replicas`?";
    refused(&broken, &[], expected);
    refused(&broken, &["--overlay", "test"], expected);
    // Another one is not concerned.
    let (code, told) = validate(&broken, &["--overlay", "master"]);
    assert_eq!(code, Some(0), "{told}");
    let wrong = WEB.replace("replicas: 1,", "replicas: one,");
    refused(&wrong, &[], "FILE:12:22: overlays.test.spec.replicas: ");
    // What is missing, where it is removed.
    let whole = WEB.replace("spec: {replicas: 1, ", "spec: {template: null, ");
    refused(
        &whole,
        &[],
        "FILE:12:22: overlays.test.spec.template: is missing; ",
    );
    // What is wrong with the whole only, where it stands.
    let whole = WEB.replace("spec: {replicas: 1, ", "spec: {strategy: {canary: null}, ");
    refused(
        &whole,
        &[],
        "FILE:8:13: spec.strategy: is empty (with the overlay `test`); ",
    );
}

#[test]
fn what_is_removed_must_be_there() {
    let typo = WEB.replace(
        "spec: {replicas: 1,",
        "spec: {analyses: null, templte: null,",
    );
    let (code, told) = validate(&typo, &[]);
    assert_eq!(code, Some(0), "{told}");
    assert!(
        told.contains("FILE:12:28: overlays.test.spec.templte: warning: there is no `templte` to be removed; did you mean `template`?"),
        "{told}"
    );
}

#[test]
fn an_overlay_that_no_manifest_has_is_refused_with_those_there_are() {
    refused(
        WEB,
        &["--overlay", "tset"],
        "FILE:1:1: overlays: no manifest here has the overlay `tset`; did you mean `test`? There are `master` or `test`",
    );
    let bare = WEB.split("---").nth(1).expect("two documents");
    refused(
        bare,
        &["--overlay", "test"],
        "write it into the Rollout's `overlays`",
    );
    let (code, _) = validate(WEB, &["--branch", "x"]);
    assert_eq!(code, Some(2));
}

#[test]
fn a_value_is_set_and_one_that_is_wrong_is_told() {
    for setting in [
        "spec.template.image=web:2",
        "spec.replicas=3",
        "web:spec.replicas=3",
        "spec.template.environment.COLOUR=blue",
        "spec.template.deploy.resources.limits.memory=64M",
        "metadata.labels[\"a.b\"]=c",
    ] {
        let (code, told) = validate(WEB, &["--set", setting]);
        assert_eq!(code, Some(0), "{setting}: {told}");
    }
    for (setting, wanted) in [
        ("spec.replicas=many", "FILE:5:13: spec.replicas: "),
        ("spec.replicas=many", "(by `--set spec.replicas=many`)"),
        (
            "spec.template.imge=x",
            "spec.template.imge: unknown field (by `--set spec.template.imge=x`); did you mean `image`?",
        ),
        (
            "spec.templte.image=x",
            "spec.templte: unknown field (by `--set spec.templte.image=x`); did you mean `template`?",
        ),
        (
            "spec.strategy.canary.stages[3].weight=5",
            "there is no item 3 in this list of 1",
        ),
        (
            "spec.replicas.x=5",
            "the number 6 stands here, and has no `spec.replicas.x`",
        ),
        (
            "wbe:spec.replicas=3",
            "FILE:1:1: spec.replicas: no manifest here is of the rollout `wbe` (by `--set wbe:spec.replicas=3`); did you mean `web`?",
        ),
    ] {
        refused(WEB, &["--set", setting], wanted);
    }
    for setting in ["replicas=3", "spec.replicas", "kind=Rollout"] {
        let (code, told) = validate(WEB, &["--set", setting]);
        assert_eq!(code, Some(2), "{told}");
    }
    let bare = WEB.split("---").nth(1).expect("two documents");
    refused(
        bare,
        &["--set", "spec.replicas=3"],
        "there is no Rollout here in which it could be set",
    );
}

#[test]
fn what_the_manifests_are_about_is_printed_as_other_commands_take_it() {
    let (code, told) = validate(WEB, &["-o", "name"]);
    assert_eq!(
        (code, told.as_str()),
        (Some(0), "rollout/web\nloadbalancer/edge\n")
    );
    let options = ["-o", "name", "--overlay", "test"];
    let (code, told) = validate(WEB, &[&options[..], &["--branch", "test/Ärger"]].concat());
    assert_eq!(
        (code, told.as_str()),
        (Some(0), "rollout/web-test--rger\nloadbalancer/edge\n")
    );
    // No name is made up, and none is told of what is wrong.
    for (text, options, wanted) in [
        (
            WEB.to_owned(),
            &options[..],
            "`{{ branch }}` stands for a branch, and none is named",
        ),
        (
            WEB.replace("replicas: 6", "replcas: 6"),
            &options[..2],
            "spec.replcas: unknown field",
        ),
    ] {
        let (code, told) = validate(&text, options);
        assert_eq!(code, Some(1), "{told}");
        assert!(
            told.contains(wanted) && !told.contains("rollout/"),
            "{told}"
        );
    }
}

#[test]
fn a_simulation_plays_what_the_overlay_and_the_settings_make() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = manifest(directory.path(), "web.yaml", WEB);
    let options = [
        "simulate",
        "-f",
        &file,
        "--seed",
        "1",
        "--set",
        "spec.template.image=web:9",
    ];
    let output = run(&[
        &options[..],
        &["--overlay", "test", "--branch", "test/Login"],
    ]
    .concat());
    let told = stdout(&output) + &stderr(&output);
    assert_eq!(code(&output), Some(0), "{told}");
    assert!(
        told.contains("rollout/web-test-login: web:9 replaces"),
        "{told}"
    );
    let output = run(&[&options[..], &["--overlay", "test"]].concat());
    assert_eq!(code(&output), Some(1));
    let told = stderr(&output);
    assert!(told.contains(":11:22: overlays.test.metadata.name: `{{ branch }}` stands for a branch, and none is named; add `--branch NAME`"), "{told}");
    let output = run(&[&options[..], &["--overlay", "master"]].concat());
    let told = stdout(&output) + &stderr(&output);
    assert!(told.contains("pre-promotion"), "{told}");
}

#[test]
fn a_controller_whose_sources_make_no_sense_does_not_start() {
    let named: Vec<String> = (0..51)
        .map(|number| format!("--branch=b{number}"))
        .collect();
    let many: Vec<&str> = named.iter().map(String::as_str).collect();
    for (options, wanted) in [
        (&["--overlay", "test"][..], "name one by --watch or --git"),
        (
            &["--git", "/srv/specs", "--branch", "te st/*"],
            "no name of a branch",
        ),
        (
            &["--git", "git@host:specs", "--ca-file", "/ca.pem"],
            "write an https:// address",
        ),
        (&["--branch", "main"], "--git <URL>"),
        (
            &[&["--git", "/srv/specs"], &many[..]].concat(),
            "more than 50 branches are named",
        ),
    ] {
        let output = run(&[&["controller"], options].concat());
        assert_eq!(code(&output), Some(2), "{options:?}: {output:?}");
        assert!(stderr(&output).contains(wanted), "{output:?}");
    }
}

/// What `overlay` makes of the base's `template`, as `simulate` would play it.
fn environment(base: &str, overlay: &str, options: &[&str]) -> (Option<i32>, String) {
    let text = WEB
        .replace("environment: {LOG: debug}", &format!("environment: {base}"))
        .replace(
            "      strategy: {blueGreen: {}}",
            &format!("      template: {{environment: {overlay}}}"),
        );
    validate(&text, &[&["--overlay", "master"], options].concat())
}

#[test]
fn a_list_of_variables_and_a_mapping_are_laid_over_each_other() {
    for (base, overlay) in [
        ("[A=1, B=2]", "{C: '3'}"),
        ("{A: '1', B: '2'}", "[C=3]"),
        ("[A=1, B=2]", "[C=3]"),
    ] {
        let (code, told) = environment(base, overlay, &[]);
        assert_eq!((code, told.as_str()), (Some(0), "2 resources valid\n"));
    }
    let (code, told) = environment(
        "[A=1]",
        "{B: 2}",
        &["--set", "spec.template.environment.C=3"],
    );
    assert_eq!((code, told.as_str()), (Some(0), "2 resources valid\n"));
    // What is removed is there, or is told.
    let (code, told) = environment("[A=1, B=2]", "{A: null}", &[]);
    assert_eq!((code, told.as_str()), (Some(0), "2 resources valid\n"));
    let (_, told) = environment("[A=1, B=2]", "{AA: null}", &[]);
    assert!(told.contains("FILE:15:32: overlays.master.spec.template.environment.AA: warning: there is no `AA` to be removed; "), "{told}");
    // What is wrong is told where it stands.
    for (base, overlay, wanted) in [
        (
            "[A=1, B]",
            "{C: '3'}",
            "FILE:6:49: spec.template.environment[1]: an item names no value",
        ),
        (
            "[A=1, A=1]",
            "{C: '3'}",
            "FILE:6:49: spec.template.environment[1]: `A` is given twice",
        ),
        (
            "[A=1]",
            "[B]",
            "FILE:15:32: overlays.master.spec.template.environment[0]: an item names no value",
        ),
        (
            "[A=1]",
            "{B: [x]}",
            "FILE:15:35: overlays.master.spec.template.environment.B: ",
        ),
    ] {
        let (_, told) = environment(base, overlay, &[]);
        assert!(told.contains(wanted), "{told}");
    }
}

#[test]
fn a_mapping_that_replaces_a_list_is_told() {
    let text = WEB.replace(
        "spec: {replicas: 1,",
        "spec: {strategy: {canary: {stages: {weight: 5}}},",
    );
    let (code, told) = validate(&text, &["--overlay", "test"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(
        told.contains("overlays.test.spec.strategy.canary.stages: warning: a mapping replaces the whole list that stands here without the overlay; "),
        "{told}"
    );
}

#[test]
fn an_overlay_that_changes_nothing_is_written_as_an_empty_mapping() {
    let text = WEB.replace("overlays:\n", "overlays:\n  rc:\n");
    refused(
        &text,
        &[],
        "FILE:10:5: overlays.rc: nothing is given; write `rc: {}` for an overlay that changes nothing",
    );
    let (code, told) = validate(&text.replace("rc:", "rc: {}"), &["--overlay", "rc"]);
    assert_eq!((code, told.as_str()), (Some(0), "2 resources valid\n"));
}
