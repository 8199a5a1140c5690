//! Names of keys in Redis.
//!
//! `{prefix:tag}:lease:<customer>` holds `owner:token` and expires with the lease;
//! `{prefix:tag}:token:<customer>` holds the last token.
//! What stands in braces is what a Redis cluster hashes: all keys of a tag lie on one node, so that one script may
//! touch them all.

/// Makes keys.
#[derive(Debug)]
pub(crate) struct Keys {
    prefix: String,
    tags: u16,
}

impl Keys {
    pub(crate) fn new(prefix: &str, tags: u16) -> Self {
        Self {
            prefix: prefix.to_owned(),
            tags: tags.max(1),
        }
    }

    /// The tag of a customer: FNV-1a, which all instances compute alike, unlike the standard library's hasher.
    pub(crate) fn tag(&self, customer: &str) -> u16 {
        let hash = customer
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
        u16::try_from(hash % u64::from(self.tags)).unwrap_or(0)
    }

    pub(crate) fn lease(&self, customer: &str) -> String {
        self.key(customer, "lease")
    }

    pub(crate) fn token(&self, customer: &str) -> String {
        self.key(customer, "token")
    }

    /// A key of each tag that is no customer's.
    pub(crate) fn probes(&self) -> impl Iterator<Item = String> {
        (0..self.tags).map(|tag| format!("{{{}:{tag}}}:probe", self.prefix))
    }

    fn key(&self, customer: &str, kind: &str) -> String {
        format!(
            "{{{}:{}}}:{kind}:{customer}",
            self.prefix,
            self.tag(customer)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_of_a_tag_lie_on_one_node() {
        let keys = Keys::new("orders", 4);
        assert_eq!(
            keys.lease("17850"),
            format!("{{orders:{}}}:lease:17850", keys.tag("17850"))
        );
        let used: std::collections::BTreeSet<u16> =
            (0..200).map(|n| keys.tag(&n.to_string())).collect();
        assert_eq!(used.len(), 4);
        assert_eq!(Keys::new("orders", 0).tag("17850"), 0);
    }
}
