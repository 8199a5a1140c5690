//! The queues and what holds between them. Knows nothing of HTTP or JSON.

pub(crate) mod core;
pub(crate) mod dedup;
mod fifo;
mod handles;
pub(crate) mod message;
#[cfg(test)]
mod model_tests;
pub(crate) mod moves;
pub(crate) mod queue;
pub(crate) mod receipt;
pub(crate) mod receive;
pub(crate) mod settings;
mod standard;
pub(crate) mod state;
mod transfer;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::{Mutex, RwLock};

use self::{
    core::Core,
    moves::MoveTasks,
    queue::Queue,
    settings::{AttributeMap, RedriveAllow, Settings},
    state::State,
};
use crate::{QueueSpec, error::Error};

/// Which queues there are, by name.
#[derive(Default)]
pub(crate) struct Registry {
    queues: RwLock<BTreeMap<Arc<str>, Arc<Queue>>>,
    /// `arn:aws:sqs:REGION:ACCOUNT:`
    arn_prefix: String,
}

impl Registry {
    pub(crate) fn by_name(&self, name: &str) -> Option<Arc<Queue>> {
        self.queues.read().get(name).cloned()
    }

    pub(crate) fn by_arn(&self, arn: &str) -> Option<Arc<Queue>> {
        self.by_name(arn.strip_prefix(&self.arn_prefix)?)
    }

    pub(crate) fn all(&self) -> Vec<Arc<Queue>> {
        self.queues.read().values().cloned().collect()
    }
}

pub(crate) struct Engine {
    pub(crate) core: Arc<Core>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) moves: MoveTasks,
    queues_max: usize,
    next_queue: AtomicU64,
    /// Creating and deleting queues takes turns, so that a name is never given twice.
    changing: Mutex<()>,
}

impl Engine {
    pub(crate) fn new(core: Arc<Core>, region: &str, account_id: &str, queues_max: usize) -> Self {
        let registry = Registry {
            queues: RwLock::default(),
            arn_prefix: format!("arn:aws:sqs:{region}:{account_id}:"),
        };
        Self {
            core,
            registry: Arc::new(registry),
            moves: MoveTasks::default(),
            queues_max,
            next_queue: AtomicU64::new(1),
            changing: Mutex::new(()),
        }
    }

    pub(crate) fn queue(&self, name: &str) -> Result<Arc<Queue>, Error> {
        self.registry.by_name(name).ok_or_else(Error::no_such_queue)
    }

    /// Creates a queue; gives the one that is there if it has the same attributes.
    pub(crate) async fn create(
        &self,
        name: &str,
        attributes: &AttributeMap,
        tags: AttributeMap,
    ) -> Result<Arc<Queue>, Error> {
        self.core.writable()?;
        let fifo = check_name(name, attributes)?;
        let mut settings = Settings::new(fifo);
        settings.apply(attributes)?;
        self.check_redrive(name, &settings, attributes)?;
        let (queue, logged_at) = {
            let _turn = self.changing.lock();
            if let Some(queue) = self.registry.by_name(name) {
                let present = queue.settings()?.to_attributes();
                let wanted = settings.to_attributes();
                let differs =
                    |attribute: &&String| present.get(*attribute) != wanted.get(*attribute);
                return match attributes.keys().find(differs) {
                    Some(attribute) => Err(Error::queue_name_exists(attribute)),
                    None => Ok(queue),
                };
            }
            if self.registry.queues.read().len() >= self.queues_max {
                return Err(Error::over_limit(format!(
                    "There are {} queues already.",
                    self.queues_max
                )));
            }
            let uid = self.next_queue.fetch_add(1, Ordering::Relaxed);
            let queue = self.build(
                uid,
                name,
                State::new(settings, tags, self.core.clock.now_ms()),
            );
            let logged_at = self
                .core
                .log(&queue.with(|state, _| queue.as_record(state))?);
            self.registry
                .queues
                .write()
                .insert(Arc::clone(&queue.name), Arc::clone(&queue));
            (queue, logged_at)
        };
        self.core.durable(logged_at).await?;
        Ok(queue)
    }

    fn build(&self, uid: u64, name: &str, state: State) -> Arc<Queue> {
        let arn = format!("{}{name}", self.registry.arn_prefix);
        Arc::new(Queue::new(uid, name, &arn, Arc::clone(&self.core), state))
    }

    pub(crate) async fn delete(&self, name: &str) -> Result<(), Error> {
        self.core.writable()?;
        let logged_at = {
            let _turn = self.changing.lock();
            let queue = self
                .registry
                .queues
                .write()
                .remove(name)
                .ok_or_else(Error::no_such_queue)?;
            queue.delete_queue()?
        };
        self.core.durable(logged_at).await
    }

