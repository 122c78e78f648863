//! TRAFFIC-5 where Swarm chooses: how few tasks may be asked for.

use rolloutctl::action::Action;
use rolloutctl::api::{Duration, Revision, RolloutSpec, WaitingOn};
use rolloutctl::snapshot::{CheckState, OperationalState, TaskFact, TaskId, TaskState};

use crate::toy::{BACKEND, Checks, Toy, held, name, spec};

/// v1 with so many tasks.
fn asked(replicas: u32) -> RolloutSpec {
    RolloutSpec {
        replicas,
        ..spec("v1")
    }
}

/// One task serves; two more were asked for, are not ready, and are wanted no longer.
fn grown_in_vain() -> (Toy, Revision) {
    let mut toy = Toy::stable(asked(1));
    let v1 = toy.revision("v1");
    toy.broken.insert(v1.clone()); // What starts from here on is not ready.
    toy.apply(asked(3));
    toy.turns(3);
    toy.apply(asked(1));
    toy.turns(3);
    (toy, v1)
}

#[test]
fn traffic_5_fewer_tasks_are_asked_for_when_swarm_cannot_choose_all_that_serve() {
    let (mut toy, v1) = grown_in_vain();
    toy.turns(2);
    let asked = toy.replicas(&v1);
    assert_eq!(asked, Some(3), "Swarm might keep one that is not ready");
    let waiting = toy.status.waiting_on.clone();
    assert_eq!(
        waiting,
        Some(WaitingOn::Surplus {
            revision: v1.clone(),
            asked: 3,
            wanted: 1
        })
    );
    toy.broken.clear();
    toy.until("they are ready, and two of them go", |toy| {
        toy.replicas(&v1) == Some(1)
    });
    toy.until("nothing is waited for", |toy| {
        toy.status.waiting_on.is_none()
    });
}

#[test]
fn traffic_5_tasks_that_do_not_become_ready_are_not_waited_for() {
    let (mut toy, v1) = grown_in_vain();
    assert_eq!(toy.replicas(&v1), Some(3));
    toy.wait(Duration::from_secs(30));
    toy.turns(2);
    assert_eq!(toy.replicas(&v1), Some(1));
}

#[test]
fn traffic_5_a_task_that_was_lost_once_is_waited_for() {
    let (mut toy, v1) = grown_in_vain();
    one_fails(&mut toy);
    toy.turns(2);
    assert_eq!(toy.replicas(&v1), Some(3), "it may have lost its node only");
    one_fails(&mut toy);
    toy.turns(2);
    assert_eq!(
        toy.replicas(&v1),
        Some(1),
        "nobody knows how long one takes that fails again and again"
    );
}

/// A task that does not serve fails; the Swarm tries again in its slot.
fn one_fails(toy: &mut Toy) {
    let mut tasks = toy.snapshot.tasks.values_mut();
    let task = tasks
        .find(|task| task.state == TaskState::Waiting)
        .expect("one that starts");
    task.slot = 2;
    task.state = TaskState::Failed;
    task.desired = TaskState::Shutdown;
    task.since = toy.now;
}

#[test]
fn traffic_5_as_many_tasks_go_as_leave_one_that_serves_whichever_they_are() {
    let mut toy = Toy::stable(asked(3));
    let v1 = toy.revision("v1");
    toy.broken.insert(v1.clone());
    toy.fail_task();
    toy.swarm_moves();
    toy.apply(asked(1));
    // The Swarm has not told any of them to stop yet.
    for _ in 0..3 {
        toy.turn_of_proxies(Checks::Pass);
    }
    assert_eq!(
        toy.replicas(&v1),
        Some(2),
        "two serve, and one of them may go"
    );
    one_is_down(&mut toy);
    toy.turn_of_proxies(Checks::Pass);
    assert_eq!(
        toy.replicas(&v1),
        Some(2),
        "no reason to ask for more than before"
    );
    toy.turns(3);
    assert_eq!(
        toy.replicas(&v1),
        Some(2),
        "one serves, and another one may not come up"
    );
}

#[test]
fn traffic_5_tasks_that_are_asked_for_and_not_seen_yet_are_waited_for() {
    let mut toy = Toy::stable(asked(1));
    let v1 = toy.revision("v1");
    toy.wait(Duration::from_secs(60));
    toy.apply(asked(4));
    toy.turn_of_proxies(Checks::Pass);
    assert_eq!(toy.replicas(&v1), Some(4));
    toy.apply(asked(1));
    toy.turn_of_proxies(Checks::Pass);
    assert_eq!(
        toy.replicas(&v1),
        Some(4),
        "Swarm might keep one that is new"
    );
    toy.until("they serve, and the others go", |toy| {
        toy.replicas(&v1) == Some(1)
    });
}

/// The checks of one server fail on every proxy.
fn one_is_down(toy: &mut Toy) {
    for proxy in toy.proxies() {
        let servers = proxy.backends.get_mut(BACKEND).expect("the backend");
        let mut up = servers
            .values_mut()
            .filter(|server| server.check == CheckState::Passed);
        let down = up.next_back().expect("one that serves");
        down.check = CheckState::Failed;
        down.operational = OperationalState::Stopped;
        down.unchanged_secs = 0;
    }
}

/// Two tasks serve, one is wanted, and the checks of the other fail: the Swarm thinks that it runs.
fn fewer_beside_one_that_is_down() -> (Toy, Revision) {
    let mut toy = Toy::stable(asked(2));
    let v1 = toy.revision("v1");
    toy.wait(Duration::from_secs(60));
    one_is_down(&mut toy);
    toy.apply(asked(1));
    (toy, v1)
}

