//! The three tables that are read: `show info`, `show servers state`, `show stat`.

use std::collections::HashMap;

use super::{WireError, excerpt};

/// What is read of `show info`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// `Version`, without what a distribution appends.
    pub version: String,
    /// `Pid`.
    pub pid: u32,
    /// `Uptime_sec`.
    pub uptime_secs: u64,
    /// `Nbthread`, if there.
    pub threads: Option<u32>,
}

impl Info {
    /// Reads the answer to `show info`.
    ///
    /// # Errors
    /// When a line that is needed is missing or is not a number.
    pub fn parse(text: &str) -> Result<Self, WireError> {
        let lines: HashMap<&str, &str> = text
            .lines()
            .filter_map(|line| line.split_once(": "))
            .collect();
        let missing = |what: &str| answer("show info", what, text);
        let version = lines.get("Version").ok_or_else(|| missing("`Version`"))?;
        let number = |key: &str| lines.get(key).and_then(|value| value.parse::<u64>().ok());
        let small = |key: &str| number(key).and_then(|value| u32::try_from(value).ok());
        Ok(Self {
            version: upstream(version).to_owned(),
            pid: small("Pid").ok_or_else(|| missing("`Pid`"))?,
            uptime_secs: number("Uptime_sec").ok_or_else(|| missing("`Uptime_sec`"))?,
            threads: small("Nbthread"),
        })
    }
}

/// `2.6.12` of `2.6.12-1+deb12u4`.
fn upstream(version: &str) -> &str {
    let end = version.find(|c: char| !c.is_ascii_digit() && c != '.');
    match end {
        Some(end) if end > 0 => &version[..end],
        _ => version,
    }
}

/// `show servers state`, format 1: one row for each server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerStates {
    /// Its rows.
    pub rows: Vec<Row>,
}

/// `show stat` in CSV.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Its rows.
    pub rows: Vec<Row>,
}

/// One row of a table, by the names of its columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row(HashMap<String, String>);

impl Row {
    /// The text in `column`; empty if there is none.
    pub fn get(&self, column: &str) -> &str {
        self.0.get(column).map_or("", String::as_str)
    }

    /// The number in `column`.
    pub fn number<T: std::str::FromStr>(&self, column: &str) -> Option<T> {
        self.get(column).parse().ok()
    }

    /// The back end (`pxname` of `show stat`).
    pub fn proxy(&self) -> &str {
        self.get("pxname")
    }
}

impl ServerStates {
    /// Reads the answer to `show servers state`.
    ///
    /// # Errors
    /// When it is not format 1, or a column is missing.
    pub fn parse(text: &str) -> Result<Self, WireError> {
        const COMMAND: &str = "show servers state";
        const NEEDED: [&str; 8] = [
            "be_name",
            "srv_name",
            "srv_addr",
            "srv_port",
            "srv_op_state",
            "srv_admin_state",
            "srv_uweight",
            "srv_check_state",
        ];
        let mut lines = text.lines().skip_while(|line| line.trim().is_empty());
        if lines.next().map(str::trim) != Some("1") {
            return Err(answer(COMMAND, "format number 1", text));
        }
        let header: Vec<&str> = lines
            .next()
            .and_then(|line| line.strip_prefix("# "))
            .ok_or_else(|| answer(COMMAND, "header", text))?
            .split_ascii_whitespace()
            .collect();
        require(COMMAND, &NEEDED, |column| header.contains(&column), text)?;
        let rows = lines
            .filter(|line| !line.trim().is_empty())
            .map(|line| row(header.iter().copied(), line.split_ascii_whitespace()))
            .collect();
        Ok(Self { rows })
    }
}

