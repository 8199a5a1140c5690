//! The only public door: authentication, validation, idempotent intake, reads passed through.
