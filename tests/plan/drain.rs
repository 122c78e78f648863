//! TRAFFIC-4: what leaves, what was stopped and what died have their time to drain.

use rolloutctl::action::{Action, ServerVerb};
use rolloutctl::api::{Dependents, Duration, Phase, Revision, Verb};
use rolloutctl::snapshot::TaskState;

use crate::toy::{BACKEND, Toy, held, name, server_verbs, spec};

#[test]
fn traffic_4_a_service_is_scaled_down_only_when_none_of_its_servers_is_left() {
    let mut toy = Toy::stable(spec("v1"));
    toy.open_requests = 3;
    let v1 = toy.revision("v1");
    toy.apply(spec("v2"));
    toy.until("v1 leaves", |toy| toy.status.leaving.contains_key(&v1));
    let drained_since = toy.status.leaving[&v1];
    let mut cut_at = None;
    while toy.replicas(&v1) == Some(6) {
        let servers = toy
            .proxies()
            .flat_map(|p| p.backends[BACKEND].keys().cloned().collect::<Vec<_>>());
        let left = servers.filter(|name| name.starts_with(v1.as_str())).count();
        toy.turn();
        if toy.replicas(&v1) == Some(0) {
            assert_eq!(left, 0, "scaled down with {left} servers left");
        }
        if server_verbs(&toy.last)
            .iter()
            .any(|(_, verb)| *verb == ServerVerb::Cut)
        {
            cut_at.get_or_insert(toy.now);
        }
    }
    let cut_at = cut_at.expect("open requests that never end are cut");
    assert!(
        cut_at >= Duration::from_secs(5).after(drained_since),
        "cut before the drain timeout"
    );
}

/// A proxy is loaded anew while a canary that was taken back drains: what was open goes on in the old process.
fn reloaded_in_mid_drain() -> (Toy, Revision) {
    let mut toy = Toy::in_stage(held(spec("v2"), 50), 0);
    let v2 = toy.revision("v2");
    toy.open_requests = 2;
    toy.command(Verb::Abort);
    toy.turns(15);
    assert!(toy.status.leaving.contains_key(&v2), "it drains");
    toy.reload("lb-1");
    toy.reload("lb-2");
    (toy, v2)
}

/// Until none of the tasks of `revision` is asked for: not before it has had its time to drain.
fn until_drained(toy: &mut Toy, revision: &Revision) {
    let drained = Duration::from_secs(5).after(toy.status.leaving[revision]);
    toy.until("its tasks are stopped", |toy| {
        toy.replicas(revision).unwrap_or(0) == 0
    });
    assert!(toy.now >= drained, "{} too early", drained - toy.now);
}

#[test]
fn traffic_4_requests_that_an_old_process_finishes_have_their_time_to_drain() {
    let (mut toy, v2) = reloaded_in_mid_drain();
    until_drained(&mut toy, &v2);
}

#[test]
fn traffic_4_a_clock_that_jumps_ends_no_drain_of_an_old_process() {
    let (mut toy, v2) = reloaded_in_mid_drain();
    let uptime = |toy: &mut Toy| toy.proxies().map(|proxy| proxy.uptime_secs).min();
    toy.now = Duration::from_secs(11).after(toy.now); // Of the controller's host alone.
    toy.until("its tasks are stopped", |toy| {
        toy.replicas(&v2).unwrap_or(0) == 0
    });
    assert_eq!(uptime(&mut toy), Some(5));
}

#[test]
fn traffic_4_proxies_that_are_reloaded_all_the_time_keep_nothing_for_ever() {
    let (mut toy, v2) = reloaded_in_mid_drain();
    let mut turns = 0;
    while toy.replicas(&v2) != Some(0) {
        turns += 1;
        assert!(turns < 5_000, "it never goes: {:?}", toy.status.waiting_on);
        toy.turn();
        toy.wait(Duration::from_secs(1));
        if turns % 2 == 0 {
            toy.reload("lb-1");
        }
    }
}

