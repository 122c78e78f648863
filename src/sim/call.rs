//! Calls: a request on its way to a neighbour, and its answer on its way back.

use std::collections::{BTreeMap, BTreeSet};
use std::task::Waker;

use super::agenda::Event;
use super::faults::{CrashAt, Fate, LastCall, Target, Way};
use super::journal::{ControllerId, What, Who};
use super::state::State;
use super::time::Micros;
use crate::action::Action;
use crate::snapshot::InstanceFact;

mod answer;
mod request;
mod silence;

pub(super) use answer::Answer;
pub(super) use request::{Reply, Request};
use silence::Silences;

/// One call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct CallId(u64);

/// The part of a call that arrives somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leg {
    /// The whole call, or the Swarm's part of a look.
    Main,
    /// The question to the how-manieth instance of a look.
    Instance(usize),
}

/// A call under way.
#[derive(Debug)]
struct Pending {
    who: ControllerId,
    request: Request,
    way: Way,
    /// What the instances of a look answered, each with what becomes of the question to it.
    instances: Vec<(Way, Option<InstanceFact>)>,
    /// The instances, by their numbers, that it waits for in vain.
    silent: Vec<usize>,
    /// How many of its parts have not arrived yet.
    under_way: usize,
    reply: Option<Reply>,
    ended: bool,
    waker: Option<Waker>,
    caller: Caller,
}

impl Pending {
    /// Whether it may be forgotten: all of it has arrived, and nobody waits for its answer. What arrives
    /// later than its caller waits is not forgotten before.
    fn is_over(&self) -> bool {
        self.ended && self.under_way == 0 && self.caller == Caller::Gone
    }
}

/// Whether anybody waits for the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Caller {
    Waits,
    Gone,
}

/// All calls under way, and who is to die at which.
#[derive(Debug, Default)]
pub(super) struct Calls {
    last: u64,
    pending: BTreeMap<CallId, Pending>,
    crashes: BTreeMap<ControllerId, CrashAt>,
    silences: Silences,
    pub dead: BTreeSet<ControllerId>,
    pub begun: BTreeMap<ControllerId, u64>,
}

/// What the death of its caller does to a call that is begun.
enum Death {
    No,
    Unsent,
    Unanswered,
}

impl Calls {
    pub fn crash(&mut self, who: ControllerId, at: CrashAt) {
        self.crashes.insert(who, at);
    }

    pub fn spare(&mut self) {
        self.crashes.clear();
    }

    fn death(&mut self, who: ControllerId) -> Death {
        *self.begun.entry(who).or_insert(0) += 1;
        if self.dead.contains(&who) {
            return Death::Unsent;
        }
        let Some(crash) = self.crashes.get_mut(&who) else {
            return Death::No;
        };
        crash.calls = crash.calls.saturating_sub(1);
        if crash.calls > 0 {
            return Death::No;
        }
        let last = crash.last;
        self.crashes.remove(&who);
        self.dead.insert(who);
        match last {
            LastCall::Done => Death::Unanswered,
            LastCall::NotDone => Death::Unsent,
        }
    }
}

impl State {
    /// Sends a request: from here on it happens, whatever becomes of its caller.
    fn send(&mut self, who: ControllerId, request: Request) -> CallId {
        self.calls.last += 1;
        let id = CallId(self.calls.last);
        let was_dead = self.calls.dead.contains(&who);
        let death = self.calls.death(who);
        if !was_dead && self.calls.dead.contains(&who) {
            self.journal.note(Who::Controller(who), || What::Crashed);
        }
        let mut pending = Pending {
            who,
            way: Way::Lost,
            instances: Vec::new(),
            silent: Vec::new(),
            under_way: 0,
            reply: None,
            ended: false,
            waker: None,
            caller: Caller::Waits,
            request,
        };
        match death {
            Death::Unsent => {}
            Death::No | Death::Unanswered => {
                let ends = self.dispatch(id, &mut pending);
                if matches!(death, Death::No) {
                    self.plan(ends, Event::Answer(id));
                }
            }
        }
        self.calls.pending.insert(id, pending);
        self.settle();
        id
    }

