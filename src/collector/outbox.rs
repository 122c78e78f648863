//! Points that wait for InfluxDB: a bounded queue that forgets the oldest first.
//!
//! It knows neither HTTP nor the clock. One task puts points in, another takes them out.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::point::Point;

/// How much may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BufferLimits {
    /// The most points.
    pub points: usize,
    /// The most bytes of line protocol.
    pub bytes: usize,
}

impl Default for BufferLimits {
    /// 200 000 points and 64 MiB: at 100 points a second, a quarter of an hour.
    fn default() -> Self {
        Self {
            points: 200_000,
            bytes: 64 << 20,
        }
    }
}

/// The most that one batch holds.
const BATCH: BufferLimits = BufferLimits {
    points: 5_000,
    bytes: 4 << 20,
};

/// Points in line protocol.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// How many there are.
    pub points: usize,
    /// One line each.
    pub body: String,
}

impl Batch {
    fn fits(&self, more: &Self, limits: BufferLimits) -> bool {
        self.points + more.points <= limits.points
            && self.body.len() + more.body.len() <= limits.bytes
    }

    fn append(&mut self, other: &Self) {
        self.points += other.points;
        self.body.push_str(&other.body);
    }
}

/// What became of points since it was last asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deliveries {
    /// Points that InfluxDB took.
    pub written: usize,
    /// Points that it refused for good, and what it said of the last ones.
    pub refused: usize,
    /// Points that were forgotten because too many waited.
    pub dropped: usize,
    /// Why the last refused ones were refused.
    pub refusal: Option<String>,
    /// Why the last attempt that is to be repeated failed.
    pub delay: Option<String>,
}

/// The queue, shared by those who fill and empty it.
#[derive(Debug)]
pub struct Outbox {
    limits: BufferLimits,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    batches: VecDeque<Batch>,
    /// The sum of all batches, by points and bytes.
    waiting: usize,
    bytes: usize,
    /// Taken out and neither written nor given back yet.
    under_way: usize,
    closed: bool,
    deliveries: Deliveries,
}

