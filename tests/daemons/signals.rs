//! SIGINT and SIGTERM at every moment of a controller's life.

use super::daemon::{Daemon, Signal};
use super::engine::{Engine, Manner};

fn controller(engine: &Engine) -> Daemon {
    let arguments = ["controller", "--identity", "me", "--listen", "127.0.0.1:0"];
    Daemon::start(&arguments, |command| {
        command.env("DOCKER_HOST", engine.host());
    })
}

#[tokio::test]
async fn a_controller_that_connects_ends_well() {
    for signal in [Signal::Interrupt, Signal::Terminate] {
        let engine = Engine::start();
        engine.be(Manner::Silent, "/version");
        let mut controller = controller(&engine);
        engine.asked("/version").await;
        controller.signal(signal).await;
        controller.ends_well().await;
    }
}

#[tokio::test]
async fn a_controller_whose_first_turn_waits_ends_well_and_gives_the_lease_back() {
    let engine = Engine::start();
    engine.be(Manner::Silent, "/services");
    let mut controller = controller(&engine);
    engine.asked("/services").await;
    assert_eq!(engine.holder().as_deref(), Some("me"));
    controller.signal(Signal::Terminate).await;
    controller.ends_well().await;
    assert_eq!(engine.holder().as_deref(), Some(""), "given back");
}

#[tokio::test]
async fn a_controller_that_cannot_even_read_the_lease_ends_well() {
    let engine = Engine::start();
    engine.be(Manner::Silent, "/configs");
    let mut controller = controller(&engine);
    engine.asked("/configs").await;
    controller.signal(Signal::Interrupt).await;
    controller.ends_well().await;
}

#[tokio::test]
async fn a_controller_that_cannot_give_its_lease_back_ends_well() {
    let engine = Engine::start();
    let mut controller = controller(&engine);
    engine.asked("/services").await;
    engine.be(Manner::Silent, "/configs/lease/update");
    controller.signal(Signal::Terminate).await;
    controller.ends_well().await;
    let log = controller.log();
    assert!(log.contains("the lease was not given back"), "{log}");
}

#[tokio::test]
async fn a_second_signal_ends_a_controller_at_once() {
    for (signal, code) in [(Signal::Interrupt, 130), (Signal::Terminate, 143)] {
        let engine = Engine::start();
        engine.be(Manner::Silent, "/services");
        let mut controller = controller(&engine);
        engine.asked("/services").await;
        controller.signal(signal).await;
        controller.says("stopping").await;
        controller.signal(signal).await;
        assert_eq!(controller.exit_code().await, Some(code), "{signal:?}");
        assert_eq!(
            engine.holder().as_deref(),
            Some("me"),
            "nothing more is done"
        );
    }
}
