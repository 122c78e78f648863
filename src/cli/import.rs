//! `rolloutctl import`: the manifest for a service that runs already or stands in a Compose file, and what a Rollout
//! cannot express of it; and, when asked to, taking it over.
//!
//! Services are read in [`crate::world`], files in [`crate::manifest`]. Without `--take-over` nothing is written.

use std::path::Path;

use super::args::{ImportArgs, ManifestFormat, Target};
use super::clock::Patience;
use super::connect::{connect, settings};
use super::console::{Console, Tone};
use super::exit::{Exit, Failure};
use super::read;
use super::target::RolloutRef;
use super::words::counted;
use crate::api::{Kind, Name, Reach};
use crate::manifest::adoption::{self, Adoptee, Choice, Effect, Remark, Terms};
use crate::manifest::{self, Edits, Known, Source, compose};
use crate::world::docker;
use crate::world::swarm::{ForeignService, Swarm};
use crate::world::{Stored, World};

mod names;
mod ports;
mod route;
mod servers;
mod step;
mod takeover;

use servers::Said;
use takeover::Takeover;

/// What nobody needs to be asked if there is only one.
const WHICH_LOAD_BALANCER: &str = "the LoadBalancer in front of it; see `rolloutctl get lb`";
const WHICH_PORT: &str = "the port on which the container listens";
const WHICH_NETWORK: &str =
    "HAProxy must be on the template's first network; else choose `reach: host`";
const WHICH_BACKEND: &str = "the `backend` section of haproxy.cfg";

/// Prints the manifest, and takes the service over if that is asked.
///
/// # Errors
/// When there is no such service, or what it says cannot be read, or the world cannot be reached.
pub async fn run(
    args: &ImportArgs,
    target: &Target,
    console: &mut Console,
) -> Result<Exit, Failure> {
    if let Some(file) = &args.file {
        let adoptee = from_file(file, args, console)?;
        let terms = terms(args, &adoptee, &[])?;
        return print(&adoptee, &terms, args.output, console);
    }
    let world = connect(target).await?;
    let swarm = Swarm::new(docker::connect(&settings(target)).await?);
    let service = find(&args.service, &swarm).await?;
    let adoptee = service.adoptee().map_err(Failure::No)?;
    let terms = terms(args, &adoptee, &world.load().await?)?;
    if args.take_over {
        names::must_be_free(args, &adoptee, &terms.name)?;
        ports::must_be_free(args, service.name(), &service.ways_in())?;
        take_over(args, &adoptee, &terms, (&*world, swarm), console).await
    } else {
        print(&adoptee, &terms, args.output, console)
    }
}

async fn find(name: &str, swarm: &Swarm) -> Result<ForeignService, Failure> {
    let Some(service) = swarm.foreign(name).await? else {
        return Err(Failure::No(format!(
            "there is no service `{name}`; `docker service ls` lists them"
        )));
    };
    match service.rollout() {
        None => Ok(service),
        Some(rollout) => Err(Failure::No(format!(
            "the service {name} belongs to rollout/{rollout} already; `rolloutctl get rollout {rollout} -o yaml` prints that"
        ))),
    }
}

fn from_file(file: &Path, args: &ImportArgs, console: &mut Console) -> Result<Adoptee, Failure> {
    let [source] = &read::sources(&[file.to_owned()])?[..] else {
        return Err(Failure::Usage(format!(
            "{}: name one Compose file, not a directory",
            file.display()
        )));
    };
    let directory = file.parent().unwrap_or(Path::new(""));
    let surroundings = compose::Surroundings {
        stack: args.stack.as_deref(),
        directory: std::path::absolute(directory.join("."))?,
        variable: &|name| std::env::var(name).ok(),
        file: &|path| std::fs::read_to_string(path).map_err(|error| error.to_string()),
    };
    compose::read(source, &args.service, &surroundings).map_err(|errors| {
        for error in errors {
            console.remark(error);
        }
        Failure::Told
    })
}

