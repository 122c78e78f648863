//! The program: hands its arguments to the library's command line and returns its exit code.
//!
//! Nothing else lives here, so that everything can be tested as a library.

use std::process::ExitCode;

fn main() -> ExitCode {
    rolloutctl::cli::run(std::env::args_os())
}
