//! What operators need of this service: the maintenance state, how the workers are, what was done (the audit), and
//! what a message would do (the dry run). The gateway holds the public routes; it reads dead letters and sends.
//!
//! **Invariant:** a worker that cannot read the maintenance state keeps the one it knows, and one that has never read
//! it takes nothing from the queue.

mod audit;
mod dry_run;
mod fleet;
mod maintenance;
mod pulse;
mod steer;

pub(crate) use audit::{append, list};
pub(crate) use dry_run::{DryRunError, dry_run};
pub(crate) use fleet::workers;
pub(crate) use maintenance::{load, set};
pub(crate) use pulse::{Observed, Pulse};
pub(crate) use steer::{Known, Steer};
