//! The commands against a store in memory that compares and swaps as the real one does.

mod apply;
mod delete;
mod describe;
mod diff;
mod fixtures;
mod get;
mod history;
mod import;
mod memory;
mod overtaken;
mod past;
mod restored;
mod source;
mod status;
mod undo;
mod verb;

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use super::console::Console;

/// What a command printed.
#[derive(Clone, Debug, Default)]
pub(super) struct Paper(Arc<Mutex<Vec<u8>>>);

impl Paper {
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("no panic").clone()).expect("text")
    }
}

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A console that prints on paper: answers and remarks.
pub(super) fn console() -> (Console, Paper, Paper) {
    let (answers, remarks) = (Paper::default(), Paper::default());
    let console = Console::to(Box::new(answers.clone()), Box::new(remarks.clone()));
    (console, answers, remarks)
}
