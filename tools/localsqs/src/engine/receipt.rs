//! Receipt handles: opaque to clients, a place and a number to us.

use base64::{Engine as _, engine::general_purpose::URL_SAFE};

use crate::error::Error;

/// What a handle says: which message of which queue, and which of its receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Receipt {
    pub(crate) queue: u64,
    pub(crate) message: u64,
    pub(crate) receipt: u64,
}

const BYTES: usize = 28;

impl Receipt {
    pub(crate) fn encode(self) -> String {
        let mut bytes = [0_u8; BYTES];
        bytes[..8].copy_from_slice(&self.queue.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.message.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.receipt.to_be_bytes());
        let checksum = crc32fast::hash(&bytes[..24]);
        bytes[24..].copy_from_slice(&checksum.to_be_bytes());
        URL_SAFE.encode(bytes)
    }

    pub(crate) fn decode(handle: &str) -> Result<Self, Error> {
        let invalid = || Error::receipt_handle_invalid(handle);
        let mut buffer = [0_u8; BYTES + 2];
        let length = URL_SAFE
            .decode_slice(handle, &mut buffer)
            .map_err(|_| invalid())?;
        if length != BYTES {
            return Err(invalid());
        }
        let field = |at: usize| {
            let mut bytes = [0_u8; 8];
            bytes.copy_from_slice(&buffer[at..at + 8]);
            u64::from_be_bytes(bytes)
        };
        if crc32fast::hash(&buffer[..24]).to_be_bytes() != buffer[24..BYTES] {
            return Err(invalid());
        }
        Ok(Self {
            queue: field(0),
            message: field(8),
            receipt: field(16),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Receipt;

    #[test]
    fn a_handle_decodes_to_what_it_was_made_of() {
        let receipt = Receipt {
            queue: 3,
            message: u64::MAX,
            receipt: 77,
        };
        assert_eq!(Receipt::decode(&receipt.encode()).unwrap(), receipt);
    }

    #[test]
    fn a_handle_with_a_changed_character_is_refused() {
        let handle = Receipt {
            queue: 1,
            message: 2,
            receipt: 3,
        }
        .encode();
        for at in 0..handle.len() {
            let mut changed = handle.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert!(
                Receipt::decode(std::str::from_utf8(&changed).unwrap()).is_err(),
                "at {at}"
            );
        }
        for garbage in ["", "garbage", "AAAA", "ÄÖÜ"] {
            assert!(Receipt::decode(garbage).is_err());
        }
    }
}
