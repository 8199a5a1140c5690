//! A hash tree as in RFC 9162 (Certificate Transparency 2.0), section 2.1, with SHA-256.

use sha2::{Digest, Sha256};

/// SHA-256.
pub type Hash = [u8; 32];

/// The hash of a leaf. Leaves and nodes are told apart by their first byte, so none passes for the other.
#[must_use]
pub fn leaf(content: &[u8]) -> Hash {
    Sha256::new()
        .chain_update([0])
        .chain_update(content)
        .finalize()
        .into()
}

fn node(left: &Hash, right: &Hash) -> Hash {
    let hash = Sha256::new().chain_update([1]);
    hash.chain_update(left)
        .chain_update(right)
        .finalize()
        .into()
}

/// Builds a root leaf by leaf, in memory that grows with the tree's height.
#[derive(Debug, Clone, Default)]
pub struct Builder {
    /// Whole subtrees from left to right, each smaller than the one before: their hashes and leaf counts.
    subtrees: Vec<(Hash, u64)>,
}

impl Builder {
    /// Adds the next leaf.
    pub fn push(&mut self, leaf: Hash) {
        let (mut hash, mut leaves) = (leaf, 1);
        while let Some((left, count)) = self.subtrees.pop_if(|(_, count)| *count == leaves) {
            hash = node(&left, &hash);
            leaves += count;
        }
        self.subtrees.push((hash, leaves));
    }

    /// The root of what was added so far; of nothing, the hash of nothing.
    #[must_use]
    pub fn root(&self) -> Hash {
        let hashes = self.subtrees.iter().rev().map(|(hash, _)| *hash);
        let root = hashes.reduce(|right, left| node(&left, &right));
        root.unwrap_or_else(|| Sha256::digest([]).into())
    }
}

/// The root over leaves.
#[must_use]
pub fn root(leaves: &[Hash]) -> Hash {
    let mut builder = Builder::default();
    leaves.iter().for_each(|leaf| builder.push(*leaf));
    builder.root()
}

/// The hashes with which leaf `at` is proved to be in the tree, from the leaf upwards; `None` when there is no such leaf.
#[must_use]
pub fn proof(leaves: &[Hash], at: usize) -> Option<Vec<Hash>> {
    let mut path = Vec::new();
    let (mut leaves, mut at) = (leaves, at);
    if at >= leaves.len() {
        return None;
    }
    while leaves.len() > 1 {
        // The largest power of two below the count.
        let half = leaves.len().next_power_of_two() / 2;
        let (left, right) = leaves.split_at(half);
        if at < half {
            path.push(root(right));
            leaves = left;
        } else {
            path.push(root(left));
            (leaves, at) = (right, at - half);
        }
    }
    path.reverse();
    Some(path)
}

/// Whether a proof holds: leaf number `at` of `count` is in the tree of this root (RFC 9162, 2.1.3.2).
#[must_use]
pub fn proves(leaf: Hash, at: u64, count: u64, proof: &[Hash], root: Hash) -> bool {
    if at >= count {
        return false;
    }
    let (mut fnode, mut snode, mut hash) = (at, count - 1, leaf);
    for step in proof {
        if snode == 0 {
            return false;
        }
        if fnode & 1 == 1 || fnode == snode {
            hash = node(step, &hash);
            while fnode & 1 == 0 && fnode != 0 {
                fnode >>= 1;
                snode >>= 1;
            }
        } else {
            hash = node(&hash, step);
        }
        fnode >>= 1;
        snode >>= 1;
    }
    snode == 0 && hash == root
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::{Builder, Hash, leaf, node, proof, proves, root};

    fn leaves(count: u32) -> Vec<Hash> {
        (0..count).map(|i| leaf(&i.to_be_bytes())).collect()
    }

    #[test]
    fn roots_are_those_of_certificate_transparency() {
        // The first leaves of the reference implementation's test data.
        let data: [&[u8]; 3] = [b"", b"\x00", b"\x10"];
        let leaves: Vec<Hash> = data.map(leaf).to_vec();
        let hex = |count: usize| hex::encode(root(&leaves[..count]));
        assert_eq!(
            hex(0),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(
            hex(1),
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
        );
        assert_eq!(
            hex(2),
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
        );
        assert_eq!(
            hex(3),
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"
        );
    }

    #[test]
    fn a_root_is_built_leaf_by_leaf_as_its_definition_splits_it() {
        fn defined(leaves: &[Hash]) -> Hash {
            match leaves {
                [one] => *one,
                many => {
                    let (left, right) = many.split_at(many.len().next_power_of_two() / 2);
                    node(&defined(left), &defined(right))
                }
            }
        }
        let all = leaves(70);
        let mut builder = Builder::default();
        for count in 1..=all.len() {
            builder.push(all[count - 1]);
            assert_eq!(builder.root(), defined(&all[..count]), "{count}");
        }
    }

    proptest! {
        #[test]
        fn a_proof_holds_for_its_leaf_and_for_no_other(count in 1_u32..200, at in 0_u32..200, other in 0_u32..200) {
            let (all, at, other) = (leaves(count), at % count, other % count);
            let root = root(&all);
            let path = proof(&all, at as usize).expect("a leaf");
            prop_assert!(path.len() <= 8);
            let holds = |leaf: u32, at: u32| {
                proves(all[leaf as usize], u64::from(at), u64::from(count), &path, root)
            };
            prop_assert!(holds(at, at));
            prop_assert_eq!(holds(other, at), other == at);
            prop_assert_eq!(holds(at, other), other == at);
            prop_assert!(!proves(all[at as usize], u64::from(at), u64::from(count), &path, [0; 32]));
        }
    }

    #[test]
    fn there_is_no_proof_of_what_is_not_there() {
        assert_eq!(proof(&leaves(3), 3), None);
        assert!(!proves([0; 32], 0, 0, &[], root(&[])));
    }
}
