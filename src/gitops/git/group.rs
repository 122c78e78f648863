//! A program together with all that it calls, as `git` calls `ssh`: it is ended with them.

use std::io;

use tokio::process::{Child, Command};

/// A program in a process group of its own. All of the group is ended when this goes before the program has.
pub(super) struct Group(Child);

impl Group {
    /// Starts the program.
    pub fn spawn(command: &mut Command) -> io::Result<Self> {
        #[cfg(unix)]
        command.process_group(0);
        command.kill_on_drop(true).spawn().map(Self)
    }

    /// The program itself.
    pub const fn program(&mut self) -> &mut Child {
        &mut self.0
    }

    /// Ends all of it, and waits until the program is gone.
    pub async fn end(&mut self) {
        self.kill();
        // One that cannot be killed is none that could be waited for.
        drop(self.0.kill().await);
    }

    fn kill(&self) {
        #[cfg(unix)]
        {
            use rustix::process::{Pid, Signal, kill_process_group};
            // Without an id, it was waited for, and its number may be another one's.
            let id = self.0.id().and_then(|id| i32::try_from(id).ok());
            if let Some(group) = id.and_then(Pid::from_raw) {
                // Who is gone already need not be ended.
                let _ = kill_process_group(group, Signal::KILL);
            }
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}
