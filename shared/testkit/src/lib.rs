//! Real Postgres and Redis, SQS and S3 endpoints, a chaos proxy and wait_for, for tests.
