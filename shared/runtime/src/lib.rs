//! What every service runs on: configuration, telemetry, HTTP kit, shutdown.
