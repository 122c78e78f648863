//! The future of a call: it is sent when it is first polled, and woken when its answer is back.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::super::SimWorld;
use super::{CallId, Reply, Request};

/// Waits for the answer to a call. The call begins when this is first polled.
pub(in crate::sim) struct Answer<'a> {
    world: &'a SimWorld,
    step: Step,
}

enum Step {
    Unsent(Option<Box<Request>>),
    Sent(CallId),
    Over,
}

impl<'a> Answer<'a> {
    pub fn to(world: &'a SimWorld, request: Request) -> Self {
        Self {
            world,
            step: Step::Unsent(Some(Box::new(request))),
        }
    }
}

impl Future for Answer<'_> {
    type Output = Reply;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Reply> {
        let world = self.world;
        let mut state = world.lock();
        if let Step::Unsent(request) = &mut self.step {
            let Some(request) = request.take() else {
                return Poll::Pending;
            };
            self.step = Step::Sent(state.send(world.caller, *request));
        }
        let Step::Sent(id) = self.step else {
            return Poll::Pending;
        };
        match state.take_reply(id, context.waker()) {
            Some(reply) => {
                self.step = Step::Over;
                Poll::Ready(reply)
            }
            None => Poll::Pending,
        }
    }
}

impl Drop for Answer<'_> {
    fn drop(&mut self) {
        if let Step::Sent(id) = self.step {
            self.world.lock().abandon(id);
        }
    }
}
