//! Settings that are a whole file: its path, or its text where there is no folder to put a file into.

use std::fmt::Display;
use std::fs;

use steelyard_runtime::config::Reader;

/// Reads what the setting `name` is set to, `from`, by `parse`; what is wrong with it becomes a fault of `reader`. A text
/// has more than one line, and a path has not.
pub(crate) fn read<T, E: Display>(
    reader: &mut Reader<'_>,
    name: &'static str,
    from: &str,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Option<T> {
    let parsed = if from.contains('\n') {
        parse(from).map_err(|error| error.to_string())
    } else {
        fs::read_to_string(from)
            .map_err(|error| error.to_string())
            .and_then(|text| parse(&text).map_err(|error| error.to_string()))
            .map_err(|why| format!("{from}: {why}"))
    };
    parsed.map_err(|why| reader.fault(name, why)).ok()
}