impl Stats {
    /// Reads the answer to `show stat`.
    ///
    /// # Errors
    /// When it is not CSV, or a column is missing.
    pub fn parse(text: &str) -> Result<Self, WireError> {
        const COMMAND: &str = "show stat";
        const NEEDED: [&str; 6] = ["pxname", "svname", "qcur", "scur", "status", "check_status"];
        let table = text
            .trim_start()
            .strip_prefix("# ")
            .ok_or_else(|| answer(COMMAND, "header", text))?;
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .from_reader(table.as_bytes());
        let broken = |error: csv::Error| answer(COMMAND, &format!("CSV ({error})"), text);
        let header = reader.headers().map_err(broken)?.clone();
        require(
            COMMAND,
            &NEEDED,
            |column| header.iter().any(|name| name == column),
            text,
        )?;
        let rows = reader
            .records()
            .map(|record| Ok(row(header.iter(), record.map_err(broken)?.iter())))
            .collect::<Result<_, _>>()?;
        Ok(Self { rows })
    }
}

fn row<'a>(header: impl Iterator<Item = &'a str>, values: impl Iterator<Item = &'a str>) -> Row {
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    Row(header.zip(values).map(owned).collect())
}

fn require(
    command: &'static str,
    needed: &[&str],
    has: impl Fn(&str) -> bool,
    text: &str,
) -> Result<(), WireError> {
    match needed.iter().find(|column| !has(column)) {
        None => Ok(()),
        Some(column) => Err(answer(command, &format!("column `{column}`"), text)),
    }
}

fn answer(command: &'static str, missing: &str, text: &str) -> WireError {
    WireError::Answer {
        command,
        missing: missing.to_owned(),
        text: excerpt(text),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const INFO: &str = include_str!("../../../../tests/wire/haproxy-2.6-info.txt");

    #[test]
    fn the_version_loses_what_a_distribution_appends() {
        assert_eq!(
            Info::parse(INFO).map(|info| info.version).as_deref(),
            Ok("2.6.12")
        );
        assert_eq!(upstream("3.4-dev3"), "3.4");
        assert_eq!(upstream("unknown"), "unknown");
    }

    #[test]
    fn columns_are_found_by_name_wherever_they_stand() {
        let text = "1\n# new srv_name be_name srv_addr srv_port srv_op_state srv_admin_state \
                    srv_uweight srv_check_state\nx s b 10.0.0.1 80 2 0 5 6\n";
        let states = ServerStates::parse(text).expect("a table");
        assert_eq!(states.rows[0].get("srv_name"), "s");
        assert_eq!(states.rows[0].number("srv_uweight"), Some(5_u16));
    }

    #[test]
    fn what_lacks_a_column_is_refused_with_its_name() {
        let error = Stats::parse("# pxname,svname,scur\na,b,0\n").expect_err("no qcur");
        assert!(error.to_string().contains("column `qcur`"), "{error}");
        let error = ServerStates::parse("2\n# x\n").expect_err("format 2");
        assert!(error.to_string().contains("format number 1"), "{error}");
        let error = Info::parse("[3]: Permission denied\n").expect_err("a refusal");
        assert!(error.to_string().contains("Permission denied"), "{error}");
    }

    #[test]
    fn quoted_fields_may_hold_commas() {
        let text = "# pxname,svname,qcur,scur,status,last_chk,check_status\nb,s,0,1,UP,\"a, \"\"b\"\"\",L7OK\n";
        let stats = Stats::parse(text).expect("a table");
        assert_eq!(stats.rows[0].get("last_chk"), "a, \"b\"");
        assert_eq!(stats.rows[0].get("check_status"), "L7OK");
    }

    proptest! {
        #[test]
        fn no_text_makes_a_parser_panic(text in "(?s).{0,400}") {
            let _ = Info::parse(&text);
            let _ = ServerStates::parse(&text);
            let _ = ServerStates::parse(&format!("1\n# {text}"));
            let _ = Stats::parse(&text);
            let _ = Stats::parse(&format!("# pxname,svname,qcur,scur,status,check_status\n{text}"));
            let _ = super::super::Replies::split(&text, 3);
        }
    }
}
