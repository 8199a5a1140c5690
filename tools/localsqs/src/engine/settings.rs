//! A queue's attributes: reading, checking, and giving them back as SQS words them.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::error::Error;

/// Attributes as they travel and as the log keeps them.
pub(crate) type AttributeMap = BTreeMap<String, String>;

/// Largest message and largest batch, in bytes (1 MiB since August 2025).
pub(crate) const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// Longest visibility timeout, counted from the receive, in seconds (12 hours).
pub(crate) const VISIBILITY_SECONDS_MAX: u64 = 43_200;

/// Where messages go that were received too often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Redrive {
    pub(crate) target_arn: String,
    pub(crate) receives_max: u32,
}

/// Which queues may name this one as their dead-letter queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RedriveAllow {
    All,
    None,
    Sources(Vec<String>),
}

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) fifo: bool,
    pub(crate) visibility_seconds: u64,
    pub(crate) delay_seconds: u64,
    pub(crate) retention_seconds: u64,
    pub(crate) wait_seconds: u64,
    pub(crate) message_bytes_max: usize,
    pub(crate) content_based_deduplication: bool,
    pub(crate) deduplicate_per_group: bool,
    pub(crate) redrive: Option<Redrive>,
    pub(crate) redrive_allow: RedriveAllow,
    /// Attributes that are kept and given back, and change nothing here: policies, encryption, the throughput mode.
    /// Also the raw text of those that are given back as they were sent.
    verbatim: AttributeMap,
}

impl Settings {
    /// A new queue's settings. `fifo` comes from the name's suffix.
    pub(crate) fn new(fifo: bool) -> Self {
        Self {
            fifo,
            visibility_seconds: 30,
            delay_seconds: 0,
            retention_seconds: 345_600,
            wait_seconds: 0,
            message_bytes_max: MESSAGE_BYTES_MAX,
            content_based_deduplication: false,
            deduplicate_per_group: false,
            redrive: None,
            redrive_allow: RedriveAllow::All,
            verbatim: AttributeMap::new(),
        }
    }

    /// Takes over `attributes`; on an error some may have been taken: work on a copy.
    pub(crate) fn apply(&mut self, attributes: &AttributeMap) -> Result<(), Error> {
        for (name, value) in attributes {
            self.set(name, value)?;
        }
        if self
            .verbatim
            .get("KmsMasterKeyId")
            .is_some_and(|key| !key.is_empty())
            && attributes
                .get("SqsManagedSseEnabled")
                .is_some_and(|enabled| enabled == "true")
        {
            return Err(Error::invalid_attribute_value_because(
                "You can use one type of server-side encryption (SSE) at one time. You can either enable KMS SSE or \
                 SQS SSE.",
            ));
        }
        let per_group_throughput = self
            .verbatim
            .get("FifoThroughputLimit")
            .is_some_and(|limit| limit == "perMessageGroupId");
        if per_group_throughput && !self.deduplicate_per_group {
            return Err(Error::invalid_attribute_value_because(
                "Invalid value for the parameter FifoThroughputLimit. Reason: perMessageGroupId needs \
                 DeduplicationScope to be messageGroup.",
            ));
        }
        Ok(())
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), Error> {
        match name {
            "VisibilityTimeout" => {
                self.visibility_seconds = number(name, value, 0, VISIBILITY_SECONDS_MAX)?;
            }
            "DelaySeconds" => self.delay_seconds = number(name, value, 0, 900)?,
            "MessageRetentionPeriod" => {
                self.retention_seconds = number(name, value, 60, 1_209_600)?;
            }
            "ReceiveMessageWaitTimeSeconds" => self.wait_seconds = number(name, value, 0, 20)?,
            "MaximumMessageSize" => {
                let bytes = number(name, value, 1_024, MESSAGE_BYTES_MAX as u64)?;
                self.message_bytes_max = usize::try_from(bytes).unwrap_or(MESSAGE_BYTES_MAX);
            }
            "FifoQueue" => match (self.fifo, boolean(name, value)?) {
                (true, true) => {}
                (true, false) => {
                    return Err(Error::invalid_attribute_value_because(
                        "Invalid value for the parameter FifoQueue. Reason: Modifying queue type is not supported.",
                    ));
                }
                (false, _) => {
                    return Err(Error::invalid_attribute_name(
                        "Unknown Attribute FifoQueue.",
                    ));
                }
            },
            "ContentBasedDeduplication" if self.fifo => {
                self.content_based_deduplication = boolean(name, value)?;
            }
            "ContentBasedDeduplication" => {
                return Err(Error::invalid_attribute_name(
                    "Unknown Attribute ContentBasedDeduplication.",
                ));
            }
            "DeduplicationScope" | "FifoThroughputLimit" if !self.fifo => {
                return Err(Error::invalid_attribute_name(format!(
                    "You can specify the {name} only when FifoQueue is set to true."
                )));
            }
            "DeduplicationScope" => {
                self.deduplicate_per_group = one_of(name, value, "queue", "messageGroup")?;
                self.keep(name, value);
            }
            "FifoThroughputLimit" => {
                one_of(name, value, "perQueue", "perMessageGroupId")?;
                self.keep(name, value);
            }
            "RedrivePolicy" => {
                self.redrive = parse_redrive(value)?;
                self.keep(name, value);
            }
            "RedriveAllowPolicy" => {
                self.redrive_allow = parse_redrive_allow(value)?;
                self.keep(name, value);
            }
            "KmsDataKeyReusePeriodSeconds" => {
                number(name, value, 60, 86_400)?;
                self.keep(name, value);
            }
            "KmsMasterKeyId" => {
                self.keep(name, value);
                self.verbatim
                    .insert("SqsManagedSseEnabled".to_owned(), "false".to_owned());
            }
            "SqsManagedSseEnabled" => {
                boolean(name, value)?;
                self.keep(name, &value.to_ascii_lowercase());
            }
            "Policy" => {
                if !value.is_empty() && serde_json::from_str::<Value>(value).is_err() {
                    return Err(Error::invalid_attribute_value(name));
                }
                self.keep(name, value);
            }
            _ => {
                return Err(Error::invalid_attribute_name(format!(
                    "Unknown Attribute {name}."
                )));
            }
        }
        Ok(())
    }

