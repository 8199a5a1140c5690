//! Between the SDK's types and ours.

use std::time::Duration;

use aws_sdk_sqs::error::{BuildError, DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::{
    BatchResultErrorEntry, Message, MessageAttributeValue, MessageSystemAttributeName,
};

use crate::message::{AttributeValue, Attributes, Received};
use crate::transport::{EntryError, EntryResults, TransportError};

/// Entry ids are positions, so that results find their entries again.
pub(super) fn entry_id(position: usize) -> String {
    position.to_string()
}

/// Whole seconds, rounded up so that a short visibility does not become none.
pub(super) fn seconds(duration: Duration) -> i32 {
    let rounded = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    i32::try_from(rounded).unwrap_or(i32::MAX)
}

/// Puts the two lists of a batch answer back into the order of the entries.
/// An entry that is in neither list counts as failed: silence is no success.
pub(super) fn in_order<T>(
    entries: usize,
    successful: impl Iterator<Item = (String, T)>,
    failed: Vec<BatchResultErrorEntry>,
) -> EntryResults<T> {
    let mut results: EntryResults<T> = (0..entries).map(|_| Err(EntryError::missing())).collect();
    let mut put = |id: &str, result: Result<T, EntryError>| {
        if let Some(slot) = id
            .parse::<usize>()
            .ok()
            .and_then(|position| results.get_mut(position))
        {
            *slot = result;
        }
    };
    for (id, value) in successful {
        put(&id, Ok(value));
    }
    for entry in failed {
        let error = EntryError {
            code: entry.code,
            message: entry.message.unwrap_or_default(),
            sender_fault: entry.sender_fault,
        };
        put(&entry.id, Err(error));
    }
    results
}

pub(super) fn attribute_out(
    value: &AttributeValue,
) -> Result<MessageAttributeValue, TransportError> {
    let builder = MessageAttributeValue::builder();
    match value {
        AttributeValue::Text { data_type, value } => {
            builder.data_type(data_type.as_ref()).string_value(value)
        }
        AttributeValue::Binary { data_type, value } => builder
            .data_type(data_type.as_ref())
            .binary_value(Blob::new(value.clone())),
    }
    .build()
    .map_err(build_error)
}

fn attribute_in(value: MessageAttributeValue) -> AttributeValue {
    let data_type = value.data_type.into();
    match (value.string_value, value.binary_value) {
        (_, Some(binary)) => AttributeValue::Binary {
            data_type,
            value: binary.into_inner(),
        },
        (text, None) => AttributeValue::Text {
            data_type,
            value: text.unwrap_or_default(),
        },
    }
}

/// A message without id or receipt handle could be neither tracked nor deleted; SQS never sends one.
pub(super) fn received(message: Message) -> Option<Received> {
    let mut system = message.attributes.unwrap_or_default();
    let number = |system: &std::collections::HashMap<_, String>, name| {
        system.get(&name).and_then(|text| text.parse::<i64>().ok())
    };
    let receive_count =
        number(&system, MessageSystemAttributeName::ApproximateReceiveCount).unwrap_or(1);
    let first_received_at_ms = number(
        &system,
        MessageSystemAttributeName::ApproximateFirstReceiveTimestamp,
    );
    let sent_at_ms = number(&system, MessageSystemAttributeName::SentTimestamp);
    let attributes: Attributes = message
        .message_attributes
        .unwrap_or_default()
        .into_iter()
        .map(|(name, value)| (name, attribute_in(value)))
        .collect();
    Some(Received {
        message_id: message.message_id?,
        receipt_handle: message.receipt_handle?,
        body: message.body.unwrap_or_default(),
        attributes,
        group_id: system.remove(&MessageSystemAttributeName::MessageGroupId),
        dedup_id: system.remove(&MessageSystemAttributeName::MessageDeduplicationId),
        sequence_number: system.remove(&MessageSystemAttributeName::SequenceNumber),
        receive_count: u32::try_from(receive_count).unwrap_or(1),
        first_received_at_ms,
        sent_at_ms,
    })
}

#[expect(clippy::needless_pass_by_value, reason = "used as map_err's argument")]
pub(super) fn build_error(error: BuildError) -> TransportError {
    TransportError::Refused {
        code: "InvalidRequest".to_owned(),
        message: error.to_string(),
    }
}

pub(super) fn call_error<E>(error: &SdkError<E>) -> TransportError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match error {
        SdkError::TimeoutError(_) => {
            TransportError::Timeout(DisplayErrorContext(error).to_string())
        }
        SdkError::DispatchFailure(failure) if failure.is_timeout() => {
            TransportError::Timeout(DisplayErrorContext(error).to_string())
        }
        SdkError::ServiceError(service) => {
            let code = service.err().code().unwrap_or("Unknown").to_owned();
            let message = service.err().message().unwrap_or_default().to_owned();
            classify(service.raw().status().as_u16(), code, message)
        }
        SdkError::ConstructionFailure(_) => TransportError::Refused {
            code: "InvalidRequest".to_owned(),
            message: DisplayErrorContext(error).to_string(),
        },
        _ => TransportError::Unreachable(DisplayErrorContext(error).to_string()),
    }
}