/// What the arguments say, and what follows from the service and the store where they say nothing.
fn terms(args: &ImportArgs, adoptee: &Adoptee, store: &[Stored]) -> Result<Terms, Failure> {
    let proposed = || adoption::proposed_name(&adoptee.service);
    let name = args.name.clone().or_else(proposed).ok_or_else(|| {
        Failure::Usage(format!(
            "no rollout can be called like the service {}: give it a name by --name",
            adoptee.service
        ))
    })?;
    let port = match (args.port, adoptee.ports.as_slice()) {
        (Some(port), _) => Choice::Said(port),
        (None, [port]) => Choice::Said(*port),
        (None, [port, ..]) => Choice::Open(*port, WHICH_PORT),
        (None, []) => Choice::Open(8080, WHICH_PORT),
    };
    let reach = match (args.reach, adoptee.template.networks.is_empty()) {
        (Some(reach), _) => Choice::Said(reach.into()),
        (None, true) => Choice::Said(Reach::Host),
        (None, false) => Choice::Open(Reach::Network, WHICH_NETWORK),
    };
    let backend = args.backend.clone().map_or_else(
        || Choice::Open(name.to_string(), WHICH_BACKEND),
        Choice::Said,
    );
    Ok(Terms {
        load_balancer: load_balancer(args, store),
        backend,
        port,
        reach,
        name,
    })
}

fn load_balancer(args: &ImportArgs, store: &[Stored]) -> Choice<Name> {
    if let Some(name) = &args.load_balancer {
        return Choice::Said(name.clone());
    }
    let resources = store.iter().map(|stored| &stored.draft.resource);
    let names: Vec<_> = resources
        .filter(|resource| resource.kind() == Kind::LoadBalancer)
        .map(|resource| resource.name().clone())
        .collect();
    match names.as_slice() {
        [only] => Choice::Said(only.clone()),
        [] | [_, ..] => Choice::Open(
            "edge".parse().expect("a constant of the program"),
            WHICH_LOAD_BALANCER,
        ),
    }
}

/// The manifest on standard output, all remarks on standard error.
fn print(
    adoptee: &Adoptee,
    terms: &Terms,
    format: Option<ManifestFormat>,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let text = adoption::manifest(adoptee, terms);
    match format {
        None | Some(ManifestFormat::Yaml) => console.answer(&text)?,
        Some(ManifestFormat::Json) => {
            let value = manifest::from_yaml(&text).map_err(Failure::No)?;
            console.answer(format_args!("{value:#}"))?;
        }
    }
    remark(adoptee, terms, console);
    let parsed = manifest::parse(&[Source::new("the manifest", &text)], Known::SourcesOnly);
    let references_apart = |found: &&manifest::Diagnostic| !found.field.ends_with("loadBalancer");
    for found in parsed.diagnostics.iter().filter(references_apart) {
        console.remark(found);
    }
    Ok(if parsed.has_errors() {
        Exit::No
    } else {
        Exit::Done
    })
}

/// Tells what is not in the manifest as it was; what is lost comes first.
fn remark(adoptee: &Adoptee, terms: &Terms, console: &mut Console) {
    let named = names::remark(adoptee, &terms.name);
    let mut remarks: Vec<&Remark> = adoptee.remarks.iter().chain(&named).collect();
    remarks.sort_by_key(|remark| remark.effect);
    for remark in &remarks {
        console.remark(remark);
    }
    if terms.name.as_str() != adoptee.service {
        console.remark(format_args!(
            "the rollout of {} is called {}; another name by --name",
            adoptee.service, terms.name
        ));
    }
    let lost = lost(remarks);
    if lost > 0 {
        let told = format!(
            "{} not taken over; look at each before you apply the manifest",
            match lost {
                1 => "1 thing is".to_owned(),
                lost => format!("{} are", counted(lost, "thing")),
            }
        );
        let told = console.paint.tint(Tone::Warning, told);
        console.remark(told);
    }
}

/// How much tasks would run without, or others would not reach.
fn lost<'a>(remarks: impl IntoIterator<Item = &'a Remark>) -> usize {
    let effects = remarks.into_iter().map(|remark| remark.effect);
    effects.filter(|effect| *effect == Effect::Lost).count()
}

