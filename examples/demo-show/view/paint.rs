//! Colours, where they are wanted: on a terminal that has them, and never under `NO_COLOR`.

use std::io::IsTerminal as _;

use owo_colors::{OwoColorize as _, Style};

/// Whether colours are used.
#[derive(Clone, Copy)]
pub enum Paint {
    /// They are.
    Colours,
    /// They are not.
    Plain,
}

impl Paint {
    /// What standard output wants.
    pub fn find() -> Self {
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        if std::io::stdout().is_terminal() && !is_set("NO_COLOR") && !is_dumb {
            Self::Colours
        } else {
            Self::Plain
        }
    }

    /// The text in this style.
    pub fn with(self, text: &str, style: Style) -> String {
        match self {
            Self::Colours => text.style(style).to_string(),
            Self::Plain => text.to_owned(),
        }
    }
}