    /// Plans when a request arrives; says how long the caller will wait.
    fn dispatch(&mut self, id: CallId, pending: &mut Pending) -> Micros {
        if let Request::Measure(question, limit) = &pending.request {
            let (key, window) = (question.key.clone(), question.window);
            self.journal
                .note(Who::Controller(pending.who), || What::Asked(key, window));
            let (outcome, takes) = self.sample(question, *limit);
            pending.reply = Some(Reply::Sampled(outcome));
            return takes;
        }
        let fate = self.fate_of(pending);
        pending.way = fate.way;
        if fate.way != Way::Lost {
            pending.under_way += 1;
            self.plan(fate.arrives, Event::Arrive(id, Leg::Main));
        }
        let looks = self.ask_instances(id, pending);
        fate.ends.max(looks)
    }

    /// What becomes of a request, but for the instances' parts of a look.
    fn fate_of(&mut self, pending: &mut Pending) -> Fate {
        if let Request::Act(action) = &pending.request
            && let Action::ChangeServers(changes) = action.as_ref()
        {
            return self.fate_of_change(pending.who, changes, &mut pending.silent);
        }
        self.fate(pending.request.target())
    }

    /// Asks the instances of a look, all at once; says how long that takes.
    fn ask_instances(&mut self, id: CallId, pending: &mut Pending) -> Micros {
        let Request::Observe(instances) = &pending.request else {
            return 0;
        };
        let who = pending.who;
        self.journal.note(Who::Controller(who), || What::Looked);
        let mut ends = 0;
        for (index, (load_balancer, name)) in instances.iter().enumerate() {
            let fate = self.fate_of_look(who, load_balancer, name, &mut pending.silent);
            pending.instances.push((fate.way, None));
            if fate.way != Way::Lost {
                pending.under_way += 1;
                self.plan(fate.arrives, Event::Arrive(id, Leg::Instance(index)));
            }
            ends = ends.max(fate.ends);
        }
        ends
    }

    fn fate(&mut self, target: Target) -> Fate {
        let rates = self.faults.rates(target, self.now);
        let usual = match target {
            Target::Swarm | Target::Store | Target::Lease => self.pace.swarm,
            Target::Haproxy => self.pace.proxy,
            Target::Source => self.pace.source,
        };
        Fate::draw(&mut self.random, &rates, self.faults.slow, usual, target)
    }

    /// A part of a call reaches its neighbour.
    pub(super) fn arrive(&mut self, id: CallId, leg: Leg) {
        let Some(mut pending) = self.calls.pending.remove(&id) else {
            return;
        };
        pending.under_way = pending.under_way.saturating_sub(1);
        match leg {
            Leg::Instance(index) => {
                if let (Request::Observe(instances), Some(place)) =
                    (&pending.request, pending.instances.get_mut(index))
                {
                    let (load_balancer, name) = &instances[index];
                    place.1 = Some(self.instance_fact(load_balancer, name));
                }
            }
            Leg::Main => self.arrive_whole(&mut pending),
        }
        if !pending.is_over() {
            self.calls.pending.insert(id, pending);
        }
    }

    /// A call reaches its neighbour, all of it. What a proxy reads after its caller has given up is nobody's decision any more.
    fn arrive_whole(&mut self, pending: &mut Pending) {
        if pending.ended
            && let Request::Act(action) = &pending.request
            && let Action::ChangeServers(changes) = action.as_ref()
        {
            // Nobody is told how that went.
            let _ = self.change_servers(Who::World, changes, pending.way);
            return;
        }
        let reply = self.perform(pending.who, &pending.request, pending.way);
        pending.reply = Some(match pending.way {
            Way::Through => reply,
            Way::Twice => self.perform(pending.who, &pending.request, pending.way),
            Way::Lost | Way::ReplyLost | Way::Partly => pending.request.unanswered(),
        });
    }

