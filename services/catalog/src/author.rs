//! Who asks for a change.

pub(crate) use steelyard_runtime::http::Author;
