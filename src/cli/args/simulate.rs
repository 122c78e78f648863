//! Arguments of `rolloutctl simulate`.

use std::path::PathBuf;

use clap::Args;

use super::{EditArgs, Report};
use crate::api::{Duration, Name};
use crate::trial::rehearsal::{Gauge, Latency};

/// Arguments of `rolloutctl simulate`.
#[derive(Debug, Args)]
pub struct SimulateArgs {
    /// A file, a directory (read with all below it) or `-` for standard input; may be repeated
    #[arg(short = 'f', long = "filename", value_name = "FILE|DIR|-")]
    pub files: Vec<PathBuf>,
    #[command(flatten)]
    pub edits: EditArgs,
    /// Which rollout, if there are several in the files
    #[arg(long, value_name = "NAME")]
    pub rollout: Option<Name>,
    /// The part of its requests that the new version answers with 5xx, as 0.05 or 5%
    #[arg(long, value_name = "RATE", default_value = "0.001", value_parser = part)]
    pub canary_error_rate: f64,
    /// The same for the version that serves before
    #[arg(long, value_name = "RATE", default_value = "0.001", value_parser = part)]
    pub stable_error_rate: f64,
    /// How long the new version's requests take: all of them, or the median and the 99th percentile
    #[arg(long, value_name = "TIME[/TIME]", default_value = "30ms/150ms")]
    pub latency: Latency,
    /// The same for the version that serves before
    #[arg(long, value_name = "TIME[/TIME]", default_value = "30ms/150ms")]
    pub stable_latency: Latency,
    /// Requests per second, over all HAProxies
    #[arg(long, value_name = "NUMBER", default_value = "100", value_parser = rate)]
    pub rps: f64,
    /// What a metric measures, instead of asking its query: a number (0.003), one that scatters (0.003±0.001, or
    /// 0.003+-0.001) or `no-data`; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = metric)]
    pub metric: Vec<(Name, Gauge)>,
    /// What goes wrong, and when in time since the new version is applied; at a time that the seed chooses if none
    /// is given; may be repeated. `help` lists all
    #[arg(long, value_name = "NAME[=TIME[..TIME]]")]
    pub fault: Vec<String>,
    /// Approve where a stage asks for it, so long after it does; without this a run ends there
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, default_missing_value = "0s")]
    pub approve: Option<Duration>,
    /// How long a run may take in virtual time; if absent, what its stages may take by their bake times and
    /// deadlines, and ten minutes
    #[arg(long, value_name = "TIME")]
    pub limit: Option<Duration>,
    /// Where chance begins: the same seed plays the same again. Drawn and printed if absent
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(..1 << 53))]
    pub seed: Option<u64>,
    /// How many runs; the first has the seed, and each other one the next seed
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub runs: u64,
    /// Print what came out as JSON
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub output: Option<Report>,
}

/// A part of a whole, from 0 to 1.
fn part(text: &str) -> Result<f64, String> {
    let (number, whole) = text
        .strip_suffix('%')
        .map_or((text, 1.0), |number| (number.trim(), 100.0));
    let part: Option<f64> = number.parse().ok().map(|number: f64| number / whole);
    part.filter(|part| (0.0..=1.0).contains(part))
        .ok_or_else(|| {
            "write a part of the requests, from 0 to 1, or in percent, as in `5%`".to_owned()
        })
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: Option<f64> = text.parse().ok();
    rate.filter(|rate| (0.0..=1e6).contains(rate))
        .ok_or_else(|| "write a number from 0 to 1000000".to_owned())
}

fn metric(text: &str) -> Result<(Name, Gauge), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or("write NAME=VALUE, as in `error-ratio=0.003`")?;
    let name = name.parse().map_err(|error| format!("{error}"))?;
    let gauge = value.parse().map_err(|error| format!("{error}"))?;
    Ok((name, gauge))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_numbers_or_percent() {
        for (text, wanted) in [
            ("0", 0.0),
            ("0.05", 0.05),
            ("5%", 0.05),
            ("0.1 %", 0.001),
            ("1", 1.0),
        ] {
            let found = part(text).expect(text);
            assert!((found - wanted).abs() < 1e-12, "{text}: {found}");
        }
        for text in ["", "5", "-0.1", "101%", "NaN", "x"] {
            assert!(part(text).is_err(), "{text}");
        }
    }
}