    /// Sees to it that there is such a queue, with these attributes.
    pub(crate) async fn ensure(&self, spec: &QueueSpec) -> Result<(), Error> {
        let mut attributes = spec.attributes.clone();
        let fifo = |name: &str| {
            name.ends_with(".fifo")
                .then(|| ("FifoQueue".to_owned(), "true".to_owned()))
        };
        attributes.extend(fifo(&spec.name));
        if let Some(dead) = &spec.dead_letter_queue {
            if self.registry.by_name(dead).is_none() {
                self.create(dead, &fifo(dead).into_iter().collect(), AttributeMap::new())
                    .await?;
            }
            let policy = serde_json::json!({
                "deadLetterTargetArn": format!("{}{dead}", self.registry.arn_prefix),
                "maxReceiveCount": spec.receives_max,
            });
            attributes.insert("RedrivePolicy".to_owned(), policy.to_string());
        }
        match self.registry.by_name(&spec.name) {
            Some(queue) => self.set_attributes(&queue, &attributes).await,
            None => self
                .create(&spec.name, &attributes, AttributeMap::new())
                .await
                .map(drop),
        }
    }

    /// Changes a queue's attributes.
    pub(crate) async fn set_attributes(
        &self,
        queue: &Queue,
        attributes: &AttributeMap,
    ) -> Result<(), Error> {
        let mut settings = queue.settings()?;
        settings.apply(attributes)?;
        self.check_redrive(&queue.name, &settings, attributes)?;
        queue
            .configure(|settings, _| settings.apply(attributes))
            .await
    }

    /// A dead-letter queue must exist, be of the same kind, and allow it.
    fn check_redrive(
        &self,
        name: &str,
        settings: &Settings,
        given: &AttributeMap,
    ) -> Result<(), Error> {
        let (Some(redrive), Some(text)) = (&settings.redrive, given.get("RedrivePolicy")) else {
            return Ok(());
        };
        let refused = |reason: &str| Err(Error::invalid_value(text, "RedrivePolicy", reason));
        let Some(target) = self.registry.by_arn(&redrive.target_arn) else {
            return refused("Dead letter target does not exist.");
        };
        let target_settings = target.settings()?;
        if target_settings.fifo != settings.fifo {
            return refused("Dead-letter queue must be same type of queue as the source.");
        }
        let source_arn = format!("{}{name}", self.registry.arn_prefix);
        let allowed = match &target_settings.redrive_allow {
            RedriveAllow::All => true,
            RedriveAllow::None => false,
            RedriveAllow::Sources(arns) => arns.contains(&source_arn),
        };
        if allowed {
            Ok(())
        } else {
            refused("Dead-letter queue does not permit this source queue.")
        }
    }

    /// Queues that send their dead letters to `target`, by name.
    pub(crate) fn dead_letter_sources(&self, target: &Queue) -> Vec<Arc<Queue>> {
        let names_it = |queue: &Arc<Queue>| {
            let settings = queue.settings().ok();
            settings
                .and_then(|settings| settings.redrive)
                .is_some_and(|redrive| *redrive.target_arn == *target.arn)
        };
        self.registry.all().into_iter().filter(names_it).collect()
    }

    /// For the replay of the log: puts a queue in as it was.
    pub(crate) fn restore_queue(&self, uid: u64, name: &str, state: State) -> Arc<Queue> {
        self.next_queue.fetch_max(uid + 1, Ordering::Relaxed);
        let queue = self.build(uid, name, state);
        self.registry
            .queues
            .write()
            .insert(Arc::clone(&queue.name), Arc::clone(&queue));
        queue
    }

    /// For the replay of the log: takes a queue out again.
    pub(crate) fn forget_queue(&self, queue: &Queue) {
        let mut queues = self.registry.queues.write();
        if queues
            .get(&queue.name)
            .is_some_and(|present| present.uid == queue.uid)
        {
            queues.remove(&queue.name);
        }
    }
}

/// Checks a new queue's name; whether it is a FIFO queue's.
fn check_name(name: &str, attributes: &AttributeMap) -> Result<bool, Error> {
    let fifo_wanted = attributes
        .get("FifoQueue")
        .is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let fifo_named = name.ends_with(".fifo");
    let stem = name.strip_suffix(".fifo").unwrap_or(name);
    let valid = (1..=80).contains(&name.len())
        && !stem.is_empty()
        && stem
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if fifo_wanted && !(fifo_named && valid) {
        return Err(Error::invalid_parameter(
            "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end with \
             .fifo suffix and be 1 to 80 in length",
        ));
    }
    if !valid || fifo_named != fifo_wanted {
        return Err(Error::invalid_parameter(
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length",
        ));
    }
    Ok(fifo_named)
}
