//! By which names others call a service that is imported, and that none of them leads nowhere without a word.

use crate::api::Name;
use crate::cli::args::ImportArgs;
use crate::cli::exit::Failure;
use crate::manifest::adoption::{Adoptee, Effect, Remark};

/// The names that lead nowhere once the service has no tasks: a rollout's tasks are called by its own name alone.
fn dropped(adoptee: &Adoptee, rollout: &Name) -> Option<String> {
    let others = adoptee
        .names
        .iter()
        .filter(|name| *name != rollout.as_str());
    let quoted: Vec<_> = others.map(|name| format!("`{name}`")).collect();
    (!quoted.is_empty()).then(|| quoted.join(", "))
}

/// What becomes of them.
pub(super) fn remark(adoptee: &Adoptee, rollout: &Name) -> Option<Remark> {
    dropped(adoptee, rollout).map(|names| Remark {
        place: format!("service/{}", adoptee.service),
        field: "names".to_owned(),
        effect: Effect::Lost,
        problem: format!(
            "other services on its networks may call it {names}, and a rollout's tasks are called `{rollout}`"
        ),
        remedy: format!("let them call `{rollout}` before the old service is stopped"),
    })
}

/// Stops nothing that others may still call, unless somebody says that they do not.
///
/// # Errors
/// When nobody has said so.
pub(super) fn must_be_free(
    args: &ImportArgs,
    adoptee: &Adoptee,
    rollout: &Name,
) -> Result<(), Failure> {
    match dropped(adoptee, rollout) {
        Some(names) if !args.drop_names => Err(Failure::No(format!(
            "nothing was done: other services may call {} by {names}, which leads nowhere once it has no tasks. Write the manifest to a \
             file by `rolloutctl import {}`, apply it, let them call `{rollout}`, which the rollout answers to, and run this again with \
             --drop-names",
            adoptee.service, adoptee.service
        ))),
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(words: &[&str]) -> ImportArgs {
        use clap::Parser;
        let words = ["rolloutctl", "import", "news_web", "--take-over"]
            .iter()
            .chain(words);
        match crate::cli::args::Cli::parse_from(words).command {
            crate::cli::args::Command::Import(args) => args,
            other => panic!("{other:?}"),
        }
    }

    fn called(names: &[&str]) -> Adoptee {
        Adoptee {
            service: "news_web".to_owned(),
            template: serde_json::from_value(serde_json::json!({"image": "web:1.0"}))
                .expect("a template"),
            replicas: Some(2),
            ports: Vec::new(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            remarks: Vec::new(),
        }
    }

    fn rollout() -> Name {
        "web".parse().expect("a name")
    }

    #[test]
    fn names_that_would_lead_nowhere_stop_the_takeover_until_somebody_says_so() {
        let service = called(&["news_web", "web", "www"]);
        let refused = must_be_free(&args(&[]), &service, &rollout());
        let Err(Failure::No(told)) = refused else {
            panic!("{refused:?}");
        };
        assert!(
            told.contains("call news_web by `news_web`, `www`"),
            "{told}"
        );
        assert!(told.ends_with("--drop-names"), "{told}");
        must_be_free(&args(&["--drop-names"]), &service, &rollout()).expect("somebody said so");
        let told = remark(&service, &rollout()).expect("a remark");
        assert_eq!(told.effect, Effect::Lost);
        assert!(told.problem.contains("`news_web`, `www`"), "{told}");
    }

    #[test]
    fn the_rollouts_own_name_is_not_lost() {
        for names in [&["web"][..], &[]] {
            must_be_free(&args(&[]), &called(names), &rollout()).expect("nothing is dropped");
            assert_eq!(remark(&called(names), &rollout()), None);
        }
    }
}
