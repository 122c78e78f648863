//! How the collector takes InfluxDB's refusals. InfluxDB 1.6 of Debian knows neither tokens nor rate limits, so these
//! replies come from a server of the test's own.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use rolloutctl::collector::deliver;
use rolloutctl::collector::influxdb::{InfluxDb, InfluxDbTarget, MissingDatabase, WriteError};
use rolloutctl::collector::outbox::{BufferLimits, Outbox};
use rolloutctl::collector::point::Point;

use super::daemons::eventually;

/// What has been written, and how many requests it took.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<(Vec<String>, u32)>>);

/// Knows the token `right`; cannot read points of the measurement `bad`; is overloaded at every other request.
async fn write(State(seen): State<Seen>, headers: HeaderMap, body: String) -> (StatusCode, String) {
    let mut seen = seen.0.lock().expect("no panic");
    seen.1 += 1;
    let token = headers
        .get("authorization")
        .and_then(|value| value.to_str().ok());
    if token != Some("Token right") {
        return (StatusCode::UNAUTHORIZED, "{\"error\":\"who?\"}".into());
    }
    if body.starts_with("bad") {
        return (
            StatusCode::BAD_REQUEST,
            "{\"error\":\"field type conflict\"}".into(),
        );
    }
    if seen.1 % 2 == 0 {
        return (StatusCode::SERVICE_UNAVAILABLE, "busy".into());
    }
    seen.0.push(body);
    (StatusCode::NO_CONTENT, String::new())
}

async fn serve(seen: Seen) -> SocketAddr {
    let router = Router::new()
        .route("/write", post(write))
        .route("/query", post(async || "{\"results\":[{}]}"))
        .with_state(seen);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

fn influxdb(address: SocketAddr, token_file: &Path) -> InfluxDb {
    InfluxDb::new(InfluxDbTarget {
        url: format!("http://{address}"),
        database: "rollouts".into(),
        token_file: Some(token_file.to_owned()),
        missing_database: MissingDatabase::Report,
    })
    .expect("a good URL")
}

fn point(measurement: &'static str, nanos: i64) -> Point {
    Point {
        measurement,
        tags: Vec::new(),
        fields: vec![("x".into(), 1)],
        nanos,
    }
}

#[tokio::test]
async fn a_token_is_read_again_and_a_bad_batch_does_not_stand_in_the_way() {
    let dir = tempfile::tempdir().expect("a directory");
    let token = dir.path().join("token");
    let seen = Seen::default();
    let address = serve(seen.clone()).await;

    let lone = influxdb(address, &token);
    let missing = lone.write("x".into()).await.expect_err("no token");
    assert!(
        matches!(&missing, WriteError::Later(m) if m.contains("token")),
        "{missing}"
    );
    let prepared = lone.prepare().await.expect_err("no token").to_string();
    assert!(prepared.contains("token file"), "{prepared}");

    std::fs::write(&token, "wrong\n").expect("a file");
    let outbox = Arc::new(Outbox::new(BufferLimits::default()));
    outbox.put(&[point("bad", 1)]);
    let delivery = tokio::spawn(deliver::deliver(
        influxdb(address, &token),
        Arc::clone(&outbox),
    ));
    let delay = eventually("the refused token to be said", async || {
        outbox.deliveries().delay
    })
    .await;
    assert!(delay.contains("see to the token in"), "{delay}");

    std::fs::write(&token, "right\n").expect("a file");
    let refused = eventually("the bad batch to be given up", async || {
        Some(outbox.deliveries()).filter(|seen| seen.refused > 0)
    })
    .await;
    assert_eq!(refused.refused, 1);
    assert!(
        refused
            .refusal
            .expect("a reason")
            .contains("field type conflict")
    );

    for nanos in 2..5 {
        outbox.put(&[point("good", nanos)]);
    }
    outbox.close();
    delivery.await.expect("it ends");
    let written = seen.0.lock().expect("no panic").0.concat();
    assert_eq!(written, "good x=1i 2\ngood x=1i 3\ngood x=1i 4\n");
}