#[test]
fn traffic_5_swarm_is_given_the_time_to_notice_that_a_task_is_down() {
    let (mut toy, v1) = fewer_beside_one_that_is_down();
    toy.turns(2);
    assert_eq!(toy.replicas(&v1), Some(2), "Swarm might stop the other one");
    toy.wait(Duration::from_secs(60));
    toy.turns(1);
    assert_eq!(toy.replicas(&v1), Some(1), "it never will");
}

#[test]
fn traffic_5_the_first_check_that_fails_counts_before_the_server_is_down() {
    let (mut toy, v1) = fewer_beside_one_that_is_down();
    for proxy in toy.proxies() {
        let servers = proxy.backends.get_mut(BACKEND).expect("the backend");
        let mut failed = servers
            .values_mut()
            .filter(|server| server.check == CheckState::Failed);
        let down = failed.next().expect("the one that is down");
        down.operational = OperationalState::Running;
        down.unchanged_secs = 600;
    }
    toy.turn_of_proxies(Checks::Pass);
    assert_eq!(toy.replicas(&v1), Some(2), "up for ten minutes, so far");
}

#[test]
fn traffic_5_fewer_tasks_are_not_asked_for_while_no_proxy_says_who_serves() {
    let mut toy = Toy::stable(asked(2));
    let v1 = toy.revision("v1");
    toy.wait(Duration::from_secs(600));
    let answered = toy.snapshot.load_balancers.clone();
    toy.cut_off("lb-1");
    toy.cut_off("lb-2");
    toy.apply(asked(1));
    toy.turn_of_proxies(Checks::Pass);
    assert_eq!(toy.replicas(&v1), Some(2), "the other one may be down");
    toy.snapshot.load_balancers = answered;
    toy.turns(2);
    assert_eq!(toy.replicas(&v1), Some(1));
}

#[test]
fn traffic_5_a_proxy_that_has_just_started_has_not_found_out_who_is_down() {
    let (mut toy, v1) = fewer_beside_one_that_is_down();
    for proxy in toy.proxies() {
        proxy.uptime_secs = 1;
        let servers = proxy.backends.get_mut(BACKEND).expect("the backend");
        servers.retain(|_, server| server.check == CheckState::Passed);
    }
    toy.turn_of_proxies(Checks::Pending);
    toy.turn_of_proxies(Checks::Pending);
    assert_eq!(toy.replicas(&v1), Some(2), "one is not checked");
    toy.turn_of_proxies(Checks::Pass);
    toy.turn_of_proxies(Checks::Pass);
    assert_eq!(toy.replicas(&v1), Some(1), "both serve");
}

#[test]
fn traffic_5_failures_of_an_hour_ago_are_no_reason_not_to_wait() {
    let (mut toy, v1) = fewer_beside_one_that_is_down();
    let task = toy.snapshot.tasks.values().next().expect("a task").clone();
    for number in 0..2 {
        let id = TaskId::from(format!("failed{number}"));
        let failed = TaskFact {
            id: id.clone(),
            state: TaskState::Failed,
            desired: TaskState::Shutdown,
            since: Duration::from_secs(3_600).before(toy.now),
            ..task.clone()
        };
        toy.snapshot.tasks.insert(id, failed);
    }
    toy.turn_of_proxies(Checks::Pass);
    assert_eq!(toy.replicas(&v1), Some(2), "Swarm might stop the other one");
}

#[test]
fn traffic_5_what_another_hand_changed_is_put_back_with_as_many_tasks_as_leave_one() {
    let (mut toy, v1) = fewer_beside_one_that_is_down();
    toy.service(&v1.service_name(&name("news-web"))).drift =
        Some("image: evil instead of v1".into());
    let plan = toy.turn_of_proxies(Checks::Pass);
    let restored = plan.actions.iter().find_map(|action| match action {
        Action::RestoreService { spec, .. } => Some(spec.replicas),
        _ => None,
    });
    assert_eq!(restored, Some(2), "Swarm might stop the other one");
}

#[test]
fn traffic_5_a_task_that_swarm_stops_already_is_not_waited_for() {
    let (mut toy, v1) = fewer_beside_one_that_is_down();
    let mut tasks = toy.snapshot.tasks.values_mut();
    let other = tasks.find(|task| task.slot == 2).expect("a second task");
    other.desired = TaskState::Shutdown;
    toy.turn_of_proxies(Checks::Pass);
    assert_eq!(toy.replicas(&v1), Some(1));
}

/// The checks of all servers of a revision, or of one, fail on every proxy.
fn are_down(toy: &mut Toy, revision: &Revision, count: usize) {
    for proxy in toy.proxies() {
        let servers = proxy.backends.get_mut(BACKEND).expect("the backend");
        let of_it = servers
            .iter_mut()
            .filter(|(name, _)| name.starts_with(revision.as_str()));
        for (_, server) in of_it.take(count) {
            server.check = CheckState::Failed;
            server.operational = OperationalState::Stopped;
            server.unchanged_secs = 0;
        }
    }
}

#[test]
fn traffic_5_a_canary_that_serves_alone_is_not_made_smaller_than_leaves_one() {
    let mut toy = Toy::in_stage(held(spec("v2"), 50), 0);
    let (v1, v2) = (toy.revision("v1"), toy.revision("v2"));
    toy.wait(Duration::from_secs(120));
    are_down(&mut toy, &v1, 6);
    are_down(&mut toy, &v2, 1);
    let asked = RolloutSpec {
        replicas: 2,
        ..held(spec("v2"), 50)
    };
    toy.apply(asked);
    toy.turn_of_proxies(Checks::Pass);
    toy.turn_of_proxies(Checks::Pass);
    toy.turn_of_proxies(Checks::Pass);
    assert_eq!(toy.replicas(&v2), Some(2), "two serve, and one may go");
}
