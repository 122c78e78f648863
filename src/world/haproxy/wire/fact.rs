//! Tables to facts: what HAProxy's numbers mean.

use std::collections::{BTreeMap, HashMap};

use super::{Info, Row, ServerStates, Stats, WireError, excerpt};
use crate::api::ServerWeight;
use crate::snapshot::{AdminState, CheckState, Endpoint, OperationalState, ProxyFact, ServerFact};

/// The `type` of a back end's row (management guide, section 9.1, field 32).
const BACKEND_TYPE: &str = "1";

/// The fact that the answers to `show info`, `show servers state` and `show stat` make together.
///
/// A server that only one of the tables shows came or went in between, and is left out.
///
/// # Errors
/// When an answer is not what the management guide says.
pub fn proxy_fact(info: &str, state: &str, counters: &str) -> Result<ProxyFact, WireError> {
    let info = Info::parse(info)?;
    let table = ServerStates::parse(state)?;
    let measured = Stats::parse(counters)?;
    let counters: HashMap<_, _> = measured
        .rows
        .iter()
        .map(|row| ((row.proxy(), row.get("svname")), row))
        .collect();
    // A back end without servers stands in `show stat` only.
    let mut backends: BTreeMap<String, BTreeMap<String, ServerFact>> = measured
        .rows
        .iter()
        .filter(|row| row.get("type") == BACKEND_TYPE)
        .map(|row| (row.proxy().to_owned(), BTreeMap::new()))
        .collect();
    for state in &table.rows {
        let key = (state.get("be_name"), state.get("srv_name"));
        if let Some(counters) = counters.get(&key) {
            let server = server_fact(state, counters)?;
            backends
                .entry(key.0.to_owned())
                .or_default()
                .insert(key.1.to_owned(), server);
        }
    }
    Ok(ProxyFact {
        pid: info.pid,
        uptime_secs: info.uptime_secs,
        version: info.version,
        backends,
    })
}

fn server_fact(state: &Row, counters: &Row) -> Result<ServerFact, WireError> {
    Ok(ServerFact {
        endpoint: endpoint(state),
        admin: admin(number("show servers state", state, "srv_admin_state")?),
        operational: operational(state)?,
        unchanged_secs: unchanged_secs(state)?,
        check: check(state, counters)?,
        weight: ServerWeight::new(number("show servers state", state, "srv_uweight")?),
        sessions: number::<u32>("show stat", counters, "scur")?.saturating_add(number(
            "show stat",
            counters,
            "qcur",
        )?),
    })
}

/// A server may be known by a name that is not resolved, or be reached through a socket.
fn endpoint(state: &Row) -> Option<Endpoint> {
    Some(Endpoint {
        address: state.number("srv_addr")?,
        port: state.number("srv_port").filter(|port| *port != 0)?,
    })
}

/// The bits of `srv_admin_state`. 0x04 (by the configuration) and 0x40 (the name was set by the
/// API) tell of the past and take no server out.
fn admin(mask: u32) -> AdminState {
    const FORCED_MAINTENANCE: u32 = 0x01;
    const INHERITED_MAINTENANCE: u32 = 0x02;
    const FORCED_DRAIN: u32 = 0x08;
    const INHERITED_DRAIN: u32 = 0x10;
    const UNRESOLVED: u32 = 0x20;
    if mask & (FORCED_MAINTENANCE | INHERITED_MAINTENANCE | UNRESOLVED) != 0 {
        AdminState::Maintenance
    } else if mask & (FORCED_DRAIN | INHERITED_DRAIN) != 0 {
        AdminState::Drain
    } else {
        AdminState::Ready
    }
}

fn operational(state: &Row) -> Result<OperationalState, WireError> {
    match state.get("srv_op_state") {
        "0" => Ok(OperationalState::Stopped),
        "1" => Ok(OperationalState::Starting),
        "2" => Ok(OperationalState::Running),
        "3" => Ok(OperationalState::Stopping),
        other => Err(strange("show servers state", "srv_op_state", other)),
    }
}

/// A signed difference of two times: out of range is as near as may be.
fn unchanged_secs(state: &Row) -> Result<u32, WireError> {
    let seconds: i64 = number("show servers state", state, "srv_time_since_last_change")?;
    Ok(u32::try_from(seconds.max(0)).unwrap_or(u32::MAX))
}

/// Whether the check is enabled is told by `srv_check_state`, its last result by `check_status`.
fn check(state: &Row, counters: &Row) -> Result<CheckState, WireError> {
    const ENABLED: u32 = 0x04;
    let mask: u32 = number("show servers state", state, "srv_check_state")?;
    if mask & ENABLED == 0 {
        return Ok(CheckState::Disabled);
    }
    // A star says that the next check is under way.
    let last = counters.get("check_status").trim_start_matches("* ");
    Ok(match last {
        "L4OK" | "L6OK" | "L7OK" | "L7OKC" if is_stale(counters) => CheckState::Pending,
        "L4OK" | "L6OK" | "L7OK" | "L7OKC" => CheckState::Passed,
        // Nothing yet; in maintenance the column is empty.
        "" | "UNK" | "INI" | "CHECKED" => CheckState::Pending,
        _ => CheckState::Failed,
    })
}

