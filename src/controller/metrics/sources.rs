//! What is measured of GitOps sources.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::api::Commit;
use crate::gitops::SourceReport;

/// The metrics of all sources.
#[derive(Debug)]
pub(super) struct Sources {
    info: Family<InfoLabels, Gauge>,
    last_success: Family<SourceLabels, Gauge>,
    invalid: Family<SourceLabels, Gauge>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct InfoLabels {
    source: String,
    commit: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct SourceLabels {
    source: String,
}

impl Sources {
    pub fn new(registry: &mut Registry) -> Self {
        let sources = Self {
            info: Family::default(),
            last_success: Family::default(),
            invalid: Family::default(),
        };
        registry.register(
            "source_info",
            "1 for the commit of each GitOps source that is in force",
            sources.info.clone(),
        );
        registry.register(
            "source_last_success_timestamp_seconds",
            "When each GitOps source was last read",
            sources.last_success.clone(),
        );
        registry.register(
            "source_invalid_manifests",
            "How many manifests of each GitOps source are invalid",
            sources.invalid.clone(),
        );
        sources
    }

    /// Notes the state of every source; one that is gone leaves no trace.
    pub fn note(&self, reports: &[SourceReport]) {
        self.info.clear();
        self.last_success.clear();
        self.invalid.clear();
        for report in reports {
            let source = report.name.to_string();
            let labels = SourceLabels {
                source: source.clone(),
            };
            if let Some(at) = report.read_at {
                self.last_success.get_or_create(&labels).set(at.as_second());
            }
            let Some(status) = &report.status else {
                continue;
            };
            let commit = status.commit.as_ref().map(Commit::to_string);
            let commit = commit.unwrap_or_default();
            self.info
                .get_or_create(&InfoLabels { source, commit })
                .set(1);
            let invalid = self.invalid.get_or_create(&labels);
            invalid.set(i64::from(status.invalid));
        }
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;

    #[test]
    fn who_stands_by_tells_when_it_read_a_source_and_nothing_of_what_became_of_it() {
        let mut registry = Registry::default();
        let sources = Sources::new(&mut registry);
        sources.note(&[SourceReport {
            name: "main".parse().expect("a name"),
            read_at: Some(jiff::Timestamp::UNIX_EPOCH),
            status: None,
        }]);
        let mut text = String::new();
        encode(&mut text, &registry).expect("text");
        assert!(
            text.contains("source_last_success_timestamp_seconds{source=\"main\"}"),
            "{text}"
        );
        assert!(
            !text.contains("source_info{") && !text.contains("source_invalid_manifests{"),
            "{text}"
        );
    }
}
