//! That a port of the nodes which leads to an imported service does not lead nowhere without a word.

use crate::cli::args::ImportArgs;
use crate::cli::exit::Failure;

/// Stops nothing that others may still reach by a published port, unless somebody says that they do not. Who comes that way
/// cannot be seen, whether the rollout was applied by hand or not.
///
/// # Errors
/// When nobody has said so.
pub(super) fn must_be_free(
    args: &ImportArgs,
    service: &str,
    published: &[String],
) -> Result<(), Failure> {
    if published.is_empty() || args.drop_ports {
        return Ok(());
    }
    Err(Failure::No(format!(
        "nothing was done: {service} is reached by {}, which leads nowhere once it has no tasks. Let clients go to HAProxy: its \
         front end can `bind` that port on other addresses than the nodes', or DNS can lead to it; and run this again with \
         --drop-ports",
        published.join(", ")
    )))
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

    #[test]
    fn published_ports_stop_the_takeover_until_somebody_says_that_nobody_uses_them() {
        let published = [
            "port 80/tcp of every node".to_owned(),
            "port 443/tcp of each node with a task".to_owned(),
        ];
        let refused = must_be_free(&args(&[]), "news_web", &published);
        let Err(Failure::No(told)) = refused else {
            panic!("{refused:?}");
        };
        assert!(
            told.contains(
                "news_web is reached by port 80/tcp of every node, port 443/tcp of each node with a task, which leads nowhere"
            ),
            "{told}"
        );
        assert!(told.ends_with("--drop-ports"), "{told}");
        must_be_free(&args(&["--drop-ports"]), "news_web", &published).expect("somebody said so");
        must_be_free(&args(&[]), "news_web", &[]).expect("nothing is published");
    }
}