/// Whether a passed check is from before the server was last enabled.
///
/// A server that comes out of maintenance keeps the result of its last check, and its health is set
/// to `rise`, from which one failed check takes it down. A check that passes lifts it above
/// `rise`, unless `fall` is 1 (measured on 2.6.12; `srv_set_running` and `check_notify_success`).
fn is_stale(counters: &Row) -> bool {
    let number = |column| counters.number::<u32>(column);
    match (
        number("check_health"),
        number("check_rise"),
        number("check_fall"),
    ) {
        (Some(health), Some(rise), Some(fall)) => fall > 1 && health == rise,
        _ => false,
    }
}

fn number<T: std::str::FromStr>(
    command: &'static str,
    row: &Row,
    column: &str,
) -> Result<T, WireError> {
    row.number(column)
        .ok_or_else(|| strange(command, column, row.get(column)))
}

fn strange(command: &'static str, column: &str, text: &str) -> WireError {
    WireError::Answer {
        command,
        missing: format!("known value in column `{column}`"),
        text: excerpt(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use {AdminState as A, CheckState as C, OperationalState as O};

    const INFO: &str = include_str!("../../../../tests/wire/haproxy-2.6-info.txt");
    const STATE: &str = include_str!("../../../../tests/wire/haproxy-2.6-state.txt");
    const STAT: &str = include_str!("../../../../tests/wire/haproxy-2.6-stat.txt");

    fn fact() -> ProxyFact {
        proxy_fact(INFO, STATE, STAT).expect("what a real HAProxy said")
    }

    fn server(slot: u32) -> ServerFact {
        let name = format!("0123456789.{slot}.abcdefghijkl");
        fact().backends["web"][&name].clone()
    }

    #[test]
    fn a_real_answer_becomes_facts() {
        let fact = fact();
        assert_eq!(fact.version, "2.6.12");
        assert_ne!(fact.pid, 0);
        assert_eq!(fact.backends["web"].len(), 7);
        assert!(fact.backends["odd"].contains_key("foreign"));
        let first = server(1);
        assert_eq!(
            first,
            ServerFact {
                endpoint: Some(Endpoint {
                    address: [127, 0, 0, 1].into(),
                    port: 18101
                }),
                admin: AdminState::Ready,
                operational: OperationalState::Running,
                unchanged_secs: 2,
                check: CheckState::Passed,
                weight: ServerWeight::new(7),
                sessions: 0,
            }
        );
        let sixth = server(7).endpoint.map(|endpoint| endpoint.address);
        assert_eq!(sixth, "::1".parse().ok());
    }

    #[test]
    fn states_are_told_apart() {
        let states = |slot| {
            let server = server(slot);
            (server.admin, server.operational, server.check)
        };
        assert_eq!(states(2), (A::Ready, O::Running, C::Passed));
        assert_eq!(states(3), (A::Ready, O::Stopped, C::Failed));
        assert_eq!(states(4), (A::Drain, O::Running, C::Passed));
        assert_eq!(states(5), (A::Maintenance, O::Stopped, C::Pending));
        // Added, but neither the server nor its check is enabled.
        assert_eq!(states(6), (A::Maintenance, O::Stopped, C::Disabled));
        // Enabled just now: HAProxy already calls it up.
        assert_eq!(states(7), (A::Ready, O::Running, C::Pending));
    }

    #[test]
    fn the_administrative_mask_counts_only_what_takes_a_server_out() {
        for (mask, state) in [
            (0x00, AdminState::Ready),
            (0x04, AdminState::Ready),
            (0x40, AdminState::Ready),
            (0x08, AdminState::Drain),
            (0x10, AdminState::Drain),
            (0x01, AdminState::Maintenance),
            (0x02, AdminState::Maintenance),
            (0x20, AdminState::Maintenance),
            (0x09, AdminState::Maintenance),
        ] {
            assert_eq!(admin(mask), state, "{mask:#x}");
        }
    }

    #[test]
    fn a_pass_from_before_the_server_was_enabled_does_not_count() {
        let check_with = |health: &str, status: &str| {
            let stat = format!(
                "# pxname,svname,qcur,scur,status,check_status,check_rise,check_fall,check_health\n\
                 b,s,0,0,UP,{status},1,2,{health}\n"
            );
            let state = "1\n# be_name srv_name srv_addr srv_port srv_op_state srv_admin_state \
                         srv_uweight srv_check_state srv_time_since_last_change\n\
                         b s 10.0.0.1 80 2 0 1 6 9\n";
            let fact = proxy_fact(INFO, state, &stat).expect("tables");
            fact.backends["b"]["s"].check
        };
        assert_eq!(check_with("1", "L7OK"), CheckState::Pending);
        assert_eq!(check_with("2", "L7OK"), CheckState::Passed);
        assert_eq!(check_with("2", "* L7OK"), CheckState::Passed);
        assert_eq!(check_with("1", "L4CON"), CheckState::Failed);
        assert_eq!(check_with("0", "L7TOUT"), CheckState::Failed);
    }

    #[test]
    fn a_server_that_went_in_between_is_left_out() {
        let header = STAT.lines().find(|line| line.starts_with('#'));
        let fact = proxy_fact(INFO, STATE, header.expect("a header")).expect("tables");
        assert!(fact.backends.is_empty());
    }
}
