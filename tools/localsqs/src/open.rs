//! From a configuration to an engine with everything in it that the storage holds.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU64, AtomicUsize},
};

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    Config, Storage,
    engine::{Engine, core::Core},
    journal::{Source, replay},
    server::StartError,
};

pub(crate) fn open_engine(config: Config, stop: CancellationToken) -> Result<Engine, StartError> {
    let core = Core {
        clock: config.clock,
        journal: OnceLock::new(),
        stop,
        in_flight_messages_max: config.in_flight_messages_max,
        stored_bytes_max: config.stored_bytes_max,
        stored_bytes: AtomicUsize::new(0),
        next_seq: AtomicU64::new(1),
        // Begins anywhere, so that a handle from before a restart is never taken for one from after it.
        next_receipt: AtomicU64::new((Uuid::new_v4().as_u64_pair().0 >> 1) | 1),
    };
    let engine = Engine::new(
        Arc::new(core),
        &config.region,
        &config.account_id,
        config.queues_max,
    );
    if let Storage::Durable(directory) = &config.storage {
        let opened = replay::open(directory)?;
        let end = opened.replay(&engine)?;
        let source = Source {
            registry: Arc::downgrade(&engine.registry),
        };
        let journal = opened.start_log(end, source, config.log_bytes_before_compaction)?;
        // Set once, here: the replay above must not be logged again.
        let _ = engine.core.journal.set(journal);
    }
    Ok(engine)
}
