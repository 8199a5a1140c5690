//! Queues that are to be there from the start.

use std::{collections::BTreeMap, str::FromStr};

/// A queue that a server has from the start: created when missing, else given these attributes.
///
/// As a text: `NAME[:KEY=VALUE,…]`, where a key is `dlq` (name of its dead-letter queue, created too), `max` (receives
/// before a message goes there, default 5), or any attribute of SQS's `SetQueueAttributes`. A name that ends in `.fifo`
/// is a FIFO queue's.
///
/// ```
/// let spec: localsqs::QueueSpec = "orders.fifo:dlq=orders-dead.fifo,max=3,VisibilityTimeout=60".parse()?;
/// assert_eq!(spec.name, "orders.fifo");
/// assert_eq!(spec.dead_letter_queue.as_deref(), Some("orders-dead.fifo"));
/// # Ok::<(), localsqs::QueueSpecError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueSpec {
    /// 1 to 80 letters, digits, hyphens and underscores; `.fifo` at the end makes it a FIFO queue.
    pub name: String,
    /// Where messages go that were received [`receives_max`](Self::receives_max) times.
    pub dead_letter_queue: Option<String>,
    /// 1 to 1,000. Only of use with a dead-letter queue.
    pub receives_max: u32,
    /// Attributes as `SetQueueAttributes` takes them.
    pub attributes: BTreeMap<String, String>,
}

/// What is wrong with a queue's text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueueSpecError {
    /// No name before the colon.
    #[error("the queue has no name: NAME[.fifo][:dlq=NAME,max=COUNT]")]
    NoName,
    /// A part without `=`.
    #[error("`{0}` is not KEY=VALUE")]
    NotAPair(String),
    /// Not a number from 1 to 1,000.
    #[error("max is `{0}`, it must be a number from 1 to 1000")]
    Max(String),
}

impl QueueSpec {
    /// A queue with default attributes.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            dead_letter_queue: None,
            receives_max: 5,
            attributes: BTreeMap::new(),
        }
    }
}

impl FromStr for QueueSpec {
    type Err = QueueSpecError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, options) = text.split_once(':').unwrap_or((text, ""));
        if name.is_empty() {
            return Err(QueueSpecError::NoName);
        }
        let mut spec = Self::new(name);
        for option in options.split(',').filter(|option| !option.is_empty()) {
            let (key, value) = option
                .split_once('=')
                .ok_or_else(|| QueueSpecError::NotAPair(option.to_owned()))?;
            match key {
                "dlq" => spec.dead_letter_queue = Some(value.to_owned()),
                "max" => {
                    spec.receives_max = value
                        .parse()
                        .ok()
                        .filter(|max| (1..=1_000).contains(max))
                        .ok_or_else(|| QueueSpecError::Max(value.to_owned()))?;
                }
                _ => {
                    spec.attributes.insert(key.to_owned(), value.to_owned());
                }
            }
        }
        Ok(spec)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_alone_is_a_queue_with_default_attributes() {
        assert_eq!("jobs".parse(), Ok(QueueSpec::new("jobs")));
    }

    #[test]
    fn faults_are_named() {
        assert_eq!(":dlq=a".parse::<QueueSpec>(), Err(QueueSpecError::NoName));
        assert_eq!(
            "a:dlq".parse::<QueueSpec>(),
            Err(QueueSpecError::NotAPair("dlq".to_owned()))
        );
        assert_eq!(
            "a:max=0".parse::<QueueSpec>(),
            Err(QueueSpecError::Max("0".to_owned()))
        );
    }
}
