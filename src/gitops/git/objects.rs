//! What `git ls-tree` and `git cat-file` print: pure text to types.

/// One line of `git ls-tree -r -z -l`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub mode: String,
    pub id: String,
    pub size: u64,
    /// From the tree that was listed.
    pub path: String,
}

impl Entry {
    /// Whether it is a file and no link.
    pub fn is_file(&self) -> bool {
        self.mode.starts_with("100")
    }
}

/// Reads a list: what is no blob (a submodule) or has no name in UTF-8 is passed over.
pub(super) fn entries(text: &[u8]) -> Vec<Entry> {
    text.split(|byte| *byte == 0).filter_map(entry).collect()
}

fn entry(line: &[u8]) -> Option<Entry> {
    let line = std::str::from_utf8(line).ok()?;
    let (facts, path) = line.split_once('\t')?;
    let mut facts = facts.split_ascii_whitespace();
    let (mode, kind, id, size) = (facts.next()?, facts.next()?, facts.next()?, facts.next()?);
    (kind == "blob").then_some(())?;
    Some(Entry {
        mode: mode.to_owned(),
        id: id.to_owned(),
        size: size.parse().ok()?,
        path: path.to_owned(),
    })
}

/// Reads what `git cat-file --batch` says of `count` blobs; nothing if it is anything else.
pub(super) fn blobs(mut text: &[u8], count: usize) -> Option<Vec<Vec<u8>>> {
    let mut blobs = Vec::with_capacity(count);
    for _ in 0..count {
        let end = text.iter().position(|byte| *byte == b'\n')?;
        let head = std::str::from_utf8(&text[..end]).ok()?;
        let mut words = head.split(' ').skip(1);
        (words.next()? == "blob").then_some(())?;
        let size: usize = words.next()?.parse().ok()?;
        let begin = end + 1;
        blobs.push(text.get(begin..begin + size)?.to_vec());
        text = text.get(begin + size + 1..)?;
    }
    text.is_empty().then_some(blobs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_read() {
        let text = b"100644 blob aa11     12\tweb.yaml\x00160000 commit bb22       -\tlib\x00120000 blob cc33       3\tl.yaml\0";
        let read = entries(text);
        assert_eq!(read.len(), 2);
        assert_eq!(
            (read[0].path.as_str(), read[0].size, read[0].is_file()),
            ("web.yaml", 12, true)
        );
        assert!(!read[1].is_file());
    }

    #[test]
    fn blobs_are_read_whole_or_not_at_all() {
        let text = b"aa blob 3\na\nb\nbb blob 0\n\n";
        assert_eq!(blobs(text, 2), Some(vec![b"a\nb".to_vec(), Vec::new()]));
        assert_eq!(blobs(&text[..8], 1), None);
        assert_eq!(blobs(b"aa missing\n", 1), None);
        assert_eq!(blobs(text, 1), None);
    }
}
