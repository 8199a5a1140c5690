//! What a pack says of a document.

use serde::{Deserialize, Serialize};
use time::Date;
use uuid::Uuid;

use crate::Error;
use crate::tree::{Hash, leaf};

/// What a document is, by whoever packs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// Its id.
    pub id: Uuid,
    /// What it is.
    pub kind: String,
    /// Its number.
    pub number: String,
    /// Whose it is.
    pub customer: String,
    /// The day that it bears.
    pub issued_on: Date,
    /// Its name in the zip: a relative path.
    pub name: String,
}

/// A document in a pack: a line of the index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its id.
    pub id: Uuid,
    /// What it is.
    pub kind: String,
    /// Its number.
    pub number: String,
    /// Whose it is.
    pub customer: String,
    /// The day that it bears, `2026-11-25`.
    #[serde(with = "day")]
    pub issued_on: Date,
    /// Its name in the zip.
    pub name: String,
    /// Where its bytes begin in the file.
    pub offset: u64,
    /// How many there are.
    pub bytes: u64,
    /// Their SHA-256.
    #[serde(with = "digits")]
    pub sha256: Hash,
}

impl Entry {
    /// The line of the index, without its line break. The fields' order is the struct's, so it is the same always.
    pub(crate) fn line(&self) -> Result<Vec<u8>, Error> {
        Ok(serde_json::to_vec(self)?)
    }

    /// The leaf of the hash tree.
    ///
    /// # Errors
    /// Never, but for a bug in the serializer.
    pub fn leaf(&self) -> Result<Hash, Error> {
        Ok(leaf(&self.line()?))
    }
}

time::serde::format_description!(day, Date, "[year]-[month]-[day]");

mod digits {
    use std::borrow::Cow;

    use serde::de::{Deserialize as _, Deserializer, Error as _};
    use serde::ser::Serializer;

    use crate::tree::Hash;

    pub(super) fn serialize<S: Serializer>(hash: &Hash, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&hex::encode(hash))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Hash, D::Error> {
        let text = Cow::<str>::deserialize(from)?;
        let mut hash = [0; 32];
        hex::decode_to_slice(text.as_ref(), &mut hash).map_err(D::Error::custom)?;
        Ok(hash)
    }
}
