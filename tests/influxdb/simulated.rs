//! The simulation's queries beside a real InfluxDB's: the same points, the same texts, the same outcomes.

use rolloutctl::influxql;
use rolloutctl::sim::point::{Code, Latency, Point};
use rolloutctl::sim::query::Query;
use rolloutctl::sim::query::field::{Field, Tag};
use rolloutctl::snapshot::SampleOutcome;
use rolloutctl::world::influxdb::InfluxDb;

use super::server::Server;
use super::{START, question, source};

/// What both are asked, by placeholders as people write them. The window is two seconds long.
const QUERIES: &[&str] = &[
    // Sums, ratios, and what is not there.
    "SELECT sum(requests) FROM haproxy WHERE {{ window }}",
    "SELECT sum(\"errors\") / sum(\"requests\") FROM \"haproxy\" WHERE \"backend\" = '{{ backend }}' AND \"revision\" = '{{ canary }}' AND {{ window }}",
    "SELECT sum(errors) / sum(requests) FROM haproxy WHERE revision = 'unseen' AND {{ window }}",
    "SELECT count(requests) FROM haproxy WHERE revision = 'unseen' AND {{ window }} fill(0)",
    "SELECT sum(errors) / sum(requests) FROM haproxy WHERE code = 'none' AND {{ window }}",
    "SELECT sum(ta_le_250) / sum(ta_count) FROM haproxy WHERE {{ window }}",
    "SELECT sum(bytes) / sum(requests) / 1024 FROM haproxy WHERE {{ window }}",
    "SELECT sum(requests) / 0 FROM haproxy WHERE {{ window }}",
    "SELECT sum(requests) + sum(tr_p99) FROM haproxy WHERE code = '5xx' AND {{ window }}",
    "SELECT sum(requests) + count(tr_p99) FROM haproxy WHERE code = '5xx' AND {{ window }}",
    "SELECT sum(requests) + sum(tr_p99) FROM haproxy WHERE code = '5xx' AND {{ window }} fill(5)",
    "SELECT sum(requests) + count(tr_p99) FROM haproxy WHERE code = '5xx' AND {{ window }} fill(0.7)",
    "SELECT sum(requests) + sum(tr_p99) FROM haproxy WHERE code = '5xx' AND {{ window }} fill(none)",
    // Functions. Of values of one instant InfluxDB takes any for the first or last one.
    "SELECT mean(ta_p99) FROM haproxy WHERE {{ window }}",
    "SELECT max(ta_max) FROM haproxy WHERE {{ window }}",
    "SELECT min(ta_p50) FROM haproxy WHERE {{ window }}",
    "SELECT median(ta_p90) FROM haproxy WHERE {{ window }}",
    "SELECT median(ta_p90) FROM haproxy WHERE revision = '{{ canary }}' AND {{ window }}",
    "SELECT spread(requests) FROM haproxy WHERE {{ window }}",
    "SELECT first(requests) FROM haproxy WHERE code = '2xx' AND revision = '{{ canary }}' AND {{ window }}",
    "SELECT last(requests) FROM haproxy WHERE code = '2xx' AND revision = '{{ canary }}' AND {{ window }}",
    "SELECT percentile(requests, 50) FROM haproxy WHERE {{ window }}",
    "SELECT percentile(requests, 99.5) FROM haproxy WHERE {{ window }}",
    "SELECT percentile(requests, 1) FROM haproxy WHERE {{ window }}",
    "SELECT percentile(requests, 1) + sum(requests) FROM haproxy WHERE {{ window }}",
    "SELECT percentile(requests, 1) + sum(requests) FROM haproxy WHERE {{ window }} fill(3)",
    "SELECT count(tr_p99) FROM haproxy WHERE {{ window }}",
    "SELECT COUNT(nosuch) FROM haproxy WHERE {{ window }}",
    "SELECT max(active) - min(active) FROM haproxy WHERE {{ window }}",
    // Arithmetic.
    "SELECT (sum(requests) + 1) * -2 / 4 FROM haproxy WHERE {{ window }}",
    "SELECT sum(requests) - 1 - 2 * 3 FROM haproxy WHERE {{ window }}",
    "SELECT 7 / 2 * sum(requests) - -1 FROM haproxy WHERE {{ window }}",
    "SELECT 100.0 * sum(errors) / sum(requests) FROM haproxy WHERE {{ window }}",
    "SELECT 9223372036854775807 * sum(requests) FROM haproxy WHERE {{ window }}",
    "SELECT -(sum(requests)) + .5 FROM haproxy WHERE {{ window }}",
    // Where.
    "SELECT sum(requests) FROM haproxy WHERE code = '5xx' OR code = '2xx' AND revision = '{{ canary }}' AND {{ window }}",
    "SELECT sum(requests) FROM haproxy WHERE {{ window }} OR revision = '{{ canary }}'",
    "SELECT sum(requests) FROM haproxy WHERE (code = '5xx' OR code = 'none') AND {{ window }}",
    "SELECT sum(requests) FROM haproxy WHERE code != '2xx' AND revision <> '{{ canary }}' AND {{ window }}",
    "SELECT sum(requests) FROM haproxy WHERE code =~ /^[45]/ AND backend !~ /^a\\w+$/ AND {{ window }}",
    "SELECT sum(requests) FROM haproxy WHERE nosuch = '' AND 'web' = backend AND {{ window }}",
    "SELECT sum(requests) FROM haproxy WHERE nosuch != '' AND {{ window }}",
    "SELECT sum(requests) FROM haproxy WHERE requests > 5.5 AND {{ window }}",
    "SELECT sum(requests) FROM haproxy WHERE (errors >= 1 OR code = 'none') AND {{ window }}",
    "SELECT sum(requests) FROM haproxy WHERE tr_p99 != 1 AND {{ window }}",
    "SELECT sum(requests) FROM haproxy WHERE nosuch > 1 AND {{ window }}",
    "SELECT sum(requests) FROM haproxy WHERE time > 1700000000s AND {{ window }}",
    "SELECT sum(requests) FROM haproxy WHERE time <= '2023-11-14T22:13:20Z' AND {{ window }}",
    "SELECT sum(requests) FROM haproxy WHERE '2023-11-14 22:13:21' <= TIME AND {{ window }}",
    "SELECT sum(requests) FROM haproxy WHERE time >= '2023-11-14T23:13:22+01:00' - 1s AND {{ window }}",
    "SELECT sum(requests) FROM haproxy WHERE time = 1700000001000000000 AND {{ window }}",
    // Sources and shapes.
    "SELECT sum(requests) AS \"x y\" FROM \"autogen\".\"haproxy\" WHERE {{ window }};",
    "SELECT time, sum(requests) FROM rollouts..haproxy WHERE {{ window }} -- all",
    "SELECT sum(requests) FROM checkout WHERE {{ window }}",
    "SELECT sum(requests), sum(errors) FROM haproxy WHERE {{ window }}",
    "SELECT sum(requests), sum(errors) FROM haproxy WHERE revision = 'unseen' AND {{ window }}",
    "SELECT requests FROM haproxy WHERE {{ window }}",
    "SELECT requests / errors FROM haproxy WHERE code = '5xx' AND {{ window }}",
    "SELECT requests + tr_p99 FROM haproxy WHERE code = '5xx' AND {{ window }}",
    "SELECT sum(requests) FROM haproxy WHERE {{ window }} GROUP BY code",
    "SELECT sum(requests) FROM haproxy WHERE code = '5xx' AND {{ window }} GROUP BY code, backend",
    "SELECT sum(requests) FROM haproxy WHERE backend = 'web' AND {{ window }} GROUP BY nosuch",
    "SELECT sum(requests) FROM haproxy WHERE {{ window }} GROUP BY time(1s)",
    "SELECT sum(requests) FROM haproxy WHERE {{ window }} GROUP BY time(10s)",
    "SELECT sum(requests) FROM haproxy WHERE code = 'none' AND {{ window }} GROUP BY time(1s) fill(none)",
    "SELECT count(errors) FROM haproxy WHERE code = 'none' AND {{ window }} GROUP BY time(1s)",
    // Subqueries.
    "SELECT max(r) FROM (SELECT sum(errors) * 1.0 / sum(requests) AS r FROM haproxy WHERE {{ window }} GROUP BY time(1s))",
    "SELECT mean(r) FROM (SELECT sum(errors) * 1.0 / sum(requests) AS r FROM haproxy WHERE {{ window }} GROUP BY time(1s), revision)",
    "SELECT percentile(s, 90) FROM (SELECT sum(requests) AS s FROM haproxy WHERE {{ window }} GROUP BY time(1s), code) WHERE s > 1",
    "SELECT sum(s) FROM (SELECT sum(requests) AS s FROM haproxy WHERE code = 'none' AND {{ window }} GROUP BY time(500ms) fill(100))",
    "SELECT sum(s) FROM (SELECT sum(requests) AS s FROM haproxy WHERE code = 'none' AND {{ window }} GROUP BY time(500ms) fill(0.5))",
    "SELECT last(s) FROM (SELECT sum(requests) AS s FROM haproxy WHERE {{ window }} GROUP BY time(1s))",
    "SELECT sum(a) / sum(b) FROM (SELECT sum(errors) AS a, sum(requests) AS b FROM haproxy WHERE {{ window }} GROUP BY time(1s))",
    "SELECT max(sum) FROM (SELECT sum(requests) FROM haproxy GROUP BY backend, code) WHERE code != '2xx' AND {{ window }}",
    "SELECT count(s) FROM (SELECT sum(tr_p99) AS s FROM haproxy WHERE {{ window }} GROUP BY code)",
    "SELECT sum(s) FROM (SELECT mean(requests) AS s FROM haproxy WHERE {{ window }} GROUP BY code)",
];

