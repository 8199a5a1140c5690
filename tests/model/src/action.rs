//! What can happen, and which code it stands for.

use crate::state::{Command, Customer, Worker};

/// One step of somebody. A worker that is stalled is one whose steps do not come: nothing more is needed for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A poll brings the first so many messages of a group; SQS hands out no others of it until these are deleted or
    /// visible again.
    Receive(Worker, Customer, u8),
    /// `worker/turns.rs: Turns::take`, `scripts/acquire.lua`: one call for all customers in hand. Those that another
    /// has are handed back.
    Acquire(Worker),
    /// `worker/part.rs: Worker::attempt`: `db/load.rs: load`, then the plan, of this many messages of each customer:
    /// all, or the first (a set that was halved).
    Plan(Worker, u8),
    /// `worker/mod.rs: Worker::settle_in_parts`, or the plan's own verdict: this message is at fault by itself.
    Park(Worker, Customer),
    /// `worker/part.rs: Worker::write`, `db/commit.rs: commit` up to its `COMMIT`: fences and inbox are checked, and the
    /// rows are locked. Whose check fails is left out, and read again.
    Write(Worker),
    /// `db/commit.rs: commit`: `COMMIT` is answered.
    Commit(Worker),
    /// `worker/turns.rs: Turn::end`, `scripts/release.lua`, once every message has its verdict.
    Release(Worker),
    /// The consumer deletes, parks or hands back the first message of a customer in hand.
    Acknowledge(Worker, Customer),
    /// Postgres carries a commit out whose asker is gone (the n-th such).
    OrphanCommits(u8),
    /// Postgres drops a transaction whose asker is gone (the n-th such).
    OrphanAborts(u8),
    /// Redis forgets a lease whose time is over. A fault if its holder is still at work: it was not renewed.
    LeaseExpires(Customer),
    /// SQS shows messages again. A fault if their receiver is still at work: its heartbeat did not come.
    VisibilityExpires(Customer),
    /// `worker/part.rs: hold_lost`, `worker/mod.rs: Worker::wait_for`: the worker notices that the lease or the
    /// messages are lost, or something is away, and gives everything back. After a refusal that is no fault:
    /// `worker/mod.rs: RACES_MAX`.
    BreakOff(Worker),
    /// The connection to Postgres breaks while `COMMIT` is under way: nobody knows what became of it.
    ConnectionBreaks(Worker),
    /// A process dies and is started again; its leases and messages run out.
    Crash(Worker),
    /// Redis starts again with nothing in its memory. Its clock goes on.
    RedisRestarts,
    /// Redis fails over to a replica that has no lease, not the last token, and a clock that is far behind.
    RedisFailsOver,
    /// A producer's retry comes after SQS has forgotten the first: the command is in the queue again.
    DuplicateArrives(Customer, Command),
}
