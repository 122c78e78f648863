//! Tables without borders, as `kubectl` prints them: columns apart by three spaces, the last one cut to
//! the terminal's width.

use comfy_table::{Attribute, Cell, Color, ColumnConstraint, ContentArrangement, Table, Width};

use super::console::{Paint, Screen, Tone};

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
        let mut table = self.table();
        if !self.header.is_empty() {
            table.set_header(self.header.clone());
        }
        let own = table.column_max_content_widths();
        let widths = own
            .iter()
            .enumerate()
            .map(|(index, width)| self.widths.get(index).copied().unwrap_or(0).max(*width))
            .collect();
        Self {
            widths,
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
        let mut table = self.table();
        if !self.header.is_empty() {
            table.set_header(self.header.clone());
        }
        match paint {
            Paint::Coloured => table.enforce_styling(),
            Paint::Plain => table.force_no_tty(),
        };
        let last = table.column_count().saturating_sub(1);
        match screen {
            Screen::Terminal { columns } => {
                table
                    .set_content_arrangement(ContentArrangement::Dynamic)
                    .set_truncation_indicator("…")
                    .set_width(columns);
            }
            Screen::Stream => {
                table.set_content_arrangement(ContentArrangement::Disabled);
            }
        }
        for (index, column) in table.column_iter_mut().enumerate() {
            column.set_padding((0, if index == last { 0 } else { 3 }));
            if index == last {
                continue;
            }
            let floor = self.widths.get(index).map(|width| width + 3);
            column.set_constraint(floor.map_or(ColumnConstraint::ContentWidth, |width| {
                ColumnConstraint::LowerBoundary(Width::Fixed(width))
            }));
        }
        table.trim_fmt()
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(comfy_table::presets::NOTHING);
        for fields in &self.rows {
            let mut row = comfy_table::Row::from(fields.iter().map(cell).collect::<Vec<_>>());
            row.max_height(1);
            table.add_row(row);
        }
        table
    }
}

fn cell(field: &Field) -> Cell {
    let text: String = field
        .text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let cell = Cell::new(text);
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
        let text = grid().render(Screen::Terminal { columns: 40 }, Paint::Plain);
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.contains("news-web   Healthy"), "{text}");
        assert!(
            text.lines().all(|line| line.chars().count() <= 40),
            "{text}"
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
