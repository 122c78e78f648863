//! What a preflight check learns of an instance.
//!
//! The runtime API does not tell whether `option redispatch`, `retries` or `hard-stop-after` are
//! set: whether they are is for a person to check in haproxy.cfg.

use std::collections::BTreeMap;
use std::fmt;

use super::wire::{self, WireError};

/// What may be done by a `stats socket` (HAProxy manual, section 3.1, `stats socket … level`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ApiLevel {
    /// Only looks, and not at everything.
    User,
    /// Looks, and changes without consequence for the traffic.
    Operator,
    /// Everything; what a rollout needs.
    Admin,
}

impl fmt::Display for ApiLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::User => "user",
            Self::Operator => "operator",
            Self::Admin => "admin",
        })
    }
}

/// One instance, as far as a preflight check can see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// Its version, such as `2.6.12`.
    pub version: String,
    /// What its socket allows.
    pub level: ApiLevel,
    /// Its process id.
    pub pid: u32,
    /// How long it has run, in seconds.
    pub uptime_secs: u64,
    /// How many threads it has; none if it does not tell.
    pub threads: Option<u32>,
    /// Its back ends, by name.
    pub backends: BTreeMap<String, ProxyBackend>,
}

/// One `backend` section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyBackend {
    /// `http`, `tcp`, …
    pub mode: String,
    /// How it balances; none if the socket's level does not tell (`user`).
    pub balance: Option<Balance>,
    /// Requests since the process began (`stot`).
    pub total: u64,
    /// Requests that are open (`scur`).
    pub open: u64,
    /// How many seconds ago the last request came (`lastsess`); none if there was none yet.
    pub last_request_secs: Option<u64>,
}

/// A back end's `balance` algorithm, by what it means for weighted traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Balance {
    /// Shares follow the weights exactly (`roundrobin`) or closely (`leastconn`, `random`).
    Weighted(String),
    /// A hash of the request chooses: servers can be added only with `hash-type consistent`, and
    /// shares are right only over many different keys.
    Hashed(String),
    /// Weights are not heeded (`first`), or no servers can be added (`static-rr`).
    Unfit(String),
}

impl Balance {
    /// The algorithm as `show stat` calls it.
    pub fn new(algorithm: &str) -> Self {
        let algorithm = algorithm.to_owned();
        match algorithm.as_str() {
            "roundrobin" | "leastconn" | "random" => Self::Weighted(algorithm),
            "first" | "static-rr" => Self::Unfit(algorithm),
            _ => Self::Hashed(algorithm),
        }
    }
}

impl Inspection {
    /// Whether its version has dynamic servers with checks: 2.6 or later. A version that cannot be
    /// read is taken for an old one.
    pub fn has_dynamic_servers(&self) -> bool {
        let mut parts = self.version.split('.').map(str::parse::<u32>);
        let (Some(Ok(major)), Some(Ok(minor))) = (parts.next(), parts.next()) else {
            return false;
        };
        (major, minor) >= (2, 6)
    }

    pub(super) fn read(level: ApiLevel, info: &str, stats: &str) -> Result<Self, WireError> {
        let info = wire::Info::parse(info)?;
        let backends = wire::Stats::parse(stats)?
            .rows
            .into_iter()
            .map(|row| {
                let backend = ProxyBackend {
                    balance: Some(row.get("algo"))
                        .filter(|algorithm| !algorithm.is_empty())
                        .map(Balance::new),
                    mode: row.get("mode").to_owned(),
                    total: row.number("stot").unwrap_or(0),
                    open: row.number("scur").unwrap_or(0),
                    // -1 says that there was none.
                    last_request_secs: row.number("lastsess"),
                };
                (row.proxy().to_owned(), backend)
            })
            .collect();
        Ok(Self {
            version: info.version,
            level,
            pid: info.pid,
            uptime_secs: info.uptime_secs,
            threads: info.threads,
            backends,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: &str = include_str!("../../../tests/wire/haproxy-2.6-info.txt");
    const BACKENDS: &str = include_str!("../../../tests/wire/haproxy-2.6-backends.txt");

    fn inspected(info: &str) -> Inspection {
        Inspection::read(ApiLevel::Admin, info, BACKENDS).expect("what a real HAProxy said")
    }

    #[test]
    fn a_back_end_says_how_it_balances() {
        let backends = inspected(INFO).backends;
        assert_eq!(backends["web"].mode, "http");
        assert_eq!(backends["web"].open, 0);
        let balance = |name: &str| backends[name].balance.clone();
        assert_eq!(balance("web"), Some(Balance::Weighted("roundrobin".into())));
        assert_eq!(balance("sta"), Some(Balance::Hashed("source".into())));
        assert_eq!(
            Balance::new("static-rr"),
            Balance::Unfit("static-rr".into())
        );
    }

    /// The real answer is from before the first request; the other one is made from it.
    #[test]
    fn a_back_end_says_when_it_was_last_asked() {
        let asked = |stats: &str| {
            let inspection = Inspection::read(ApiLevel::Admin, INFO, stats);
            inspection.expect("an answer").backends["web"].last_request_secs
        };
        assert_eq!(asked(BACKENDS), None);
        let served: String = BACKENDS
            .lines()
            .map(|line| line.replace(",-1,", ",17,") + "\n")
            .collect();
        assert_eq!(asked(&served), Some(17));
    }

    #[test]
    fn versions_before_2_6_lack_dynamic_servers() {
        for (version, has) in [
            ("2.6.12-1+deb12u4", true),
            ("3.0.5", true),
            ("2.10.0", true),
            ("2.5.9", false),
            ("1.9.0", false),
            ("x", false),
        ] {
            let info = INFO.replace("2.6.12-1+deb12u4", version);
            assert_eq!(inspected(&info).has_dynamic_servers(), has, "{version}");
        }
    }
}