impl Outbox {
    /// Empty.
    pub fn new(limits: BufferLimits) -> Self {
        Self {
            limits,
            state: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// Adds points; the oldest that no longer fit are dropped.
    pub fn put(&self, points: &[Point]) {
        let mut state = self.state();
        let mut batch = Batch::default();
        let mut one = Batch::default();
        for point in points {
            one.points = 1;
            one.body.clear();
            point.encode(&mut one.body);
            if !batch.fits(&one, BATCH) {
                state.push_back(std::mem::take(&mut batch));
            }
            batch.append(&one);
        }
        state.push_back(batch);
        state.shrink_to(self.limits);
        drop(state);
        self.changed.notify_one();
    }

    /// The oldest points, up to one batch of them, as soon as there are any. None once the outbox is closed and empty.
    ///
    /// They must be given to one of [`Self::written`], [`Self::refused`] and [`Self::give_back`].
    pub async fn take(&self) -> Option<Batch> {
        loop {
            let changed = self.changed.notified();
            {
                let mut state = self.state();
                if let Some(batch) = state.pop_front() {
                    return Some(batch);
                }
                if state.closed {
                    return None;
                }
            }
            changed.await;
        }
    }

    /// InfluxDB has taken the points.
    pub fn written(&self, batch: &Batch) {
        let mut state = self.state();
        state.under_way = 0;
        state.deliveries.written += batch.points;
        state.deliveries.delay = None;
    }

    /// InfluxDB does not want the points and never will.
    pub fn refused(&self, batch: &Batch, reason: String) {
        let mut state = self.state();
        state.under_way = 0;
        state.deliveries.refused += batch.points;
        state.deliveries.refusal = Some(reason);
    }

    /// The points are to be sent again, before all others.
    pub fn give_back(&self, batch: Batch, reason: String) {
        let mut state = self.state();
        state.under_way = 0;
        state.deliveries.delay = Some(reason);
        state.waiting += batch.points;
        state.bytes += batch.body.len();
        state.batches.push_front(batch);
        state.shrink_to(self.limits);
    }

    /// No more points will come.
    pub fn close(&self) {
        self.state().closed = true;
        self.changed.notify_one();
    }

    /// How many points wait or are under way.
    pub fn waiting(&self) -> usize {
        let state = self.state();
        state.waiting + state.under_way
    }

    /// What became of points since the last call.
    pub fn deliveries(&self) -> Deliveries {
        std::mem::take(&mut self.state().deliveries)
    }

    /// A panic while the lock was held leaves counts that are wrong at worst.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn push_back(&mut self, batch: Batch) {
        if batch.points > 0 {
            self.waiting += batch.points;
            self.bytes += batch.body.len();
            self.batches.push_back(batch);
        }
    }

    fn pop_front(&mut self) -> Option<Batch> {
        let mut batch = self.batches.pop_front()?;
        while let Some(next) = self.batches.front().filter(|next| batch.fits(next, BATCH)) {
            batch.append(next);
            self.batches.pop_front();
        }
        self.waiting -= batch.points;
        self.bytes -= batch.body.len();
        self.under_way = batch.points;
        Some(batch)
    }

    fn shrink_to(&mut self, limits: BufferLimits) {
        while self.waiting > limits.points || self.bytes > limits.bytes {
            let Some(oldest) = self.batches.pop_front() else {
                return;
            };
            self.waiting -= oldest.points;
            self.bytes -= oldest.body.len();
            self.deliveries.dropped += oldest.points;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn points(stamps: std::ops::Range<i64>) -> Vec<Point> {
        stamps
            .map(|nanos| Point {
                measurement: "m",
                tags: Vec::new(),
                fields: vec![("x".into(), 1)],
                nanos,
            })
            .collect()
    }

    fn small(points: usize) -> Outbox {
        Outbox::new(BufferLimits {
            points,
            bytes: usize::MAX,
        })
    }

    #[tokio::test]
    async fn points_come_out_in_order_and_in_one_batch() {
        let outbox = small(100);
        outbox.put(&points(0..2));
        outbox.put(&points(2..3));
        let batch = outbox.take().await.expect("points");
        assert_eq!(
            (batch.points, batch.body.as_str()),
            (3, "m x=1i 0\nm x=1i 1\nm x=1i 2\n")
        );
        assert_eq!(outbox.waiting(), 3);
        outbox.give_back(batch.clone(), "down".into());
        outbox.put(&points(3..4));
        let again = outbox.take().await.expect("points");
        assert!(again.body.starts_with(&batch.body) && again.points == 4);
        outbox.written(&again);
        outbox.close();
        assert_eq!(outbox.take().await, None);
        assert_eq!((outbox.deliveries().written, outbox.waiting()), (4, 0));
    }

    #[tokio::test]
    async fn the_oldest_are_dropped_and_counted() {
        let outbox = small(3);
        for second in 0..5 {
            outbox.put(&points(second..second + 1));
        }
        let batch = outbox.take().await.expect("points");
        assert_eq!(batch.body, "m x=1i 2\nm x=1i 3\nm x=1i 4\n");
        // What comes back is the oldest there is.
        outbox.put(&points(5..7));
        outbox.give_back(batch, "down".into());
        assert_eq!((outbox.deliveries().dropped, outbox.waiting()), (5, 2));
    }

    #[tokio::test]
    async fn bytes_are_bounded_too_and_large_seconds_are_split() {
        let outbox = Outbox::new(BufferLimits {
            points: usize::MAX,
            bytes: 100,
        });
        outbox.put(&points(0..8));
        assert_eq!((outbox.waiting(), outbox.deliveries().dropped), (8, 0));
        outbox.put(&points(0..8));
        assert_eq!((outbox.waiting(), outbox.deliveries().dropped), (8, 8));

        let outbox = small(usize::MAX);
        outbox.put(&points(0..12_000));
        let mut sizes = Vec::new();
        outbox.close();
        while let Some(batch) = outbox.take().await {
            sizes.push(batch.points);
        }
        assert_eq!(sizes, [5_000, 5_000, 2_000]);
    }

    proptest! {
        #[test]
        fn no_point_is_forgotten_uncounted(steps in proptest::collection::vec((0_i64..20, 0_u8..4), 1..60), limit in 1_usize..60) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            let outbox = small(limit);
            let mut put = 0_usize;
            for (n, then) in steps {
                outbox.put(&points(0..n));
                put += usize::try_from(n).expect("not negative");
                if outbox.waiting() > 0 && then > 0 {
                    let batch = runtime.block_on(outbox.take()).expect("points");
                    match then {
                        1 => outbox.written(&batch),
                        2 => outbox.refused(&batch, String::new()),
                        _ => outbox.give_back(batch, String::new()),
                    }
                }
                prop_assert!(outbox.waiting() <= limit);
            }
            let seen = outbox.deliveries();
            prop_assert_eq!(seen.written + seen.refused + seen.dropped + outbox.waiting(), put);
        }
    }
}
