//! A proxy that accepts connections and never answers: nobody waits for it twice.
//!
//! Where it is told that nobody waits, tokio's clock is paused: it goes on only while all that is
//! left to do is to wait, and then at once, so that its reading is what was waited for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rolloutctl::action::{ServerChange, ServerChanges, ServerVerb};
use rolloutctl::api::{HaproxyInstance, ServerWeight};
use rolloutctl::snapshot::{InstanceFact, ServerName};
use rolloutctl::world::WorldError;
use rolloutctl::world::haproxy::Haproxy;
use tokio::net::TcpListener;
use tokio::time::{Instant, interval, pause, resume};

use super::bench::{Bench, eventually, instance_at, name};

/// Accepts, counts and says nothing.
struct Mute {
    address: String,
    accepted: Arc<AtomicUsize>,
}

impl Mute {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("tcp://{}", listener.local_addr().expect("its address"));
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = accepted.clone();
        tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                held.push(stream);
            }
        });
        Self { address, accepted }
    }

    fn instance(&self) -> HaproxyInstance {
        instance_at("lb-1", &self.address)
    }

    fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }
}

/// Looks once: what is wrong with `instance`; nothing if it answers.
async fn problem(haproxy: &Haproxy, instance: &HaproxyInstance) -> Option<String> {
    let facts = haproxy.observe(std::slice::from_ref(instance)).await;
    match &facts[&instance.name] {
        InstanceFact::Reachable(_) => None,
        InstanceFact::Unreachable { problem } => Some(problem.clone()),
    }
}

/// One change of one server.
fn change() -> ServerChanges {
    let task = rolloutctl::snapshot::TaskId::from("abcdefghijkl0123456789abc");
    let revision = "0123456789".parse().expect("a revision");
    ServerChanges {
        load_balancer: name("edge"),
        instance: name("lb-1"),
        backend: "web".to_owned(),
        changes: vec![ServerChange {
            server: ServerName::new(&revision, 1, &task),
            verb: ServerVerb::Weigh(ServerWeight::EVEN),
        }],
    }
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_never_answers_is_waited_for_once_and_then_asked_by_one_connection_at_a_time()
{
    const LOOKS: u32 = 50;
    const BETWEEN: Duration = Duration::from_millis(100);
    let mute = Mute::start().await;
    let (haproxy, instance) = (Haproxy::default(), mute.instance());
    let began = Instant::now();
    let first = problem(&haproxy, &instance).await.expect("a problem");
    assert!(first.contains("gave no answer within"), "{first}");
    assert!(began.elapsed() >= Haproxy::DEFAULT_LIMIT);

    let mut ticks = interval(BETWEEN);
    let mut texts = Vec::new();
    let began = Instant::now();
    for _ in 0..LOOKS {
        ticks.tick().await;
        let before = Instant::now();
        texts.extend(problem(&haproxy, &instance).await);
        assert_eq!(before.elapsed(), Duration::ZERO, "it was waited for");
    }
    let probes = mute.accepted() - 1;
    let most = began.elapsed().as_millis() / Haproxy::DEFAULT_LIMIT.as_millis() + 1;
    assert!(
        (2..=usize::try_from(most).expect("a small number")).contains(&probes),
        "{probes} connections in {:?}",
        began.elapsed()
    );
    assert_eq!(texts.len(), 50);
    texts.dedup();
    assert_eq!(texts.len(), 1, "SAFETY-5, a text that changes is a write");
    assert!(texts[0].contains("has given no answer since"), "{texts:?}");
}

#[tokio::test(start_paused = true)]
async fn changes_do_not_wait_for_a_silent_address_and_one_that_ran_into_the_limit_makes_it_silent()
{
    let mute = Mute::start().await;
    let (haproxy, instance) = (Haproxy::default(), mute.instance());
    let began = Instant::now();
    let first = haproxy.apply(&instance.address, &change()).await;
    let first = first.expect_err("no answer").to_string();
    assert!(
        first.contains("whether it was done is not known"),
        "{first}"
    );
    assert!(began.elapsed() >= Haproxy::DEFAULT_LIMIT);

    let (before, accepted) = (Instant::now(), mute.accepted());
    let second = haproxy.apply(&instance.address, &change()).await;
    let Err(WorldError::Unreachable { reason, .. }) = second else {
        panic!("{second:?}");
    };
    assert!(reason.contains("nothing was sent"), "{reason}");
    let told = problem(&haproxy, &instance).await.expect("a problem");
    assert!(told.contains("has given no answer since"), "{told}");
    assert_eq!(before.elapsed(), Duration::ZERO, "it was waited for");
    assert_eq!(mute.accepted(), accepted, "only the probe may connect");
}

#[tokio::test]
async fn a_stopped_process_is_unreachable_without_a_wait_and_is_seen_again_when_it_goes_on() {
    let Some(bench) = Bench::start().await else {
        return;
    };
    let haproxy = Haproxy::new(Duration::from_millis(500));
    let instance = bench.instance();
    eventually("it answers", async || {
        problem(&haproxy, &instance).await.is_none()
    })
    .await;
    bench.signal("STOP");
    // The signal takes a moment.
    eventually("it is silent", async || {
        problem(&haproxy, &instance).await.is_some()
    })
    .await;

    pause();
    let before = Instant::now();
    for _ in 0..20 {
        let told = problem(&haproxy, &instance).await.expect("a problem");
        assert!(told.contains("has given no answer since"), "{told}");
    }
    assert_eq!(before.elapsed(), Duration::ZERO, "it was waited for");
    resume();

    bench.signal("CONT");
    eventually("it answers again", async || {
        problem(&haproxy, &instance).await.is_none()
    })
    .await;
    eventually("it is written to, and has no such server", async || {
        let change = haproxy.apply(&instance.address, &change()).await;
        matches!(change, Err(WorldError::Refused { .. }))
    })
    .await;
}