fn classify(status: u16, code: String, message: String) -> TransportError {
    let short = code.rsplit('.').next().unwrap_or(&code);
    match short {
        "NonExistentQueue" | "QueueDoesNotExist" => TransportError::NoSuchQueue(message),
        "Throttling"
        | "ThrottlingException"
        | "RequestThrottled"
        | "TooManyRequestsException"
        | "OverLimit"
        | "KmsThrottled"
        | "SlowDown" => TransportError::Throttled { code, message },
        // A role that is being rotated or a clock that is being set: the next attempt may carry a valid signature.
        "ExpiredToken"
        | "ExpiredTokenException"
        | "RequestExpired"
        | "InternalError"
        | "InternalFailure"
        | "ServiceUnavailable" => TransportError::Unavailable { code, message },
        _ if status == 429 => TransportError::Throttled { code, message },
        _ if status >= 500 => TransportError::Unavailable { code, message },
        _ => TransportError::Refused { code, message },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_back_in_the_order_of_the_entries_and_a_missing_one_is_a_failure() {
        let failed = BatchResultErrorEntry::builder()
            .id("0")
            .code("InternalError")
            .sender_fault(false)
            .build()
            .expect("complete");
        let results = in_order(
            4,
            [("2".to_owned(), 'c'), ("1".to_owned(), 'b')].into_iter(),
            vec![failed],
        );
        assert_eq!(
            results[0].as_ref().map_err(|e| e.code.as_str()),
            Err("InternalError")
        );
        assert_eq!(results[1], Ok('b'));
        assert_eq!(results[2], Ok('c'));
        assert_eq!(results[3], Err(EntryError::missing()));
        let stray = in_order(
            1,
            [("9".to_owned(), 'x'), ("no number".to_owned(), 'y')].into_iter(),
            Vec::new(),
        );
        assert_eq!(stray, vec![Err(EntryError::missing())]);
    }

    #[test]
    fn seconds_are_rounded_up() {
        for (given, expected) in [(0, 0), (1, 1), (1_000, 1), (1_001, 2), (60_000, 60)] {
            assert_eq!(
                seconds(Duration::from_millis(given)),
                expected,
                "{given} ms"
            );
        }
    }

    #[test]
    fn error_codes_are_sorted_by_what_helps() {
        let retryable =
            |status, code: &str| classify(status, code.to_owned(), String::new()).is_retryable();
        assert!(retryable(400, "AWS.SimpleQueueService.NonExistentQueue"));
        assert!(retryable(403, "RequestThrottled"));
        assert!(retryable(500, "Unknown"));
        assert!(retryable(400, "ExpiredTokenException"));
        assert!(!retryable(400, "InvalidMessageContents"));
        assert!(!retryable(403, "AccessDenied"));
    }
}
