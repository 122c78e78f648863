//! What can be typed to make something else of manifests than what stands in them.

use clap::Args;

use crate::gitops::Branch;
use crate::manifest::{Edits, Need, Overlay, Setting};

/// What is made of the manifests before anything is done with them.
#[derive(Clone, Debug, Default, Args)]
pub struct EditArgs {
    /// Read manifests with the overlay of this name; one that has none of this name is read as it stands
    #[arg(long, value_name = "NAME", requires = "files")]
    pub overlay: Option<String>,
    /// The branch that {{ branch }} stands for in the overlay's `metadata.name`
    #[arg(long, value_name = "NAME", requires = "overlay")]
    pub branch: Option<Branch>,
    /// Set a field of the Rollouts in the manifests, such as spec.template.image=web:1.4.2; of one alone with its
    /// name before it: news-web:spec.replicas=3. May be repeated
    #[arg(long, value_name = "[NAME:]PATH=VALUE", requires = "files")]
    pub set: Vec<Setting>,
}

impl EditArgs {
    /// The same for who reads manifests.
    pub fn edits(&self) -> Edits {
        let overlay = self.overlay.as_ref().map(|name| Overlay {
            names: vec![name.clone()],
            need: Need::Required,
            branch: self
                .branch
                .as_ref()
                .map(|branch| branch.as_str().to_owned()),
        });
        Edits {
            overlay,
            settings: self.set.clone(),
        }
    }
}
