//! How what runs for ever is asked to end: by SIGINT (Ctrl-C) or SIGTERM, at any moment.

use std::future::Future;
use std::pin::pin;

use futures_util::future::BoxFuture;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use super::exit::{Exit, Failure};

/// Ends when the first signal has come.
pub type Shutdown = BoxFuture<'static, ()>;

/// Serves until a signal comes and what is served has found its end. A second signal ends it at once.
///
/// The signals are caught before anything is served, and the same ones to the end: a signal is never lost between two
/// that listen.
///
/// # Errors
/// When what is served fails, or the system lets no signal be caught.
pub async fn until_told<S>(serve: impl FnOnce(Shutdown) -> S) -> Result<Exit, Failure>
where
    S: Future<Output = Result<Exit, Failure>>,
{
    let mut signals = Signals::catch()?;
    let (tell, told) = oneshot::channel::<()>();
    let mut serving = pin!(serve(Box::pin(async {
        let _ = told.await;
    })));
    tokio::select! {
        ended = &mut serving => return ended,
        first = signals.next() => {
            tracing::info!("{} was received: stopping; another one ends it at once", first.name());
        }
    }
    drop(tell);
    tokio::select! {
        ended = serving => ended,
        second = signals.next() => Ok(second.exit()),
    }
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

/// Which one came.
#[derive(Clone, Copy)]
enum Came {
    Interrupt,
    Terminate,
}

impl Signals {
    fn catch() -> Result<Self, Failure> {
        let catch = |kind: SignalKind| {
            signal(kind).map_err(|error| Failure::No(format!("cannot catch signals: {error}")))
        };
        Ok(Self {
            interrupt: catch(SignalKind::interrupt())?,
            terminate: catch(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> Came {
        tokio::select! {
            _ = self.interrupt.recv() => Came::Interrupt,
            _ = self.terminate.recv() => Came::Terminate,
        }
    }
}

impl Came {
    const fn name(self) -> &'static str {
        match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
        }
    }

    const fn exit(self) -> Exit {
        match self {
            Self::Interrupt => Exit::Interrupted,
            Self::Terminate => Exit::Terminated,
        }
    }
}
