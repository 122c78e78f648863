//! Tables without borders, as `kubectl` prints them: columns apart by three spaces. On a terminal that is
//! too narrow, columns that are expendable are left out and the last one is cut.

use std::collections::BTreeSet;

use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table};

use super::console::{Paint, Screen, Tone};

/// The space between two columns.
const GAP: u16 = 3;

/// The narrowest that the last column is cut to.
const LEAST: u16 = 20;

/// A table in the making.
#[derive(Clone, Debug, Default)]
pub struct Grid {
    header: Vec<&'static str>,
    rows: Vec<Vec<Field>>,
    widths: Vec<u16>,
    /// Names of columns, the one to be left out first at first.
    expendable: &'static [&'static str],
    /// Columns that are left out already, by number.
    left_out: BTreeSet<usize>,
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

    /// The same table, of which a narrow terminal may lack these columns, the first one first.
    pub fn without_if_narrow(self, expendable: &'static [&'static str]) -> Self {
        Self { expendable, ..self }
    }

    /// A table without header that has the columns of `self` on such a screen, each at least as wide
    /// as there: for rows that are printed below it later.
    pub fn continued(&self, screen: Screen) -> Self {
        Self {
            widths: self.column_widths(),
            left_out: self.left_out(screen),
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

    /// The table as the screen has room for it: without what is expendable, the last column cut if
    /// what is left is enough to be of use; else the terminal wraps it.
    fn fitted(&self, screen: Screen) -> Self {
        let mut fitted = self.keeping(&self.left_out(screen));
        let widths = fitted.column_widths();
        let (Screen::Terminal { columns }, Some((_, before))) = (screen, widths.split_last())
        else {
            return fitted;
        };
        let taken: u16 = before.iter().map(|width| width + GAP).sum();
        let left = columns.saturating_sub(taken);
        if left < LEAST {
            return fitted;
        }
        for row in &mut fitted.rows {
            if let Some(field) = row.get_mut(before.len()) {
                field.cut(usize::from(left));
            }
        }
        fitted
    }

    /// The columns that the screen has no room for, of those that are expendable.
    fn left_out(&self, screen: Screen) -> BTreeSet<usize> {
        let mut left_out = self.left_out.clone();
        let Screen::Terminal { columns } = screen else {
            return left_out;
        };
        let widths = self.column_widths();
        for name in self.expendable {
            if least_width(&widths, &left_out) <= columns {
                break;
            }
            left_out.extend(self.header.iter().position(|column| column == name));
        }
        left_out
    }

    /// The table without some of its columns.
    fn keeping(&self, left_out: &BTreeSet<usize>) -> Self {
        Self {
            header: kept(&self.header, left_out),
            rows: self.rows.iter().map(|row| kept(row, left_out)).collect(),
            widths: kept(&self.widths, left_out),
            ..Self::default()
        }
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

fn kept<T: Clone>(columns: &[T], left_out: &BTreeSet<usize>) -> Vec<T> {
    let numbered = columns.iter().enumerate();
    numbered
        .filter(|(index, _)| !left_out.contains(index))
        .map(|(_, column)| column.clone())
        .collect()
}

/// What columns so wide need on a screen, less some of them, with the last one cut.
fn least_width(widths: &[u16], left_out: &BTreeSet<usize>) -> u16 {
    let kept = kept(widths, left_out);
    let Some((last, before)) = kept.split_last() else {
        return 0;
    };
    before.iter().map(|width| width + GAP).sum::<u16>() + (*last).min(LEAST)
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
    fn what_is_expendable_is_left_out_of_a_narrow_terminal_and_of_later_rows() {
        let screen = Screen::Terminal { columns: 34 };
        let grid = grid().without_if_narrow(&["PHASE", "MESSAGE"]);
        assert_eq!(
            grid.render(screen, Paint::Plain),
            "NAME       MESSAGE\nnews-web   all is well with every…"
        );
        let mut later = grid.continued(screen);
        later.row(["a".into(), "Paused".into(), "b".into()]);
        assert_eq!(later.render(screen, Paint::Plain), "a          b");
    }

    #[test]
    fn later_rows_stand_below_the_first_ones() {
        let mut later = grid().continued(Screen::Stream);
        later.row(["a".into(), "Paused".into(), "b".into()]);
        assert_eq!(
            later.render(Screen::Stream, Paint::Plain),
            "a          Paused    b"
        );
    }
}
