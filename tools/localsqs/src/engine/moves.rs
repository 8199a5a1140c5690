//! `StartMessageMoveTask`: dead letters on their way back.
//!
//! One task per source queue at a time, as on AWS. Tasks live in memory: after a restart none is running, and every
//! message is in the one queue or the other.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Registry, core::Core, message::Message, queue::Queue};
use crate::error::Error;

/// Tasks remembered, of all queues together. AWS shows up to ten per queue.
const TASKS_MAX: usize = 1_000;
/// Messages moved under one hold of the queue's lock.
const BATCH_MESSAGES_MAX: usize = 100;
/// AWS's limit for `MaxNumberOfMessagesPerSecond`.
pub(crate) const MESSAGES_PER_SECOND_MAX: u64 = 500;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Running,
    Completed,
    Cancelling,
    Cancelled,
    Failed(&'static str),
}

pub(crate) struct MoveTask {
    pub(crate) id: Uuid,
    pub(crate) source_arn: Arc<str>,
    pub(crate) destination_arn: Option<String>,
    pub(crate) messages_per_second_max: Option<u64>,
    pub(crate) started_ms: u64,
    pub(crate) to_move: u64,
    pub(crate) moved: AtomicU64,
    status: Mutex<Status>,
    cancel: CancellationToken,
}

impl MoveTask {
    pub(crate) fn status(&self) -> Status {
        *self.status.lock()
    }
}

#[derive(Default)]
pub(crate) struct MoveTasks(Mutex<VecDeque<Arc<MoveTask>>>);

/// What a move is to do.
pub(crate) struct Move {
    pub(crate) source: Arc<Queue>,
    /// `None`: each message goes back to where it came from.
    pub(crate) destination: Option<Arc<Queue>>,
    pub(crate) messages_per_second_max: Option<u64>,
}

impl MoveTasks {
    pub(crate) fn start(
        &self,
        order: Move,
        core: &Arc<Core>,
        registry: &Arc<Registry>,
    ) -> Result<Arc<MoveTask>, Error> {
        let to_move = order.source.with(|state, _| state.visible())?;
        let task = {
            let mut tasks = self.0.lock();
            let active = |task: &Arc<MoveTask>| {
                task.source_arn == order.source.arn
                    && matches!(task.status(), Status::Running | Status::Cancelling)
            };
            if tasks.iter().any(active) {
                return Err(Error::invalid_parameter(
                    "There is already a task running. Only one active task is allowed for a source queue arn at a \
                     given time.",
                ));
            }
            let task = Arc::new(MoveTask {
                id: Uuid::new_v4(),
                source_arn: Arc::clone(&order.source.arn),
                destination_arn: order
                    .destination
                    .as_ref()
                    .map(|queue| queue.arn.to_string()),
                messages_per_second_max: order.messages_per_second_max,
                started_ms: core.clock.now_ms(),
                to_move: to_move as u64,
                moved: AtomicU64::new(0),
                status: Mutex::new(Status::Running),
                cancel: core.stop.child_token(),
            });
            tasks.push_front(Arc::clone(&task));
            if tasks.len() > TASKS_MAX {
                tasks.pop_back();
            }
            task
        };
        tokio::spawn(run(
            Arc::clone(&task),
            order,
            Arc::clone(core),
            Arc::clone(registry),
        ));
        Ok(task)
    }

    /// The latest tasks of one source, newest first.
    pub(crate) fn of_source(&self, source_arn: &str, max: usize) -> Vec<Arc<MoveTask>> {
        self.0
            .lock()
            .iter()
            .filter(|task| *task.source_arn == *source_arn)
            .take(max)
            .cloned()
            .collect()
    }

    /// Asks a task to stop; gives the number of messages moved so far.
    pub(crate) fn cancel(&self, source_arn: &str, id: Uuid) -> Result<u64, Error> {
        let tasks = self.0.lock();
        let task = tasks
            .iter()
            .find(|task| task.id == id && *task.source_arn == *source_arn)
            .ok_or_else(|| Error::resource_not_found("Task does not exist."))?;
        let mut status = task.status.lock();
        if *status != Status::Running {
            return Err(Error::invalid_parameter(
                "Only active tasks can be cancelled.",
            ));
        }
        *status = Status::Cancelling;
        task.cancel.cancel();
        Ok(task.moved.load(Ordering::Relaxed))
    }
}

async fn run(task: Arc<MoveTask>, order: Move, core: Arc<Core>, registry: Arc<Registry>) {
    let outcome = tokio::select! {
        outcome = move_all(&task, &order, &core, &registry) => outcome,
        () = task.cancel.cancelled() => Status::Cancelled,
    };
    *task.status.lock() = outcome;
}

async fn move_all(task: &MoveTask, order: &Move, core: &Core, registry: &Registry) -> Status {
    const GONE: Status = Status::Failed("AWS.SimpleQueueService.NonExistentQueue");
    // Looked up for each message: a queue deleted meanwhile must take none with it.
    let target = |message: &Message| match &order.destination {
        Some(queue) => registry
            .by_arn(&queue.arn)
            .filter(|present| present.uid == queue.uid),
        None => registry.by_arn(message.dead_letter_source.as_deref()?),
    };
    loop {
        let batch = order
            .messages_per_second_max
            .map_or(BATCH_MESSAGES_MAX, |_| 1);
        match core
            .writable()
            .and_then(|()| order.source.move_out(batch, target))
        {
            Err(_) => return GONE,
            Ok((0, 0)) => return Status::Completed,
            Ok((moved, stuck)) => {
                task.moved.fetch_add(moved as u64, Ordering::Relaxed);
                if stuck > 0 {
                    return if order.destination.is_some() {
                        GONE
                    } else {
                        Status::Failed("CouldNotDetermineMessageSource")
                    };
                }
            }
        }
        if let Some(rate) = order.messages_per_second_max {
            let next_ms = core.clock.now_ms() + 1_000 / rate.max(1);
            core.clock.sleep_until_ms(next_ms).await;
        } else {
            // Other work of this thread gets its turn between batches.
            tokio::task::yield_now().await;
        }
    }
}
