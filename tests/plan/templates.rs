//! Analysis templates: what a reference to one asks in the end.

use std::collections::BTreeMap;

use rolloutctl::api::{Analysis, Duration, RolloutSpec};
use rolloutctl::plan::{ResolvedMetric, SpecProblem};
use serde_json::{Value, json};

use crate::toy::{name, resources, spec};

/// The rollout's metrics in its first stage, with the template `golden` and this analysis.
fn metrics(template: &Value, analysis: &Value) -> Result<Vec<ResolvedMetric>, SpecProblem> {
    let mut known = resources();
    let template = serde_json::from_value(template.clone()).expect("a template");
    known.templates = BTreeMap::from([(name("golden"), template)]);
    let next = RolloutSpec {
        analysis: Some(serde_json::from_value::<Analysis>(analysis.clone()).expect("an analysis")),
        ..spec("v1")
    };
    let resolved = known.resolve(&name("news-web"), &next, None);
    let mut stages = resolved.expect("a back end").metrics?;
    Ok(stages.swap_remove(0))
}

/// A template with one metric and one argument, which has no value of its own.
fn golden() -> Value {
    json!({
        "args": [{"name": "code"}],
        "metrics": [{"name": "errors", "query": "SELECT {{ args.code }} WHERE {{ window }}", "max": 0.01}],
    })
}

#[test]
fn a_template_takes_arguments_source_and_interval_from_whoever_uses_it() {
    let used = json!({
        "source": "main", "interval": "7s",
        "templates": [{"name": "golden", "args": {"code": "5xx"}}],
    });
    let metrics = metrics(&golden(), &used).expect("metrics");
    assert_eq!(metrics.len(), 1);
    let source = metrics[0].source.as_ref().map(|source| &source.name);
    assert_eq!(source, Some(&name("main")));
    assert_eq!(metrics[0].interval, Duration::from_secs(7));
    assert_eq!(metrics[0].args["args.code"], "5xx");
}

#[test]
fn what_a_template_says_itself_comes_first_and_an_argument_that_is_given_before_its_default() {
    let mut template = golden();
    template["interval"] = "3s".into();
    template["args"] = json!([{"name": "code", "value": "4xx"}, {"name": "other", "value": "x"}]);
    let used = json!({
        "source": "main", "interval": "7s",
        "templates": [{"name": "golden", "args": {"code": "5xx"}}],
    });
    let metrics = metrics(&template, &used).expect("metrics");
    assert_eq!(metrics[0].interval, Duration::from_secs(3));
    assert_eq!(metrics[0].args["args.code"], "5xx", "given");
    assert_eq!(metrics[0].args["args.other"], "x", "by default");
}

#[test]
fn an_argument_without_any_value_a_missing_source_and_a_missing_template_are_said() {
    let using = |reference: Value, source: Option<&str>| {
        let mut used = json!({"templates": [reference]});
        if let Some(source) = source {
            used["source"] = source.into();
        }
        metrics(&golden(), &used)
            .expect_err("a problem")
            .to_string()
    };
    let without_value = using(json!({"name": "golden"}), Some("main"));
    assert!(without_value.contains("`code`"), "{without_value}");
    let given = json!({"name": "golden", "args": {"code": "5xx"}});
    let without_source = using(given, None);
    assert!(without_source.contains("`errors`"), "{without_source}");
    let missing = using(json!({"name": "silver"}), Some("main"));
    assert!(missing.contains("`silver`"), "{missing}");
}

#[test]
fn a_metric_that_two_of_a_stages_analyses_have_is_said() {
    let twice = json!({
        "source": "main",
        "metrics": [{"name": "errors", "query": "SELECT 1 WHERE {{ window }}", "max": 1}],
        "templates": [{"name": "golden", "args": {"code": "5xx"}}],
    });
    let problem = metrics(&golden(), &twice).expect_err("a problem");
    assert!(
        matches!(&problem, SpecProblem::Twice { metric, .. } if *metric == name("errors")),
        "{problem}"
    );
}
