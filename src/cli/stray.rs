//! The tip for whoever names a manifest without `-f`.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, Error};

/// `error` with a tip, if it is about a word that looks like a file, after a subcommand that takes
/// files by option.
pub fn with_tip(mut error: Error, arguments: &[OsString], program: &Command) -> Error {
    if let Some(tip) = tip(&error, arguments, program) {
        error.insert(
            ContextKind::Suggested,
            ContextValue::StyledStrs(vec![tip.into()]),
        );
    }
    error
}

fn tip(error: &Error, arguments: &[OsString], program: &Command) -> Option<String> {
    let (ErrorKind::UnknownArgument, Some(ContextValue::String(stray))) =
        (error.kind(), error.get(ContextKind::InvalidArg))
    else {
        return None;
    };
    let subcommand = arguments
        .iter()
        .skip(1)
        .find_map(|word| program.find_subcommand(word))?;
    let takes_files = subcommand
        .get_arguments()
        .any(|argument| argument.get_long() == Some("filename"));
    let is_file = stray == "-" || !stray.starts_with('-');
    (takes_files && is_file).then(|| {
        let name = subcommand.get_name();
        format!("manifests are named by `-f`: rolloutctl {name} -f {stray}")
    })
}
