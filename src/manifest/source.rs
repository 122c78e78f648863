//! Sources: files as they come, and the documents in them. What the documents say is not read here.

/// One file of manifests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The file's name as messages are to show it; `-` for standard input.
    pub name: String,
    text: Result<String, NotText>,
}

/// Where a file stops being text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotText {
    pub line: usize,
    pub column: usize,
}

/// One document of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chunk<'a> {
    /// Its text, with the `---` that begins it.
    pub text: &'a str,
    /// How many lines of the file stand before it.
    pub lines_before: usize,
}

impl Source {
    /// A source of text. A byte order mark is left out, and any line break becomes `\n`.
    pub fn new(name: impl Into<String>, text: &str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let text = if text.contains('\r') {
            text.replace("\r\n", "\n").replace('\r', "\n")
        } else {
            text.to_owned()
        };
        Self {
            name: name.into(),
            text: Ok(text),
        }
    }

    /// A source of bytes, which should be UTF-8; if they are not, [`super::parse`] says where.
    pub fn from_bytes(name: impl Into<String>, bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::new(name, text),
            Err(error) => {
                let sound = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
                let last = sound.rsplit('\n').next().unwrap_or_default();
                Self {
                    name: name.into(),
                    text: Err(NotText {
                        line: sound.matches('\n').count() + 1,
                        column: last.chars().count() + 1,
                    }),
                }
            }
        }
    }

    pub(super) fn text(&self) -> Result<&str, NotText> {
        self.text.as_deref().map_err(|at| *at)
    }
}

/// Cuts a text into its documents, so that an error in one does not hide the others.
///
/// A line that begins with `---` or `...` and a space or nothing is a document marker even within
/// a quoted or block scalar (YAML 1.2.2, rule `c-forbidden`), so no document is cut in two.
pub(super) fn documents(text: &str) -> Vec<Chunk<'_>> {
    let mut chunks = Vec::new();
    let (mut start, mut start_line) = (0, 0);
    let mut offset = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        if is_marker(line, "---") && offset > start {
            chunks.push(Chunk {
                text: &text[start..offset],
                lines_before: start_line,
            });
            (start, start_line) = (offset, number);
        }
        offset += line.len();
        if is_marker(line, "...") {
            chunks.push(Chunk {
                text: &text[start..offset],
                lines_before: start_line,
            });
            (start, start_line) = (offset, number + 1);
        }
    }
    if start < offset {
        chunks.push(Chunk {
            text: &text[start..],
            lines_before: start_line,
        });
    }
    chunks
}

fn is_marker(line: &str, marker: &str) -> bool {
    line.strip_prefix(marker)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\n']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> Vec<(usize, &str)> {
        documents(text)
            .into_iter()
            .map(|chunk| (chunk.lines_before, chunk.text))
            .collect()
    }

    #[test]
    fn documents_are_cut_at_their_markers_only() {
        assert_eq!(cut(""), []);
        assert_eq!(cut("a: 1\n"), [(0, "a: 1\n")]);
        assert_eq!(
            cut("---\na: |\n  ---\n--- b\n"),
            [(0, "---\na: |\n  ---\n"), (3, "--- b\n")]
        );
        assert_eq!(cut("a\n...\n---x\n"), [(0, "a\n...\n"), (2, "---x\n")]);
    }

    #[test]
    fn a_byte_order_mark_and_foreign_line_breaks_are_left_out() {
        let source = Source::from_bytes("f", b"\xef\xbb\xbfa: 1\r\nb: 2\r");
        assert_eq!(source.text(), Ok("a: 1\nb: 2\n"));
    }

    #[test]
    fn bytes_that_are_no_text_have_a_place() {
        let source = Source::from_bytes("f", b"a: 1\n\xc3\xa4: \xff");
        assert_eq!(source.text(), Err(NotText { line: 2, column: 4 }));
    }
}
