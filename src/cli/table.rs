//! Tables without borders, as `kubectl` prints them: columns apart by three spaces, the last one cut to
//! the terminal's width.

use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table};

use super::console::{Paint, Screen, Tone};

/// The space between two columns.
const GAP: u16 = 3;

/// The narrowest that the last column is cut to.
const LEAST: usize = 20;

/// A table in the making.
#[derive(Clone, Debug, Default)]
pub struct Grid {
    header: Vec<&'static str>,
    rows: Vec<Vec<Field>>,
    widths: Vec<u16>,
}

/// What stands in one place of a table.
#[derive(Clone, Debug)]
pub struct Field {
    text: String,
    tone: Option<Tone>,
}

impl Field {
    /// A text with a meaning.
    pub fn toned(text: impl Into<String>, tone: Tone) -> Self {
        Self {
            text: text.into(),
            tone: Some(tone),
        }
    }
}

impl<T: Into<String>> From<T> for Field {
    fn from(text: T) -> Self {
        Self {
            text: text.into(),
            tone: None,
        }
    }
}

impl Grid {
    /// An empty table with these columns.
    pub fn new(header: impl IntoIterator<Item = &'static str>) -> Self {
        Self {
            header: header.into_iter().collect(),
            ..Self::default()
        }
    }

    /// A table without header whose columns are at least as wide as those of `self`: for rows that
    /// are printed below it later.
    pub fn continued(&self) -> Self {
        Self {
            widths: self.column_widths(),
            ..Self::default()
        }
    }

    /// Adds a row.
    pub fn row(&mut self, fields: impl IntoIterator<Item = Field>) {
        self.rows.push(fields.into_iter().collect());
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table as text, without a line break at its end.
    pub fn render(&self, screen: Screen, paint: Paint) -> String {
        let mut table = self.fitted(screen).table();
        match paint {
            Paint::Coloured => table.enforce_styling(),
            Paint::Plain => table.force_no_tty(),
        };
        let last = table.column_count().saturating_sub(1);
        table.set_content_arrangement(ContentArrangement::Disabled);
        for (index, column) in table.column_iter_mut().enumerate() {
            column.set_padding((0, if index == last { 0 } else { GAP }));
        }
        table.trim_fmt()
    }

    /// The table with its last column cut to what a terminal has left for it, if that is enough to
    /// be of use; else the terminal wraps it.
    fn fitted(&self, screen: Screen) -> Self {
        let mut fitted = self.clone();
        let widths = self.column_widths();
        let (Screen::Terminal { columns }, Some((_, before))) = (screen, widths.split_last())
        else {
            return fitted;
        };
        let taken: usize = before.iter().map(|width| usize::from(width + GAP)).sum();
        let left = usize::from(columns).saturating_sub(taken);
        if left < LEAST {
            return fitted;
        }
        for row in &mut fitted.rows {
            if let Some(field) = row.get_mut(before.len()) {
                field.cut(left);
            }
        }
        fitted
    }

    fn column_widths(&self) -> Vec<u16> {
        self.table().column_max_content_widths()
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(comfy_table::presets::NOTHING);
        if !self.header.is_empty() {
            table.set_header(self.header.clone());
        }
        for fields in &self.rows {
            table.add_row(fields.iter().enumerate().map(|(index, field)| {
                // Only the last column is as wide as it happens to be.
                let is_last = index + 1 == fields.len();
                let width = self.widths.get(index).filter(|_| !is_last);
                cell(field, width.map_or(0, |width| usize::from(*width)))
            }));
        }
        table
    }
}

impl Field {
    fn cut(&mut self, columns: usize) {
        if self.text.chars().count() > columns {
            let kept = self.text.chars().take(columns.saturating_sub(1));
            self.text = kept.chain(['…']).collect();
        }
    }
}

/// The cell of a field, filled up with spaces to `width`.
fn cell(field: &Field, width: usize) -> Cell {
    let text: String = field
        .text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let cell = Cell::new(format!("{text:<width$}"));
    match field.tone {
        None => cell,
        Some(Tone::Good) => cell.fg(Color::Green),
        Some(Tone::Busy) => cell.fg(Color::Cyan),
        Some(Tone::Warning) => cell.fg(Color::Yellow),
        Some(Tone::Bad) => cell.fg(Color::Red),
        Some(Tone::Strong) => cell.add_attribute(Attribute::Bold),
        Some(Tone::Quiet) => cell.add_attribute(Attribute::Dim),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> Grid {
        let mut grid = Grid::new(["NAME", "PHASE", "MESSAGE"]);
        grid.row([
            "news-web".into(),
            Field::toned("Healthy", Tone::Good),
            "all is well with every one of them".into(),
        ]);
        grid
    }

    #[test]
    fn a_stream_gets_every_word_and_no_colour() {
        assert_eq!(
            grid().render(Screen::Stream, Paint::Plain),
            "NAME       PHASE     MESSAGE\nnews-web   Healthy   all is well with every one of them"
        );
    }

    #[test]
    fn a_narrow_terminal_gets_one_line_for_each_row() {
        assert_eq!(
            grid().render(Screen::Terminal { columns: 44 }, Paint::Plain),
            "NAME       PHASE     MESSAGE\nnews-web   Healthy   all is well with every…"
        );
    }

    #[test]
    fn a_terminal_that_is_too_narrow_to_cut_for_wraps_by_itself() {
        assert_eq!(
            grid().render(Screen::Terminal { columns: 30 }, Paint::Plain),
            grid().render(Screen::Stream, Paint::Plain)
        );
    }

    #[test]
    fn later_rows_stand_below_the_first_ones() {
        let mut later = grid().continued();
        later.row(["a".into(), "Paused".into(), "b".into()]);
        assert_eq!(
            later.render(Screen::Stream, Paint::Plain),
            "a          Paused    b"
        );
    }
}