/// An hour and more, in which somebody looks now and then.
fn long_after(toy: &mut Toy) {
    for _ in 0..10 {
        toy.wait(Duration::from_secs(600));
        toy.turns(3);
    }
}

/// For a moment at least what an old process may still finish is let run.
fn is_let_run(toy: &mut Toy, revision: &Revision) {
    for _ in 0..30 {
        toy.turn();
        assert!(
            toy.replicas(revision) > Some(0),
            "an old process may have requests"
        );
    }
}

#[test]
fn traffic_4_what_served_on_has_its_time_on_a_proxy_that_is_reloaded_long_after() {
    let mut toy = Toy::in_stage(held(spec("v2"), 50), 0);
    let (v1, v2) = (toy.revision("v1"), toy.revision("v2"));
    toy.lose_tasks_of(&v1);
    toy.turns(3);
    toy.command(Verb::Abort);
    toy.turns(3);
    long_after(&mut toy);
    assert_eq!(toy.share(&v2), [100.0, 100.0], "it serves on");
    toy.reload("lb-1");
    toy.reload("lb-2");
    is_let_run(&mut toy, &v2);
}

#[test]
fn traffic_4_a_proxy_that_was_out_of_reach_for_long_may_have_served_until_its_reload() {
    let mut toy = Toy::in_stage(held(spec("v2"), 50), 0);
    let v2 = toy.revision("v2");
    let known = toy.snapshot.load_balancers["edge"]["lb-2"].clone();
    toy.cut_off("lb-2");
    toy.command(Verb::Abort);
    toy.turns(3);
    long_after(&mut toy);
    assert!(toy.replicas(&v2) > Some(0), "nobody knows what lb-2 does");
    let balancers = &mut toy.snapshot.load_balancers;
    let instances = balancers.get_mut("edge").expect("edge");
    instances.insert(name("lb-2"), known);
    toy.reload("lb-2");
    is_let_run(&mut toy, &v2);
}

#[test]
fn traffic_4_of_a_task_that_the_swarm_has_forgotten_the_proxy_tells_how_long_it_drains() {
    let mut toy = Toy::stable(spec("v1"));
    toy.open_requests = 2;
    let v1 = toy.revision("v1");
    toy.fail_task();
    let failed = toy.snapshot.tasks.keys().next().expect("a task").clone();
    toy.swarm_moves();
    toy.snapshot.tasks.remove(&failed); // As with a task history of 0.
    let begun = toy.now;
    let server = |toy: &mut Toy| toy.server_of(&v1);
    let first = server(&mut toy);
    toy.until("it is cut", |toy| {
        let verbs = server_verbs(&toy.last);
        verbs.iter().any(|(_, verb)| *verb == ServerVerb::Cut)
    });
    assert!(
        toy.now >= Duration::from_secs(5).after(begun),
        "{first} too early"
    );
}

#[test]
fn traffic_4_a_process_that_began_just_before_is_no_other_case() {
    let mut toy = Toy::in_stage(held(spec("v2"), 50), 0);
    let v2 = toy.revision("v2");
    toy.reload("lb-1");
    toy.reload("lb-2");
    for proxy in toy.proxies() {
        proxy.uptime_secs = 1;
    }
    toy.turns(1);
    toy.command(Verb::Abort);
    toy.turns(1);
    until_drained(&mut toy, &v2);
}

#[test]
fn traffic_4_a_deletion_gives_an_old_process_its_time_too() {
    let (mut toy, v2) = reloaded_in_mid_drain();
    toy.delete(Dependents::Remove);
    until_drained(&mut toy, &v2);
    toy.until("the service is removed", |toy| toy.replicas(&v2).is_none());
}

