//! Rules for load balancers.

use super::super::diagnostic::Findings;
use super::super::node::Node;
use super::super::words::quoted;
use super::repeated;

pub(super) fn check(spec: &Node<'_>, findings: &mut Findings) {
    let instances = spec.at(&["haproxy", "instances"]).items();
    for field in ["name", "address"] {
        for (first, item) in repeated(&instances, |item| item.get(field).text()) {
            findings.error(
                &item.get(field).path,
                format!("instance {first} has the same {field}"),
                match field {
                    "name" => "give each instance a name of its own",
                    _ => "name each HAProxy process once",
                },
            );
        }
    }
    for item in &instances {
        port(&item.get("address"), findings);
    }
}

fn port(address: &Node<'_>, findings: &mut Findings) {
    let Some(rest) = address.text().and_then(|text| text.strip_prefix("tcp://")) else {
        return;
    };
    let Some((_, port)) = rest.rsplit_once(':') else {
        return;
    };
    let all_digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    if all_digits && !port.parse::<u16>().is_ok_and(|port| port > 0) {
        findings.error(
            &address.path,
            format!("{} is not a port", quoted(port)),
            "write a port from 1 to 65535",
        );
    }
}