    /// An empty text takes an attribute away again.
    fn keep(&mut self, name: &str, value: &str) {
        if value.is_empty() {
            self.verbatim.remove(name);
        } else {
            self.verbatim.insert(name.to_owned(), value.to_owned());
        }
    }

    /// All settable attributes, as `GetQueueAttributes` words them.
    pub(crate) fn to_attributes(&self) -> AttributeMap {
        let mut map = self.to_log();
        map.entry("SqsManagedSseEnabled".to_owned())
            .or_insert_with(|| "true".to_owned());
        if self.fifo {
            map.insert("FifoQueue".to_owned(), "true".to_owned());
            map.entry("DeduplicationScope".to_owned())
                .or_insert_with(|| "queue".to_owned());
            map.entry("FifoThroughputLimit".to_owned())
                .or_insert_with(|| "perQueue".to_owned());
        }
        map
    }

    /// What [`Settings::apply`] turns into these settings again.
    pub(crate) fn to_log(&self) -> AttributeMap {
        let mut map = self.verbatim.clone();
        let mut put = |name: &str, value: String| map.insert(name.to_owned(), value);
        put("VisibilityTimeout", self.visibility_seconds.to_string());
        put("DelaySeconds", self.delay_seconds.to_string());
        put("MessageRetentionPeriod", self.retention_seconds.to_string());
        put(
            "ReceiveMessageWaitTimeSeconds",
            self.wait_seconds.to_string(),
        );
        put("MaximumMessageSize", self.message_bytes_max.to_string());
        if self.fifo {
            put(
                "ContentBasedDeduplication",
                self.content_based_deduplication.to_string(),
            );
        }
        map
    }

    pub(crate) fn policy(&self) -> Option<&str> {
        self.verbatim.get("Policy").map(String::as_str)
    }

    pub(crate) fn set_policy(&mut self, policy: &str) {
        self.keep("Policy", policy);
    }
}

fn number(name: &str, value: &str, min: u64, max: u64) -> Result<u64, Error> {
    match value.parse::<u64>() {
        Ok(number) if (min..=max).contains(&number) => Ok(number),
        _ => Err(Error::invalid_attribute_value(name)),
    }
}

fn boolean(name: &str, value: &str) -> Result<bool, Error> {
    if value.eq_ignore_ascii_case("true") {
        Ok(true)
    } else if value.eq_ignore_ascii_case("false") {
        Ok(false)
    } else {
        Err(Error::invalid_attribute_value(name))
    }
}

fn one_of(name: &str, value: &str, first: &str, second: &str) -> Result<bool, Error> {
    if value == second {
        Ok(true)
    } else if value == first {
        Ok(false)
    } else {
        Err(Error::invalid_attribute_value(name))
    }
}

fn parse_redrive(text: &str) -> Result<Option<Redrive>, Error> {
    if text.is_empty() {
        return Ok(None);
    }
    let refused = |reason: &str| Error::invalid_value(text, "RedrivePolicy", reason);
    let policy: Value = serde_json::from_str(text)
        .ok()
        .filter(Value::is_object)
        .ok_or_else(|| refused("Redrive policy is not a valid JSON map."))?;
    let target_arn = policy
        .get("deadLetterTargetArn")
        .and_then(Value::as_str)
        .ok_or_else(|| {
            refused("Redrive policy does not contain mandatory attribute: deadLetterTargetArn.")
        })?;
    let receives = policy.get("maxReceiveCount").ok_or_else(|| {
        refused("Redrive policy does not contain mandatory attribute: maxReceiveCount.")
    })?;
    // The console sends a number, many templates a text.
    let receives_max = receives
        .as_u64()
        .or_else(|| receives.as_str().and_then(|text| text.parse().ok()))
        .and_then(|count| u32::try_from(count).ok())
        .filter(|count| (1..=1_000).contains(count))
        .ok_or_else(|| {
            refused("Invalid value for maxReceiveCount: must be an integer between 1 and 1000.")
        })?;
    Ok(Some(Redrive {
        target_arn: target_arn.to_owned(),
        receives_max,
    }))
}

fn parse_redrive_allow(text: &str) -> Result<RedriveAllow, Error> {
    if text.is_empty() {
        return Ok(RedriveAllow::All);
    }
    let refused = || Error::invalid_attribute_value("RedriveAllowPolicy");
    let policy: Value = serde_json::from_str(text).map_err(|_| refused())?;
    let sources = || {
        let arns = policy
            .get("sourceQueueArns")
            .and_then(Value::as_array)
            .ok_or_else(refused)?;
        arns.iter()
            .map(|arn| arn.as_str().map(str::to_owned).ok_or_else(refused))
            .collect::<Result<Vec<_>, _>>()
    };
    match policy.get("redrivePermission").and_then(Value::as_str) {
        Some("allowAll") => Ok(RedriveAllow::All),
        Some("denyAll") => Ok(RedriveAllow::None),
        // AWS allows up to ten named sources.
        Some("byQueue") => match sources()? {
            arns if (1..=10).contains(&arns.len()) => Ok(RedriveAllow::Sources(arns)),
            _ => Err(refused()),
        },
        _ => Err(refused()),
    }
}
