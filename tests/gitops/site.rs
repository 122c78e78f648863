//! A store, a desk, and the sources of a controller that holds the lease.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rolloutctl::api::{OnDrift, Prune};
use rolloutctl::gitops::{Desk, Gitops, Listing, SourceOptions, Tended};
use rolloutctl::reconcile::Inbox;
use rolloutctl::runtime::{Runtime, Tokio};
use rolloutctl::world::Lease;

use crate::manifests::place;
use crate::store::Memory;

/// How long a condition is waited for.
const PATIENCE: Duration = Duration::from_secs(120);

pub struct Site {
    pub store: Arc<Memory>,
    pub desk: Arc<Desk>,
    pub inbox: Arc<Inbox>,
    pub gitops: Gitops,
    lease: Lease,
}

/// A source whose listings the test lays on the desk.
pub fn source(prune: Prune, on_drift: OnDrift) -> SourceOptions {
    let mut source =
        SourceOptions::directory(Path::new("/specs"), prune, on_drift).expect("a path");
    source.place = place();
    source
}

impl Site {
    /// A site whose source is read by nobody: the test lays its listings on the desk.
    pub fn new(prune: Prune, on_drift: OnDrift) -> Self {
        Self::begin(Arc::default(), vec![source(prune, on_drift)])
    }

    /// Another controller with the same store.
    pub fn begin(store: Arc<Memory>, sources: Vec<SourceOptions>) -> Self {
        let inbox = Arc::new(Inbox::default());
        let desk = Arc::new(Desk::new(inbox.clone()));
        let runtime: Arc<dyn Runtime> = Arc::new(Tokio::default());
        Self {
            lease: store.lease(),
            gitops: Gitops::with_desk(sources, desk.clone(), runtime),
            store,
            desk,
            inbox,
        }
    }

    /// A site whose sources are really read.
    pub fn reading(store: Arc<Memory>, sources: Vec<SourceOptions>) -> Self {
        Self::reading_by(Arc::new(Tokio::default()), store, sources)
    }

    /// The same, with other pauses and time limits.
    pub fn reading_by(
        runtime: Arc<dyn Runtime>,
        store: Arc<Memory>,
        sources: Vec<SourceOptions>,
    ) -> Self {
        let mut site = Self::begin(store, sources.clone());
        for source in &sources {
            runtime.spawn(source.read(site.desk.clone(), runtime.clone()));
        }
        site.gitops = Gitops::with_desk(sources, site.desk.clone(), runtime);
        site
    }

    pub async fn tend(&mut self) -> Tended {
        self.try_tend().await.expect("a willing store")
    }

    pub async fn try_tend(&mut self) -> Result<Tended, rolloutctl::world::WorldError> {
        let contents = self.store.all();
        self.gitops
            .tend(self.store.as_ref(), &self.lease, &contents)
            .await
    }

    /// Tends until nothing is left to be done; then nothing more is written (SAFETY-5).
    pub async fn settle(&mut self) {
        for _ in 0..100 {
            let before = self.store.writes();
            self.tend().await;
            self.tend().await;
            if self.store.writes() == before {
                return;
            }
        }
        panic!("it never comes to rest: {:#?}", self.store.source());
    }

    /// The source says this, and all follows from it.
    pub async fn say(&mut self, listing: Listing) {
        self.desk
            .deliver(listing, "2026-03-01T12:00:00Z".parse().expect("an instant"));
        self.settle().await;
    }

    /// Tends whenever something is new, as the controller does, until `holds`.
    pub async fn until(&mut self, what: &str, holds: impl Fn(&Memory) -> bool) {
        let waiting = async {
            loop {
                self.tend().await;
                if holds(&self.store) {
                    return;
                }
                // What is new at the desk, or what another hand does to the store: the controller looks now and then.
                let runtime = Tokio::default();
                tokio::select! {
                    () = self.inbox.news() => {}
                    () = runtime.sleep(Duration::from_millis(50)) => {}
                }
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(
            waited.is_ok(),
            "never: {what}; {:#?}; {:?}",
            self.store.source(),
            self.store.images()
        );
    }
}
