//! Loss by comparison of lines and counters.

use proptest::prelude::*;

use super::super::httplog;
use super::*;

const LINE: &str = "127.0.0.1:1 [21/Nov/2026:09:12:44.111] fe be/s 0/0/0/1/1 200 100 - - ---- 1/1/0/0/0 0/0 \"GET / HTTP/1.1\"";

fn lines(meter: &mut LossMeter, pid: u32, n: u64) {
    let log = httplog::parse(LINE).expect("a good line");
    for _ in 0..n {
        meter.count(Some(pid), &log);
    }
}

fn reading(pid: u32, total: u64, open: u64) -> Reading {
    Reading {
        instance: "unix:///lb.sock".into(),
        uptime_secs: 100,
        pid,
        backend: "be".into(),
        total,
        open,
    }
}

fn reading_of(instance: &str, pid: u32, total: u64) -> Reading {
    Reading {
        instance: instance.into(),
        ..reading(pid, total, 0)
    }
}

fn judge(meter: &mut LossMeter, readings: &[Reading]) -> Vec<(u64, u64, u64)> {
    let losses = meter.judge(readings.to_vec()).expect("comparable");
    losses
        .iter()
        .map(|loss| (loss.expected, loss.received, loss.lost))
        .collect()
}

#[test]
fn what_did_not_come_is_lost_and_said_once() {
    let mut meter = LossMeter::default();
    lines(&mut meter, 7, 5);
    meter.ask();
    assert_eq!(
        judge(&mut meter, &[reading(7, 1_000, 2)]),
        [],
        "the first reading is the yardstick"
    );
    lines(&mut meter, 7, 8);
    meter.ask();
    // Of the 2 that were open and the 10 new ones, 1 is open still.
    assert_eq!(judge(&mut meter, &[reading(7, 1_010, 1)]), [(11, 8, 3)]);
    meter.ask();
    assert_eq!(judge(&mut meter, &[reading(7, 1_010, 1)]), [(0, 0, 0)]);
}

#[test]
fn a_line_that_comes_after_its_count_was_asked_for_is_not_lost() {
    let mut meter = LossMeter::default();
    meter.ask();
    lines(&mut meter, 7, 3);
    judge(&mut meter, &[reading(7, 3, 0)]);
    lines(&mut meter, 7, 10);
    meter.ask();
    lines(&mut meter, 7, 5);
    assert_eq!(judge(&mut meter, &[reading(7, 13, 0)]), [(10, 18, 0)]);
    meter.ask();
    assert_eq!(judge(&mut meter, &[reading(7, 18, 0)]), [(5, 0, 0)]);
}

#[test]
fn a_restart_opens_a_new_account() {
    let mut meter = LossMeter::default();
    meter.ask();
    judge(&mut meter, &[reading(7, 100, 0)]);
    lines(&mut meter, 7, 4);
    meter.ask();
    // The same process id, as in a container, with counters that began anew.
    assert_eq!(judge(&mut meter, &[reading(7, 4, 0)]), []);
    lines(&mut meter, 7, 1);
    meter.ask();
    assert_eq!(judge(&mut meter, &[reading(7, 6, 0)]), [(2, 1, 1)]);
    // Another process after a reload; the old one's last lines do not hide its loss.
    meter.ask();
    assert_eq!(judge(&mut meter, &[reading(8, 0, 0)]), []);
    lines(&mut meter, 7, 50);
    lines(&mut meter, 8, 1);
    meter.ask();
    assert_eq!(judge(&mut meter, &[reading(8, 3, 0)]), [(3, 1, 2)]);
}

#[test]
fn instances_are_added_up_by_back_end() {
    let mut meter = LossMeter::default();
    meter.ask();
    judge(
        &mut meter,
        &[
            reading(7, 0, 0),
            reading_of("lb-2", 8, 0),
            reading_of("lb-3", 8, 9),
        ],
    );
    lines(&mut meter, 7, 1);
    lines(&mut meter, 8, 5);
    meter.ask();
    assert_eq!(
        judge(
            &mut meter,
            &[
                reading(7, 2, 0),
                reading_of("lb-2", 8, 2),
                reading_of("lb-3", 8, 12)
            ]
        ),
        [(7, 6, 1)]
    );
}

/// In containers all have the same process id.
#[test]
fn a_look_that_one_of_two_with_the_same_process_id_misses_is_no_loss() {
    let mut meter = LossMeter::default();
    let look = |meter: &mut LossMeter, readings: &[Reading]| {
        lines(meter, 7, 20);
        meter.ask();
        judge(meter, readings)
    };
    let (one, other) = (
        |total| reading_of("lb-1", 7, total),
        |total| reading_of("lb-2", 7, total),
    );
    assert_eq!(look(&mut meter, &[one(10), other(1_000)]), []);
    assert_eq!(look(&mut meter, &[one(20), other(1_010)]), [(20, 20, 0)]);
    assert_eq!(look(&mut meter, &[one(30)]), []);
    assert_eq!(look(&mut meter, &[one(40), other(1_030)]), []);
    assert_eq!(look(&mut meter, &[one(50), other(1_040)]), [(20, 20, 0)]);
    // One is restarted, and has had more requests by now than before.
    let anew = Reading {
        uptime_secs: 1,
        ..one(60)
    };
    assert_eq!(look(&mut meter, &[anew, other(1_050)]), []);
}

#[test]
fn a_process_that_is_gone_is_forgotten_in_the_end() {
    let mut meter = LossMeter::default();
    lines(&mut meter, 7, 1);
    for _ in 0..=FORGET_AFTER {
        judge(&mut meter, &[]);
    }
    assert!(meter.processes.is_empty());
}

#[test]
fn lines_without_a_process_id_make_loss_unknown_and_not_total() {
    let mut meter = LossMeter::default();
    meter.count(None, &httplog::parse(LINE).expect("a good line"));
    assert_eq!(
        meter.judge(vec![reading(7, 1, 0)]),
        Err(LossError::NoProcessId)
    );
}

proptest! {
    /// However lines and counters are interleaved, what is said to be lost never exceeds what was.
    #[test]
    fn loss_is_never_overstated(steps in proptest::collection::vec((0_u64..50, 0_u64..50, 0_u64..20), 1..30)) {
        let mut meter = LossMeter::default();
        let (mut total, mut truly_lost, mut said) = (0, 0, 0);
        for (logged, dropped, late) in steps {
            meter.ask();
            lines(&mut meter, 7, logged);
            total += logged + dropped;
            truly_lost += dropped;
            let at_reading = reading(7, total, 0);
            lines(&mut meter, 7, late);
            total += late;
            said += judge(&mut meter, &[at_reading]).iter().map(|(_, _, lost)| lost).sum::<u64>();
            prop_assert!(said <= truly_lost, "{said} > {truly_lost}");
        }
    }
}
