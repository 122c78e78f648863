//! Lines as HAProxy 2.6.12 wrote them, and lines that it would not write.

use jiff::civil::date;
use proptest::prelude::*;

use super::*;

fn read(line: &str) -> HttpLog<'_> {
    parse(line).unwrap_or_else(|error| panic!("{line}: {error}"))
}

#[test]
fn a_whole_line_is_read_field_by_field() {
    let line = "127.0.0.1:58588 [21/Nov/2026:09:13:28.914] fe~ be/0123456789.1.abcdefghij01 1/2/3/4/1001 504 198 - - sH-- 6/5/4/3/2 8/7 {curl/7.88.1} \"GET /slow HTTP/1.1\"";
    assert_eq!(
        read(line),
        HttpLog {
            received: date(2026, 11, 21).at(9, 13, 28, 914_000_000),
            frontend: "fe",
            backend: "be",
            server: Some("0123456789.1.abcdefghij01"),
            timers: Timers {
                request: Some(1),
                queue: Some(2),
                connect: Some(3),
                response: Some(4),
                total: Some(1001),
            },
            moment: Moment::End,
            status: Some(504),
            bytes: 198,
            termination: Termination {
                cause: b's',
                phase: b'H'
            },
            connections: Connections {
                process: 6,
                frontend: 5,
                backend: 4,
                server: 3
            },
            retries: 2,
            redispatched: false,
            queues: Queues {
                server: 8,
                backend: 7
            },
        }
    );
}

#[test]
fn real_lines_of_every_ending_are_read() {
    let redispatched = read(
        "127.0.0.1:37410 [21/Nov/2026:09:12:44.764] fe redis/e 0/0/0/1/1 200 119 - - ---- 1/1/0/0/+1 0/0 {curl/7.88.1} \"GET /200/redis HTTP/1.1\"",
    );
    assert!(redispatched.redispatched && redispatched.retries == 1);

    let asap = read(
        "127.0.0.1:41464 [21/Nov/2026:09:12:46.318] asap be/s 0/0/0/1/+1 200 +119 - - ---- 2/1/2/2/0 0/0 \"GET /200 HTTP/1.1\"",
    );
    assert_eq!(
        (asap.moment, asap.timers.total, asap.bytes),
        (Moment::Headers, Some(1), 119)
    );

    let refused = read(
        "127.0.0.1:37404 [21/Nov/2026:09:12:44.154] fe dead/d 0/601/-1/-1/601 503 217 - - SC-- 1/1/0/0/2 0/0 {curl/7.88.1} \"GET / HTTP/1.1\"",
    );
    assert_eq!(
        (refused.timers.connect, refused.timers.response),
        (None, None)
    );
    assert!(refused.is_error() && refused.reached_backend());

    let empty = read(
        "::1:47850 [21/Nov/2026:09:13:31.722] li li/<NOSRV> 0/-1/-1/-1/0 503 217 - - SC-- 1/1/0/0/0 0/0 \"GET /200 HTTP/1.1\"",
    );
    assert!(empty.server.is_none() && empty.reached_backend());

    let cut = read(
        "127.0.0.1:58528 [21/Nov/2026:09:13:24.344] fe be/s 0/0/0/1/1 200 127 - - SD-- 1/1/0/0/0 0/0 {a b #7Bc#7D #22d#22 #7C #C3#A9} \"GET /cut/ HTTP/1.1\"",
    );
    assert!(cut.is_aborted_by_server() && !cut.is_error());

    let unanswered = read(
        "127.0.0.1:39648 [21/Nov/2026:09:13:24.881] fe be/s 0/0/1/-1/20 -1 0 - - CH-- 2/1/0/0/0 0/0 \"GET / HTTP/1.1\"",
    );
    assert!(unanswered.status.is_none() && unanswered.is_error());
}

/// Compared with `stot` of the back end's row in `show stat`.
#[test]
fn what_the_front_end_answered_itself_did_not_reach_the_back_end() {
    for line in [
        "::1:47840 [21/Nov/2026:09:13:24.877] li li/<NOSRV> 0/-1/-1/-1/0 403 192 - - PR-- 2/1/0/0/0 0/0 \"GET /deny HTTP/1.1\"",
        "127.0.0.1:39648 [21/Nov/2026:09:13:24.881] li li/<NOSRV> -1/-1/-1/-1/0 400 0 - - CR-- 2/1/0/0/0 0/0 \"<BADREQ>\"",
        "127.0.0.1:55056 [21/Nov/2026:09:12:46.336] li li/<STATS> 0/0/0/0/0 200 45868 - - LR-- 2/1/0/0/0 0/0 \"GET /haproxy?stats HTTP/1.1\"",
    ] {
        assert!(!read(line).reached_backend(), "{line}");
    }
}