async fn take_over(
    args: &ImportArgs,
    adoptee: &Adoptee,
    terms: &Terms,
    (world, swarm): (&dyn World, Swarm),
    console: &mut Console,
) -> Result<Exit, Failure> {
    let rollout = RolloutRef(terms.name.clone());
    let store = world.load().await?;
    let target = rollout.resource();
    if target.look_up(&store).is_none() {
        apply(adoptee, terms, &store, world, console).await?;
    } else {
        console.answer(format_args!(
            "{target} is there already, and is used as it is"
        ))?;
    }
    let takeover = Takeover {
        service: adoptee.service.clone(),
        rollout,
        said: Said {
            leaves: args.server.iter().cloned().collect(),
            stays: args.keep_server.iter().cloned().collect(),
        },
        patience: Patience::from_option(args.timeout),
        swarm,
        world,
    };
    takeover.run(console).await
}

/// Applies the manifest as it would be printed. What somebody must look at or decide is not passed over here.
pub(super) async fn apply(
    adoptee: &Adoptee,
    terms: &Terms,
    store: &[Stored],
    world: &dyn World,
    console: &mut Console,
) -> Result<(), Failure> {
    let missing = [
        ("--load-balancer", terms.load_balancer.question()),
        ("--port", terms.port.question()),
        ("--reach", terms.reach.question()),
    ];
    let missing: Vec<_> = missing
        .iter()
        .filter_map(|(option, question)| Some(format!("{option} ({})", (*question)?)))
        .collect();
    if !missing.is_empty() {
        return Err(Failure::Usage(format!(
            "nothing is guessed when a service is taken over: say {}",
            missing.join(", ")
        )));
    }
    if lost(&adoptee.remarks) > 0 {
        remark(adoptee, terms, console);
        return Err(Failure::No(format!(
            "nothing was done: write the manifest to a file by `rolloutctl import {}`, see whether the service can do without \
             these, apply that file, and run this again",
            adoptee.service
        )));
    }
    remark(adoptee, terms, console);
    let text = adoption::manifest(adoptee, terms);
    let source = [Source::new("the manifest", &text)];
    let resources = read::resolve(&source, &Edits::default(), store, console)?;
    super::apply::run(resources, super::apply::Mode::Write, world, console).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(words: &[&str]) -> ImportArgs {
        use clap::Parser;
        let words = ["rolloutctl", "import"].iter().chain(words);
        match super::super::args::Cli::parse_from(words).command {
            super::super::args::Command::Import(args) => args,
            other => panic!("{other:?}"),
        }
    }

    fn adoptee(ports: &[u16], networks: &[&str]) -> Adoptee {
        let template = serde_json::json!({"image": "web:1.0", "networks": networks});
        Adoptee {
            service: "news_web".to_owned(),
            template: serde_json::from_value(template).expect("a template"),
            replicas: Some(2),
            ports: ports.to_vec(),
            names: std::collections::BTreeSet::new(),
            remarks: Vec::new(),
        }
    }

    #[test]
    fn what_the_service_tells_is_no_question() {
        let terms = terms(&args(&["news_web"]), &adoptee(&[8080], &[]), &[]).expect("a name");
        assert_eq!(terms.name.as_str(), "news-web");
        assert_eq!(terms.port, Choice::Said(8080));
        assert_eq!(terms.reach, Choice::Said(Reach::Host));
        assert_eq!(terms.load_balancer.question(), Some(WHICH_LOAD_BALANCER));
    }

    #[test]
    fn what_is_said_counts_and_what_is_not_clear_is_a_question() {
        let service = adoptee(&[80, 443], &["news"]);
        let open = terms(&args(&["news_web"]), &service, &[]).expect("a name");
        assert_eq!(open.port, Choice::Open(80, WHICH_PORT));
        assert_eq!(open.reach, Choice::Open(Reach::Network, WHICH_NETWORK));
        let words = [
            "news_web", "--port", "443", "--reach", "network", "--name", "news",
        ];
        let said = terms(&args(&words), &service, &[]).expect("a name");
        assert_eq!(said.port, Choice::Said(443));
        assert_eq!(said.reach, Choice::Said(Reach::Network));
        assert_eq!(said.backend.value(), "news");
    }
}
