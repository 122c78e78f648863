//! Where answers and remarks go, and whether they are painted: standard output and standard error.
//!
//! What is said is decided elsewhere. Parts of it come from others (files' names, a git host's remarks, tasks' errors), so
//! nothing goes out that a terminal would obey but our own colours.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use owo_colors::{OwoColorize, Style};

use super::wrap::wrapped;
use crate::api::printable;

/// The two ways out of the program.
pub struct Console {
    answers: Box<dyn Write + Send>,
    remarks: Box<dyn Write + Send>,
    /// How the answers' reader sees them.
    pub screen: Screen,
    /// How the remarks' reader sees them.
    margin: Screen,
    /// Whether answers are painted.
    pub paint: Paint,
}

/// How the reader of the answers sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Screen {
    /// On a terminal of this many columns.
    Terminal {
        /// Its width in characters.
        columns: u16,
    },
    /// Through a pipe or file.
    Stream,
}

impl Screen {
    /// Sentences as they are shown here: on a terminal, lines are broken between words.
    pub fn wrapped(self, text: &str) -> String {
        match self {
            Self::Terminal { columns } => wrapped(text, usize::from(columns)),
            Self::Stream => text.to_owned(),
        }
    }
}

/// Whether text is painted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// With ANSI colours.
    Coloured,
    /// As it is.
    Plain,
}

/// What a piece of text means, for its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// All is well.
    Good,
    /// On its way.
    Busy,
    /// Somebody should look.
    Warning,
    /// Something is wrong.
    Bad,
    /// A heading.
    Strong,
    /// Of less weight.
    Quiet,
}

/// What follows the escape in all that [`Paint::tint`] writes. Others' colours are not shown: some of them hide text.
const COLOURS: [&str; 8] = ["[0m", "[39m", "[1m", "[2m", "[31m", "[32m", "[33m", "[36m"];

/// An escape that is not ours, as [`printable`] shows it.
const ESCAPED: &str = "\\u001b";

impl Paint {
    /// Colours for a terminal, unless `NO_COLOR` is set to something (no-color.org) or the
    /// terminal cannot show them.
    fn for_screen(screen: Screen) -> Self {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let dumb = set("TERM").is_some_and(|term| term == "dumb");
        match screen {
            Screen::Terminal { .. } if set("NO_COLOR").is_none() && !dumb => Self::Coloured,
            Screen::Terminal { .. } | Screen::Stream => Self::Plain,
        }
    }

    /// `text` in the colour of `tone`.
    pub fn tint(self, tone: Tone, text: impl Display) -> String {
        match self {
            Self::Plain => text.to_string(),
            Self::Coloured => text.style(tone.style()).to_string(),
        }
    }
}

impl Paint {
    /// The text without anything that a terminal would obey, but for our own colours if there are any.
    pub fn harmless(self, text: &str) -> String {
        let mut pieces = text.split('\u{1b}');
        let mut shown = printable(pieces.next().unwrap_or_default()).into_owned();
        for piece in pieces {
            let is_ours = COLOURS.iter().any(|colour| piece.starts_with(colour));
            let mark = match self {
                Self::Coloured if is_ours => "\u{1b}",
                Self::Coloured | Self::Plain => ESCAPED,
            };
            shown.push_str(mark);
            shown.push_str(&printable(piece));
        }
        shown
    }
}

impl Tone {
    const fn style(self) -> Style {
        let style = Style::new();
        match self {
            Self::Good => style.green(),
            Self::Busy => style.cyan(),
            Self::Warning => style.yellow(),
            Self::Bad => style.red(),
            Self::Strong => style.bold(),
            Self::Quiet => style.dimmed(),
        }
    }
}

impl Console {
    /// Standard output and standard error.
    pub fn standard() -> Self {
        let stdout = io::stdout();
        let columns = comfy_table::Table::new().width().unwrap_or(80);
        let seen = |is_terminal| {
            if is_terminal {
                Screen::Terminal { columns }
            } else {
                Screen::Stream
            }
        };
        let screen = seen(stdout.is_terminal());
        Self {
            answers: Box::new(stdout),
            remarks: Box::new(io::stderr()),
            screen,
            margin: seen(io::stderr().is_terminal()),
            paint: Paint::for_screen(screen),
        }
    }

    /// A console that writes elsewhere, unpainted, for tests.
    #[cfg(test)]
    pub fn to(answers: Box<dyn Write + Send>, remarks: Box<dyn Write + Send>) -> Self {
        Self {
            answers,
            remarks,
            screen: Screen::Stream,
            margin: Screen::Stream,
            paint: Paint::Plain,
        }
    }

    /// Answers with a line on standard output, or several.
    ///
    /// # Errors
    /// When nobody reads it any more, or the disk is full.
    pub fn answer(&mut self, text: impl Display) -> io::Result<()> {
        let text = self.paint.harmless(&text.to_string());
        self.answers
            .write_all(text.trim_end_matches('\n').as_bytes())?;
        self.answers.write_all(b"\n")?;
        self.answers.flush()
    }

    /// Answers in sentences: like [`Self::answer`], with lines broken between words on a terminal.
    ///
    /// # Errors
    /// When nobody reads it any more, or the disk is full.
    pub fn tell(&mut self, text: impl Display) -> io::Result<()> {
        let text = self.paint.harmless(&text.to_string());
        self.answer(self.screen.wrapped(&text))
    }

    /// Remarks something on standard error. That nobody reads it is no reason to stop.
    pub fn remark(&mut self, text: impl Display) {
        let text = self.paint.harmless(&text.to_string());
        let text = self.margin.wrapped(&text);
        drop(writeln!(self.remarks, "{}", text.trim_end_matches('\n')));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file's name, as somebody else may have chosen it.
    const NAME: &str = "\u{1b}[2J\u{1b}]0;title\u{7}.yaml";
    const SHOWN: &str = "\\u001b[2J\\u001b]0;title\\u0007.yaml";

    #[test]
    fn what_others_say_cannot_command_the_terminal() {
        let (mut console, answers, remarks) = super::super::tests::console();
        console.answer(NAME).expect("written");
        console.tell(NAME).expect("written");
        console.remark(NAME);
        assert_eq!(answers.text(), format!("{SHOWN}\n{SHOWN}\n"));
        assert_eq!(remarks.text(), format!("{SHOWN}\n"));
        // Without colours nothing is a colour.
        assert_eq!(Paint::Plain.harmless("\u{1b}[32mgreen"), "\\u001b[32mgreen");
    }

    #[test]
    fn our_own_colours_are_kept() {
        for tone in [
            Tone::Good,
            Tone::Busy,
            Tone::Warning,
            Tone::Bad,
            Tone::Strong,
            Tone::Quiet,
        ] {
            let ours = Paint::Coloured.tint(tone, "text");
            assert!(ours.contains('\u{1b}'));
            assert_eq!(Paint::Coloured.harmless(&ours), ours);
            let around = Paint::Coloured.tint(tone, NAME);
            let shown = Paint::Coloured.tint(tone, SHOWN);
            assert_eq!(Paint::Coloured.harmless(&around), shown);
        }
        assert_eq!(
            Paint::Coloured.harmless("\u{1b}[8mhidden"),
            "\\u001b[8mhidden"
        );
    }
}
