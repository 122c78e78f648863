//! Virtual time: it passes only when it is told to, and wakes whoever waits.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};

use rolloutctl::api::Duration;
use rolloutctl::sim::Hand;
use rolloutctl::world::World;

use crate::site::{Site, setup};

/// Counts how often it was woken.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// How long it takes until a future that was polled once is woken, and that it is ready then.
fn woken_after(site: &Site, future: impl Future) -> u64 {
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(bell.clone());
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    let begin = site.world.now();
    assert!(future.as_mut().poll(&mut context).is_pending());
    while bell.0.load(Ordering::Relaxed) == 0 {
        let next = site.world.next_event().expect("something will happen");
        site.world.advance(next);
    }
    assert!(future.as_mut().poll(&mut context).is_ready());
    Duration::between(begin, site.world.now()).as_millis()
}

#[test]
fn a_pause_ends_when_its_time_has_come() {
    let site = Site::new(setup(1));
    let pause = site.world.pass(Duration::from_secs(5));
    assert_eq!(woken_after(&site, pause), 5_000);
}

#[test]
fn a_call_and_a_hint_wake_whoever_waits_for_them() {
    let site = Site::new(setup(2));
    let took = woken_after(&site, site.world.load());
    assert!((2..=20).contains(&took), "{took} ms");
    let at = Duration::from_secs(1).after(site.world.now());
    site.world.hand_at(at, Hand::StackDeploy(1));
    let took = woken_after(&site, site.world.hint());
    assert!((1_000..=1_030).contains(&took), "{took} ms");
}

#[test]
fn a_world_at_rest_has_nothing_to_come_and_its_clock_stands() {
    let site = Site::new(setup(3));
    assert_eq!(site.world.next_event(), None);
    let now = site.world.now();
    assert_eq!((site.world.clock())(), now);
    site.pass(60_000);
    assert_eq!(Duration::between(now, site.world.now()).as_millis(), 60_000);
    site.world.advance(now);
    assert_eq!(
        Duration::between(now, site.world.now()).as_millis(),
        60_000,
        "it never goes back"
    );
}
