//! Opaque keyset cursors: where a page ended, bound to the list that it belongs to.
//!
//! A cursor is a position and gives no right to anything: every query keeps its own filters. Its
//! checksum is there so that a damaged cursor, or one of another list or filter, is a clear refusal
//! and never a page from nowhere.
//!
//! ```
//! use steelyard_store::cursor;
//!
//! let list = ["products", "category=toys"];
//! let text = cursor::seal(&list, &("85123A", 7))?;
//! assert_eq!(cursor::open::<(String, i64)>(&list, &text)?, ("85123A".to_owned(), 7));
//! assert!(cursor::open::<(String, i64)>(&["products", "category=tools"], &text).is_err());
//! # Ok::<(), cursor::InvalidCursor>(())
//! ```

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

/// Longer texts are refused unread.
const CHARS_MAX: usize = 2_048;
/// Bytes of the checksum in front of the position.
const SUM_BYTES: usize = 8;

/// The text is no cursor of this list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor that this list gave with these filters")]
pub struct InvalidCursor;

/// Writes `position` (the sort key of a page's last row) as a cursor of `list`: its name and
/// everything that decides which rows it holds, in a fixed order.
///
/// # Errors
/// [`InvalidCursor`] when the position has no JSON form or is longer than a cursor may be.
pub fn seal<K: Serialize>(list: &[&str], position: &K) -> Result<String, InvalidCursor> {
    let position = serde_json::to_vec(position).map_err(|_| InvalidCursor)?;
    let mut bytes = checksum(list, &position).to_vec();
    bytes.extend_from_slice(&position);
    let text = URL_SAFE_NO_PAD.encode(bytes);
    if text.len() > CHARS_MAX {
        return Err(InvalidCursor);
    }
    Ok(text)
}

/// Reads a cursor of `list` back.
///
/// # Errors
/// [`InvalidCursor`] when it was changed, or belongs to another list or filter.
pub fn open<K: DeserializeOwned>(list: &[&str], text: &str) -> Result<K, InvalidCursor> {
    if text.len() > CHARS_MAX {
        return Err(InvalidCursor);
    }
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidCursor)?;
    let (sum, position) = bytes.split_at_checked(SUM_BYTES).ok_or(InvalidCursor)?;
    if sum != checksum(list, position) {
        return Err(InvalidCursor);
    }
    serde_json::from_slice(position).map_err(|_| InvalidCursor)
}

fn checksum(list: &[&str], position: &[u8]) -> [u8; SUM_BYTES] {
    let mut hash = Sha256::new();
    for part in list {
        // Lengths keep the parts apart: ["ab", "c"] is not ["a", "bc"].
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.update(position);
    let mut sum = [0; SUM_BYTES];
    sum.copy_from_slice(&hash.finalize()[..SUM_BYTES]);
    sum
}

#[cfg(test)]
mod tests {
    use super::{InvalidCursor, open, seal};

    #[test]
    fn a_cursor_opens_only_in_its_own_list_and_unchanged() {
        let list = ["orders", "customer=a", "status="];
        let text = seal(&list, &(7_i64, "x")).expect("a cursor");
        assert_eq!(open(&list, &text), Ok((7_i64, "x".to_owned())));

        let opened = |list: &[&str], text: &str| open::<(i64, String)>(list, text);
        let shifted = ["orders", "customer=", "astatus="];
        assert_eq!(opened(&shifted, &text), Err(InvalidCursor));
        for i in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[i] = if changed[i] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).expect("ASCII");
            assert_eq!(opened(&list, &changed), Err(InvalidCursor), "at {i}");
        }
        let long = "A".repeat(3_000);
        for bad in ["", "A", "!!!!", "AAAAAAAAAAA", "äöü", long.as_str()] {
            assert_eq!(opened(&list, bad), Err(InvalidCursor), "{bad}");
        }
        assert!(seal(&list, &long).is_err());
    }
}