#[test]
fn other_messages_are_told_apart_from_broken_lines() {
    for (line, error) in [
        (
            "Server li/s is going DOWN for maintenance. 0 active and 0 backup servers left.",
            HttpLogError::NotARequest,
        ),
        (
            "proxy li has no server available!",
            HttpLogError::NotARequest,
        ),
        ("", HttpLogError::NotARequest),
        (
            "127.0.0.1:60542 [21/Nov/2026:09:12:46.327] fe/1: SSL handshake failure",
            HttpLogError::NotARequest,
        ),
        (
            "127.0.0.1:60542 [21/Nov/2026:09:12:46.327] tcp tcpbe/t 1/0/2 116 -- 2/1/0/0/0 0/0",
            HttpLogError::Tcp,
        ),
        (
            "127.0.0.1:1 [21/Nov/2026:09:12:46.327] fe be/s 0/0/0/1/1 999 119 - - ---- 1/1/0/0/0 0/0 \"\"",
            HttpLogError::Field(Field::Status),
        ),
        (
            "127.0.0.1:1 [31/Feb/2026:09:12:46.327] fe be/s 0/0/0/1/1 200 119 - - ---- 1/1/0/0/0 0/0 \"\"",
            HttpLogError::Field(Field::Received),
        ),
        (
            "127.0.0.1:1 [21/Nov/2026:09:12:46.327] fe be/s 0/0/0/1/1 200 119",
            HttpLogError::Field(Field::RequestCookie),
        ),
    ] {
        assert_eq!(parse(line), Err(error), "{line}");
    }
}

/// Each word of a good line in turn is another one.
#[test]
fn what_is_wrong_is_told_by_its_place_and_never_quoted() {
    let line = "127.0.0.1:1 [21/Nov/2026:09:12:46.327] fe be/s 0/0/0/1/1 200 119 - - ---- 1/1/0/0/0 0/0 \"\"";
    let words: Vec<_> = line.split(' ').collect();
    let mut told = Vec::new();
    for place in 2..=words.len() {
        let mut damaged = words.clone();
        damaged[place - 1] = "[s3cr3t";
        let Err(error) = parse(&damaged.join(" ")) else {
            continue;
        };
        let message = error.to_string();
        assert!(!message.contains("s3cr3t"), "{message}");
        assert!(message.contains(&format!("word {place} ")), "{message}");
        told.push(place);
    }
    // Anything goes for a front end, for cookies and for what follows the queues.
    assert_eq!(told, [2, 4, 5, 6, 7, 10, 11, 12]);
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        let _ = parse(&text);
    }

    /// One character of a good line replaced by any other.
    #[test]
    fn no_damage_makes_it_panic(at in 0_usize..130, other in any::<char>(), end in 0_usize..140) {
        let line = "127.0.0.1:37410 [21/Nov/2026:09:12:44.764] fe redis/e 0/-1/0/1/+1 200 +119 - - ---- 1/1/0/0/+1 0/0 {curl} \"GET /200/redis HTTP/1.1\"";
        let damaged: String = line
            .chars()
            .enumerate()
            .take(end)
            .map(|(i, c)| if i == at { other } else { c })
            .collect();
        let _ = parse(&damaged);
    }

    #[test]
    fn numbers_come_back_as_they_went_out(
        status in 100_u16..600, bytes: u64, total: u32, response in proptest::option::of(any::<u32>()), retries: u32,
    ) {
        let shown = response.map_or("-1".to_owned(), |ms| ms.to_string());
        let line = format!(
            "10.0.0.1:1 [01/Jan/2026:00:00:00.000] f b/s 0/0/0/{shown}/{total} {status} {bytes} - - ---- 1/1/0/0/{retries} 0/0 \"GET"
        );
        let log = read(&line);
        prop_assert_eq!(log.status, Some(status));
        prop_assert_eq!((log.bytes, log.retries), (bytes, retries));
        prop_assert_eq!((log.timers.total, log.timers.response), (Some(total), response));
    }
}
