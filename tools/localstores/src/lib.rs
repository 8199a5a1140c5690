//! Private real Postgres and Redis instances for one machine: found or installed, started, stopped.