fn point(second: i64, backend: &str, revision: char, code: Code, counts: [u64; 2]) -> Point {
    let [requests, errors] = counts;
    let wide = f64::from(u32::try_from(requests).expect("a few"));
    Point {
        second: START + second,
        backend: backend.to_owned(),
        revision: revision.to_string().repeat(10).parse().expect("a revision"),
        code,
        requests,
        errors,
        p50: 20.0 + wide,
        p90: 90.0 + wide,
        p99: 240.0 + wide,
        max: 400.0 + wide,
        bytes: 1_500 * requests,
        active: requests / 2,
        response: (code == Code::Success).then_some(Latency {
            p50: 5.0,
            p90: 6.0,
            p99: 7.4,
            max: wide,
        }),
    }
}

fn points() -> Vec<Point> {
    vec![
        point(-1, "web", 'a', Code::Success, [1_000, 0]),
        point(0, "web", 'a', Code::Success, [98, 0]),
        point(0, "web", 'a', Code::Failure, [3, 3]),
        point(0, "web", 'b', Code::Success, [180, 0]),
        point(0, "api", 'c', Code::Refusal, [5, 0]),
        point(1, "web", 'a', Code::Success, [102, 0]),
        point(1, "web", 'b', Code::Success, [175, 0]),
        point(1, "web", 'b', Code::None, [0, 0]),
        point(1, "api", 'c', Code::Success, [41, 1]),
        point(2, "web", 'a', Code::Failure, [2_000, 2_000]),
    ]
}

