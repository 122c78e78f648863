//! The command line: reads what was typed, does it, and ends with an exit code.
//!
//! Commands are functions of their arguments, a [`crate::world::World`] and a console; where the
//! world comes from is `connect`'s affair. What is decided about rollouts is decided elsewhere: the
//! command line writes specs and commands into the store, and reads statuses from it.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

mod apply;
mod args;
mod clock;
mod connect;
mod console;
mod delete;
mod describe;
mod diff;
mod ending;
mod exit;
mod get;
mod history;
mod identity;
mod import;
mod listen;
mod logs;
mod object;
mod owner;
mod past;
mod preflight;
mod read;
mod simulate;
mod source;
mod standing;
mod status;
mod stray;
mod table;
mod target;
#[cfg(test)]
mod tests;
pub mod undo;
mod validate;
mod verb;
mod words;
pub mod wrap;

pub use args::{CollectorArgs, ControllerArgs, Target};
pub use exit::{Exit, Failure};
pub use past::ShortRevision;

use args::{
    ApplyArgs, Cli, Command, DeleteArgs, FilesArgs, GetArgs, HistoryArgs, SchemaArgs, StatusArgs,
    UndoArgs, VerbArgs,
};
use clock::Patience;
use connect::connect;
use console::{Console, Tone};
use get::Selection;
use owner::SourceSay;
use source::Chosen;
use target::ResourceRef;

use crate::api::{Dependents, Verb};
use crate::manifest;

/// Runs the program with these arguments, the first of which is its own name.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<_> = arguments.into_iter().collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let error = stray::with_tip(error, &arguments, &Cli::command());
            // Help for nobody is no failure.
            drop(error.print());
            return if error.use_stderr() {
                Exit::Usage.into()
            } else {
                Exit::Done.into()
            };
        }
    };
    let mut console = Console::standard();
    let result = logs::start(&cli.global, &cli.command)
        .map_err(Failure::Usage)
        .and_then(|()| execute(cli, &mut console));
    match result {
        Ok(exit) => exit.into(),
        Err(failure) => {
            if failure.is_untold() {
                let mark = console.paint.tint(Tone::Bad, "error:");
                console.remark(format_args!("{mark} {failure}"));
            }
            failure.exit().into()
        }
    }
}

fn execute(cli: Cli, console: &mut Console) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let exit = runtime.block_on(async {
        match cli.command {
            // These end what they do by themselves when they are interrupted.
            command @ (Command::Controller(_) | Command::Collector(_)) => {
                dispatch(command, &cli.global.target, console).await
            }
            command => {
                tokio::spawn(end_what_blocks());
                tokio::select! {
                    result = dispatch(command, &cli.global.target, console) => result,
                    interrupted = tokio::signal::ctrl_c() => Ok(interrupted.map(|()| Exit::Interrupted)?),
                }
            }
        }
    });
    // Something may still read standard input; the answer does not wait for it.
    runtime.shutdown_background();
    exit
}

/// Ends the process after Ctrl-C if nobody else does: who reads a file or standard input waits where no signal is heard.
async fn end_what_blocks() {
    if tokio::signal::ctrl_c().await.is_ok() {
        #[expect(
            clippy::disallowed_methods,
            reason = "there is nothing to wait for: who ends by itself takes this task along"
        )]
        tokio::time::sleep(GRACE).await;
        std::process::exit(Exit::Interrupted.code().into());
    }
}

/// For how long an interrupted command may take to end by itself.
const GRACE: std::time::Duration = std::time::Duration::from_millis(300);

async fn dispatch(
    command: Command,
    target: &Target,
    console: &mut Console,
) -> Result<Exit, Failure> {
    match command {
        Command::Apply(args) => apply(&args, target, console).await,
        Command::Delete(args) => delete(args, target, console).await,
        Command::Diff(args) => diff(&args, target, console).await,
        Command::Validate(args) => {
            let sources = read::sources(&args.files.files)?;
            validate::run(&sources, &args.files.edits, args.output, console)
        }
        Command::Get(args) => get(&args, target, console).await,
        Command::Describe(args) => {
            let chosen = Chosen::read(Some(&args.what), args.name.as_deref());
            if let Some(Chosen::One(name)) = chosen.map_err(Failure::Usage)? {
                return source::describe(&name, &*connect(target).await?, console).await;
            }
            let resource = args.resource().map_err(Failure::Usage)?;
            describe::run(&resource, &*connect(target).await?, console).await
        }
        Command::Status(args) => status(&args, target, console).await,
        Command::Promote(args) => {
            let verb = if args.full {
                Verb::PromoteFull
            } else {
                Verb::Promote
            };
            command_rollout(verb, args.verb, target, console).await
        }
        Command::Pause(args) => command_rollout(Verb::Pause, args, target, console).await,
        Command::Resume(args) => command_rollout(Verb::Resume, args, target, console).await,
        Command::Abort(args) => command_rollout(Verb::Abort, args, target, console).await,
        Command::Retry(args) => command_rollout(Verb::Retry, args, target, console).await,
        Command::History(args) => history(&args, target, console).await,
        Command::Undo(args) => undo(args, target, console).await,
        Command::Import(args) => import::run(&args, target, console).await,
        Command::Controller(args) => {
            ending::until_told(|shutdown| connect::controller(target, &args, shutdown)).await
        }
        Command::Collector(args) => {
            ending::until_told(|shutdown| connect::collector(&args, shutdown)).await
        }
        Command::Preflight(args) => preflight::run(&args, target, console).await,
        Command::Simulate(args) => simulate::run(args, console).await,
        Command::Schema(args) => schema(&args, console),
        Command::Completion(args) => completion(args.shell, console),
    }
}

