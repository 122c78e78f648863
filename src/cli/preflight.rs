//! tmp
use super::args::{PreflightArgs, Target};
use super::console::Console;
use super::exit::{Exit, Failure};
pub async fn run(_a: &PreflightArgs, _t: &Target, _c: &mut Console) -> Result<Exit, Failure> {
    Ok(Exit::Done)
}