    /// Does what is asked, now.
    fn perform(&mut self, who: ControllerId, request: &Request, way: Way) -> Reply {
        let rates = self.faults.rates(request.target(), self.now);
        match request {
            Request::Observe(_) => Reply::Observed(Ok(self.swarm_snapshot(&rates))),
            Request::Act(action) => Reply::Done(self.do_action(who, action, &rates, way)),
            Request::ReadLog(job) => Reply::Log(self.job_log(job)),
            Request::Load => Reply::Loaded(Ok(self.load(&rates))),
            Request::Create(draft) => Reply::Done(self.create_stored(who, draft)),
            Request::Replace(id, version, draft) => {
                Reply::Done(self.replace_stored(who, id, *version, draft, &rates))
            }
            Request::Remove(id) => {
                self.remove_stored(Who::Controller(who), id);
                Reply::Done(Ok(()))
            }
            Request::Sources => Reply::Sources(Ok(self.store.told.clone())),
            Request::Tell(seen, status) => {
                Reply::Done(self.tell_source(who, seen.as_deref(), status))
            }
            Request::Lease => Reply::Lease(Ok(self.read_lease(&rates))),
            Request::TakeLease(seen, holder) => {
                Reply::Taken(self.write_lease(who, seen.as_ref(), holder, &rates))
            }
            // Its answer was worked out when it was sent.
            Request::Measure(..) => request.unanswered(),
        }
    }

    /// A call's answer comes back, or its caller gives up.
    pub(super) fn answer(&mut self, id: CallId) {
        let Some(pending) = self.calls.pending.get_mut(&id) else {
            return;
        };
        pending.ended = true;
        for instance in pending.silent.drain(..) {
            self.calls.silences.begin(pending.who, instance);
        }
        let reply = pending
            .reply
            .take()
            .unwrap_or_else(|| pending.request.unanswered());
        pending.reply = Some(with_instances(reply, pending));
        self.woken.extend(pending.waker.take());
        if let (Request::Measure(question, _), Some(Reply::Sampled(outcome))) =
            (&pending.request, &pending.reply)
        {
            let told = (question.key.clone(), outcome.clone());
            let who = Who::Controller(pending.who);
            self.journal.note(who, || What::Answered(told.0, told.1));
        }
        if pending.is_over() {
            self.calls.pending.remove(&id);
        }
    }

    fn take_reply(&mut self, id: CallId, waker: &Waker) -> Option<Reply> {
        let pending = self.calls.pending.get_mut(&id)?;
        if pending.ended {
            let reply = pending.reply.take();
            pending.caller = Caller::Gone;
            if pending.is_over() {
                self.calls.pending.remove(&id);
            }
            return reply;
        }
        match &mut pending.waker {
            Some(known) if known.will_wake(waker) => {}
            place => *place = Some(waker.clone()),
        }
        None
    }

    fn abandon(&mut self, id: CallId) {
        if let Some(pending) = self.calls.pending.get_mut(&id) {
            pending.caller = Caller::Gone;
            pending.waker = None;
            if pending.is_over() {
                self.calls.pending.remove(&id);
            }
        }
    }
}

/// Puts what the instances answered into the snapshot of a look.
fn with_instances(reply: Reply, pending: &mut Pending) -> Reply {
    let Reply::Observed(Ok(mut snapshot)) = reply else {
        return reply;
    };
    let Request::Observe(instances) = &pending.request else {
        return Reply::Observed(Ok(snapshot));
    };
    for ((load_balancer, name), (way, fact)) in instances.iter().zip(&mut pending.instances) {
        let heard = match way {
            Way::Through | Way::Twice => fact.take(),
            Way::Lost | Way::ReplyLost | Way::Partly => None,
        };
        let fact = heard.unwrap_or_else(|| InstanceFact::Unreachable {
            problem: "no answer".into(),
        });
        let group = snapshot.load_balancers.entry(load_balancer.clone());
        group.or_default().insert(name.clone(), fact);
    }
    Reply::Observed(Ok(snapshot))
}