/// Nothing is asked of the Swarm until the manifests are sound by themselves, and nothing is written
/// until they are sound together with what is there.
async fn apply(args: &ApplyArgs, target: &Target, console: &mut Console) -> Result<Exit, Failure> {
    let sources = read::sources(&args.files.files)?;
    let edits = args.files.edits.edits();
    read::sound(&sources, &edits, console)?;
    let world = connect(target).await?;
    let resources = read::resolve(&sources, &edits, &world.load().await?, console)?;
    let mode = if args.dry_run {
        apply::Mode::DryRun
    } else {
        apply::Mode::Write
    };
    apply::run(resources, mode, &*world, console).await
}

async fn delete(args: DeleteArgs, target: &Target, console: &mut Console) -> Result<Exit, Failure> {
    let targets = if args.files.is_empty() {
        ResourceRef::read_all(&args.resources).map_err(Failure::Usage)?
    } else {
        let resources = read::sound(&read::sources(&args.files)?, &args.edits.edits(), console)?;
        resources.iter().map(ResourceRef::of).collect()
    };
    let request = delete::Request {
        targets,
        dependents: if args.orphan {
            Dependents::Orphan
        } else {
            Dependents::Remove
        },
        absent: if args.ignore_not_found {
            delete::Absent::Ignored
        } else {
            delete::Absent::Refused
        },
        source: source_say(args.force),
        wait: args.wait.then(|| Patience::from_option(args.timeout)),
        now: clock::now(),
    };
    delete::run(request, &*connect(target).await?, console).await
}

/// As with `diff` and `kubectl diff`, 1 says that there are differences and nothing else: what `apply` would refuse ends with 2.
async fn diff(args: &FilesArgs, target: &Target, console: &mut Console) -> Result<Exit, Failure> {
    let sources = read::sources(&args.files)?;
    let edits = args.edits.edits();
    match read::sound(&sources, &edits, console) {
        Ok(_) => {}
        Err(Failure::Told) => return Ok(Exit::Usage),
        Err(failure) => return Err(Failure::Usage(failure.to_string())),
    }
    diff::run(&sources, &edits, &*connect(target).await?, console).await
}

async fn get(args: &GetArgs, target: &Target, console: &mut Console) -> Result<Exit, Failure> {
    if let Some(chosen) =
        Chosen::read(args.what.as_deref(), args.name.as_deref()).map_err(Failure::Usage)?
    {
        let world = connect(target).await?;
        return if args.watch {
            source::watch(&chosen, args.output, &*world, console).await
        } else {
            source::get(&chosen, args.output, &*world, console).await
        };
    }
    let selection =
        Selection::read(args.what.as_deref(), args.name.as_deref()).map_err(Failure::Usage)?;
    let world = connect(target).await?;
    if args.watch {
        get::watch(&selection, args.output, &*world, console).await
    } else {
        get::run(&selection, args.output, &*world, console).await
    }
}

async fn status(
    args: &StatusArgs,
    target: &Target,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let world = connect(target).await?;
    if args.wait {
        let patience = Patience::from_option(args.timeout);
        status::wait(&args.name, patience, &*world, console).await
    } else {
        status::run(&args.name, &*world, console).await
    }
}

async fn command_rollout(
    verb: Verb,
    args: VerbArgs,
    target: &Target,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let request = verb::Request {
        rollout: args.name,
        verb,
        by: identity::actor(),
        now: clock::now(),
        wait: (!args.no_wait).then_some(args.timeout),
    };
    verb::run(&request, &*connect(target).await?, console).await
}

async fn history(
    args: &HistoryArgs,
    target: &Target,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let world = connect(target).await?;
    match &args.revision {
        Some(revision) => {
            history::content(&args.name, revision, args.output, &*world, console).await
        }
        None => history::run(&args.name, args.output, &*world, console).await,
    }
}

/// What `--force` says.
const fn source_say(is_forced: bool) -> SourceSay {
    if is_forced {
        SourceSay::Overridden
    } else {
        SourceSay::Heeded
    }
}

async fn undo(args: UndoArgs, target: &Target, console: &mut Console) -> Result<Exit, Failure> {
    let request = undo::Request {
        rollout: args.name,
        to: args.to_revision,
        mode: if args.dry_run {
            apply::Mode::DryRun
        } else {
            apply::Mode::Write
        },
        source: source_say(args.force),
        by: identity::actor(),
        now: clock::now(),
    };
    undo::run(&request, &*connect(target).await?, console).await
}

fn schema(args: &SchemaArgs, console: &mut Console) -> Result<Exit, Failure> {
    let schema = args
        .kind
        .map_or_else(manifest::schema_all, manifest::schema);
    console.answer(format_args!("{schema:#}"))?;
    Ok(Exit::Done)
}

fn completion(shell: clap_complete::Shell, console: &mut Console) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "rolloutctl", &mut script);
    console.answer(String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