fn line(point: &Point) -> String {
    let tags = [
        ("backend", Tag::Backend),
        ("code", Tag::Code),
        ("revision", Tag::Revision),
    ];
    let tags: Vec<String> = tags
        .iter()
        .map(|(name, tag)| format!("{name}={}", point.tag(*tag)))
        .collect();
    let fields: Vec<String> = Field::all()
        .filter_map(|field| Some(format!("{field}={}i", point.field(field)?)))
        .collect();
    format!(
        "haproxy,{} {} {}000000000",
        tags.join(","),
        fields.join(","),
        point.second
    )
}

/// Floats that were added in another order may differ in their last digits.
fn agree(real: &SampleOutcome, simulated: &SampleOutcome) -> bool {
    match (real, simulated) {
        (SampleOutcome::Value(real), SampleOutcome::Value(simulated)) => {
            (real - simulated).abs() <= 1e-12 * real.abs()
        }
        (SampleOutcome::NoData, SampleOutcome::NoData) => true,
        (SampleOutcome::Error(real), SampleOutcome::Error(simulated)) => real == simulated,
        _ => false,
    }
}

#[tokio::test]
async fn analysis_1_the_simulation_answers_as_influxdb_does() {
    let Some(server) = Server::start().await else {
        return;
    };
    let points = points();
    let lines: Vec<String> = points.iter().map(line).collect();
    server.write("rollouts", &lines.join("\n")).await;
    let source = source(&server.url);
    let influxdb = InfluxDb::new().expect("a client");
    let values = [("backend", "web"), ("canary", "aaaaaaaaaa")];
    let mut wrong = Vec::new();
    let mut counts = [0; 3];
    for query in QUERIES {
        let question = question(query, &values);
        let real = influxdb.measure(&question, &source).await;
        let text = influxql::fill(&question.query, &question.values, question.window);
        let text = text.unwrap_or_else(|error| panic!("{query}: {error}"));
        let query = Query::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let simulated = query.evaluate(points.iter());
        if !agree(&real, &simulated) {
            wrong.push(format!(
                "{text}\n  real:      {real:?}\n  simulated: {simulated:?}"
            ));
        }
        counts[match real {
            SampleOutcome::Value(_) => 0,
            SampleOutcome::NoData => 1,
            SampleOutcome::Error(_) => 2,
            SampleOutcome::Ran { .. } => panic!("{text}: a query is no job"),
        }] += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(
        counts.iter().all(|count| *count >= 5),
        "values, no data, errors: {counts:?}"
    );
}
