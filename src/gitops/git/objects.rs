//! What `git ls-tree` and `git cat-file` print: pure text to types.

/// One line of `git ls-tree -r -z -l`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub form: Form,
    pub id: String,
    /// In bytes; 0 of what has none, as a submodule.
    pub size: u64,
    /// From the tree that was listed. What of it is not UTF-8 is replaced by U+FFFD.
    pub path: String,
}

/// What stands in a tree. All but files may hide others: whole folders of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A file.
    File,
    /// A file whose path is not UTF-8.
    Misnamed,
    /// A symbolic link.
    Link,
    /// A commit of another repository.
    Submodule,
}

/// Reads a list.
pub(super) fn entries(text: &[u8]) -> Vec<Entry> {
    text.split(|byte| *byte == 0).filter_map(entry).collect()
}

fn entry(line: &[u8]) -> Option<Entry> {
    let tab = line.iter().position(|byte| *byte == b'\t')?;
    let (facts, path) = (std::str::from_utf8(&line[..tab]).ok()?, &line[tab + 1..]);
    let mut facts = facts.split_ascii_whitespace();
    let (mode, kind, id, size) = (facts.next()?, facts.next()?, facts.next()?, facts.next()?);
    let form = match (kind, mode) {
        ("commit", _) => Form::Submodule,
        ("blob", "120000") => Form::Link,
        ("blob", _) if std::str::from_utf8(path).is_err() => Form::Misnamed,
        ("blob", _) => Form::File,
        _ => return None,
    };
    Some(Entry {
        form,
        id: id.to_owned(),
        size: size.parse().unwrap_or_default(),
        path: String::from_utf8_lossy(path).into_owned(),
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
    fn a_tree_is_read_with_what_may_hide_manifests() {
        let text = b"100644 blob aa11     12\tweb.yaml\x00160000 commit bb22       -\tlib\x00120000 blob cc33       3\tteam\x00100644 blob dd44      12\tt\xffm/web.yaml\0";
        let read = entries(text);
        let told: Vec<_> = read
            .iter()
            .map(|entry| (entry.path.as_str(), entry.form, entry.size))
            .collect();
        assert_eq!(
            told,
            [
                ("web.yaml", Form::File, 12),
                ("lib", Form::Submodule, 0),
                ("team", Form::Link, 3),
                ("t\u{fffd}m/web.yaml", Form::Misnamed, 12),
            ]
        );
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