#[test]
fn traffic_4_requests_of_a_task_that_died_have_their_time_to_go_elsewhere() {
    let mut toy = Toy::stable(spec("v1"));
    toy.open_requests = 2;
    toy.fail_task();
    let died = toy.now;
    toy.until("what hangs is cut in the end", |toy| {
        let verbs = server_verbs(&toy.last);
        verbs.iter().any(|(_, verb)| *verb == ServerVerb::Cut)
    });
    assert!(
        toy.now >= Duration::from_secs(5).after(died),
        "cut before the drain timeout"
    );
}

#[test]
fn traffic_4_what_the_swarm_gave_up_on_a_lost_node_is_not_waited_for() {
    let mut toy = Toy::stable(spec("v1"));
    let v1 = toy.revision("v1");
    toy.lose_node();
    toy.turns(20);
    let next_look = toy.plan().requeue_at;
    let soon = Duration::from_millis(500).after(toy.now);
    assert!(
        next_look.is_none_or(|at| at > soon),
        "nothing is being stopped: {next_look:?}"
    );

    toy.apply(spec("v2"));
    toy.until("v2 is stable and v1 has left", |toy| {
        toy.status.phase == Phase::Healthy && toy.said(&format!("{v1} has left")) == 1
    });
    let kept = toy.snapshot.tasks.values();
    let kept = kept.filter(|task| task.state == TaskState::Running && task.desired != task.state);
    assert_eq!(kept.count(), 1, "the Swarm calls it running still");
}

#[test]
fn traffic_4_a_task_that_swarm_stops_is_drained_at_once() {
    let mut toy = Toy::stable(spec("v1"));
    let mut smaller = spec("v1");
    smaller.replicas = 4;
    toy.apply(smaller);
    toy.until("the service is scaled", |toy| {
        toy.snapshot.services.values().all(|s| s.replicas == 4)
    });
    let doomed: Vec<_> = toy
        .snapshot
        .tasks
        .values()
        .filter(|task| task.desired != TaskState::Running)
        .map(|task| task.id.clone())
        .collect();
    assert_eq!(doomed.len(), 2);
    let plan = toy.plan();
    let drained = server_verbs(&plan.actions);
    for task in &doomed {
        let drains = drained
            .iter()
            .filter(|(name, verb)| name.is_of(task) && *verb == ServerVerb::Drain)
            .count();
        assert_eq!(drains, 2, "drained at both proxies");
    }
    assert!(
        !plan
            .actions
            .iter()
            .any(|a| matches!(a, Action::ScaleService { .. }))
    );
}

#[test]
fn traffic_4_a_server_that_begins_to_drain_late_has_its_time_all_the_same() {
    for away in [4, 60] {
        begins_to_drain_late(Duration::from_secs(away));
    }
}

fn begins_to_drain_late(away_for: Duration) {
    let mut toy = Toy::in_stage(held(spec("v2"), 50), 0);
    let v2 = toy.revision("v2");
    toy.open_requests = 2;
    // One proxy is away while the rollout is taken back.
    let away = toy.snapshot.load_balancers["edge"][&name("lb-2")].clone();
    toy.cut_off("lb-2");
    toy.command(Verb::Abort);
    toy.turns(3);
    toy.wait(away_for);
    toy.turns(3);
    let instances = toy.snapshot.load_balancers.get_mut("edge");
    instances
        .expect("the load balancer")
        .insert(name("lb-2"), away);
    let back = toy.now;
    let mut cut_at = None;
    while toy.replicas(&v2) > Some(0) && cut_at.is_none() {
        let plan = toy.turn();
        let cut = |action: &Action| match action {
            Action::ChangeServers(changes) => {
                changes.instance == name("lb-2")
                    && changes.changes.iter().any(|c| c.verb == ServerVerb::Cut)
            }
            _ => false,
        };
        if plan.actions.iter().any(cut) {
            cut_at = Some(toy.now);
        }
    }
    let cut_at = cut_at.expect("open requests that never end are cut");
    assert!(cut_at >= Duration::from_secs(5).after(back), "cut at once");
}
