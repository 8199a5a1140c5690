//! The contract: what SQS does, case by case.

pub(crate) mod batches;
pub(crate) mod fifo;
pub(crate) mod messages;
pub(crate) mod queues;
pub(crate) mod redrive;
pub(crate) mod visibility;
