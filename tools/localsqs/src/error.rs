//! SQS's errors as its JSON protocol has them.

use http::StatusCode;

/// An error answer. `shape` goes into `__type`, `query_code` into the `x-amzn-query-error` header, from which clients of
/// the older query protocol's code names (boto3, the AWS CLI) still take theirs.
#[derive(Debug, Clone)]
pub(crate) struct Error {
    shape: &'static str,
    query_code: &'static str,
    status: StatusCode,
    message: String,
}

impl Error {
    const fn client(shape: &'static str, query_code: &'static str, message: String) -> Self {
        Self {
            shape,
            query_code,
            status: StatusCode::BAD_REQUEST,
            message,
        }
    }

    /// The code that stands in a batch's `Failed` entries and in `x-amzn-query-error`.
    pub(crate) const fn code(&self) -> &'static str {
        self.query_code
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    pub(crate) const fn status(&self) -> StatusCode {
        self.status
    }

    /// Whether the sender can mend it.
    pub(crate) fn sender_fault(&self) -> bool {
        self.status.is_client_error()
    }

    pub(crate) const fn shape(&self) -> &'static str {
        self.shape
    }

    pub(crate) fn invalid_parameter(message: impl Into<String>) -> Self {
        Self::client(
            "com.amazon.coral.service#InvalidParameterValueException",
            "InvalidParameterValue",
            message.into(),
        )
    }

    /// The usual form: `Value V for parameter P is invalid. Reason: R`.
    pub(crate) fn invalid_value(
        value: impl std::fmt::Display,
        parameter: &str,
        reason: &str,
    ) -> Self {
        Self::invalid_parameter(format!(
            "Value {value} for parameter {parameter} is invalid. Reason: {reason}"
        ))
    }

    pub(crate) fn missing_parameter(parameter: &str) -> Self {
        Self::client(
            "com.amazon.coral.service#MissingRequiredParameterException",
            "MissingParameter",
            format!("The request must contain the parameter {parameter}."),
        )
    }

    pub(crate) fn no_such_queue() -> Self {
        Self::client(
            "com.amazonaws.sqs#QueueDoesNotExist",
            "AWS.SimpleQueueService.NonExistentQueue",
            "The specified queue does not exist.".to_owned(),
        )
    }

    pub(crate) fn queue_name_exists(attribute: &str) -> Self {
        Self::client(
            "com.amazonaws.sqs#QueueNameExists",
            "QueueAlreadyExists",
            format!(
                "A queue already exists with the same name and a different value for attribute {attribute}"
            ),
        )
    }

    pub(crate) fn invalid_attribute_name(message: impl Into<String>) -> Self {
        Self::client(
            "com.amazonaws.sqs#InvalidAttributeName",
            "InvalidAttributeName",
            message.into(),
        )
    }

    pub(crate) fn invalid_attribute_value(attribute: &str) -> Self {
        Self::invalid_attribute_value_because(format!(
            "Invalid value for the parameter {attribute}."
        ))
    }

    pub(crate) fn invalid_attribute_value_because(message: impl Into<String>) -> Self {
        Self::client(
            "com.amazonaws.sqs#InvalidAttributeValue",
            "InvalidAttributeValue",
            message.into(),
        )
    }

    pub(crate) fn invalid_message_contents() -> Self {
        Self::client(
            "com.amazonaws.sqs#InvalidMessageContents",
            "InvalidMessageContents",
            "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to \
             #xFFFD | #x10000 to #x10FFFF"
                .to_owned(),
        )
    }

    pub(crate) fn receipt_handle_invalid(handle: &str) -> Self {
        Self::client(
            "com.amazonaws.sqs#ReceiptHandleIsInvalid",
            "ReceiptHandleIsInvalid",
            format!("The input receipt handle \"{handle}\" is not a valid receipt handle."),
        )
    }

    pub(crate) fn message_not_in_flight() -> Self {
        Self::client(
            "com.amazonaws.sqs#MessageNotInflight",
            "AWS.SimpleQueueService.MessageNotInflight",
            "The specified message isn't in flight.".to_owned(),
        )
    }

    pub(crate) fn empty_batch() -> Self {
        Self::client(
            "com.amazonaws.sqs#EmptyBatchRequest",
            "AWS.SimpleQueueService.EmptyBatchRequest",
            "There should be at least one entry in the request.".to_owned(),
        )
    }

    pub(crate) fn too_many_entries(count: usize) -> Self {
        Self::client(
            "com.amazonaws.sqs#TooManyEntriesInBatchRequest",
            "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
            format!("Maximum number of entries per request are 10. You have sent {count}."),
        )
    }

    pub(crate) fn batch_ids_not_distinct(id: &str) -> Self {
        Self::client(
            "com.amazonaws.sqs#BatchEntryIdsNotDistinct",
            "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
            format!("Id {id} repeated."),
        )
    }

    pub(crate) fn invalid_batch_id() -> Self {
        Self::client(
            "com.amazonaws.sqs#InvalidBatchEntryId",
            "AWS.SimpleQueueService.InvalidBatchEntryId",
            "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 \
             letters long."
                .to_owned(),
        )
    }

    pub(crate) fn batch_too_long(limit_bytes: usize, sent_bytes: usize) -> Self {
        Self::client(
            "com.amazonaws.sqs#BatchRequestTooLong",
            "AWS.SimpleQueueService.BatchRequestTooLong",
            format!(
                "Batch requests cannot be longer than {limit_bytes} bytes. You have sent {sent_bytes} bytes."
            ),
        )
    }

    pub(crate) fn purge_in_progress(queue: &str) -> Self {
        Self {
            status: StatusCode::FORBIDDEN,
            ..Self::client(
                "com.amazonaws.sqs#PurgeQueueInProgress",
                "AWS.SimpleQueueService.PurgeQueueInProgress",
                format!("Only one PurgeQueue operation on {queue} is allowed every 60 seconds."),
            )
        }
    }

    pub(crate) fn over_limit(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::FORBIDDEN,
            ..Self::client("com.amazonaws.sqs#OverLimit", "OverLimit", message.into())
        }
    }

    pub(crate) fn unsupported(message: impl Into<String>) -> Self {
        Self::client(
            "com.amazonaws.sqs#UnsupportedOperation",
            "AWS.SimpleQueueService.UnsupportedOperation",
            message.into(),
        )
    }

    pub(crate) fn invalid_address(url: &str) -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            ..Self::client(
                "com.amazonaws.sqs#InvalidAddress",
                "InvalidAddress",
                format!("The address {url} is not valid for this endpoint."),
            )
        }
    }

    pub(crate) fn resource_not_found(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            ..Self::client(
                "com.amazonaws.sqs#ResourceNotFoundException",
                "ResourceNotFoundException",
                message.into(),
            )
        }
    }

    pub(crate) fn unreadable(reason: impl std::fmt::Display) -> Self {
        Self::client(
            "com.amazon.coral.service#SerializationException",
            "SerializationException",
            format!("The request could not be read: {reason}"),
        )
    }

    pub(crate) fn unknown_operation(target: &str) -> Self {
        Self::client(
            "com.amazon.coral.service#UnknownOperationException",
            "InvalidAction",
            format!("The action {target} is not valid for this endpoint."),
        )
    }

    pub(crate) fn too_large(limit_bytes: usize) -> Self {
        Self {
            status: StatusCode::PAYLOAD_TOO_LARGE,
            ..Self::client(
                "com.amazon.coral.service#RequestEntityTooLargeException",
                "RequestEntityTooLarge",
                format!("The request is longer than {limit_bytes} bytes."),
            )
        }
    }

    /// The server cannot do it now: the disk is full, say, or it stops. Clients retry.
    pub(crate) fn unavailable(reason: impl std::fmt::Display) -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            ..Self::client(
                "com.amazon.coral.service#ServiceUnavailableException",
                "ServiceUnavailable",
                format!("{reason}"),
            )
        }
    }
}
