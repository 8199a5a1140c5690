//! SQS as it must be used: a micro-batching producer and a consumer runtime that loses nothing.
