//! BLAKE3 in keyed mode, one key per role, and the BLAKE2b that the chain recomputes.
//!
//! Source: `protocol.md` section 3. An inner node is exactly one 64-byte block of BLAKE3.

use blake2::Digest as _;

/// A 256-bit hash.
pub type Digest = [u8; 32];

/// The keys that keep the uses of BLAKE3 apart.
pub mod role {
    use std::sync::LazyLock;

    fn derive(role: &str) -> [u8; 32] {
        blake3::derive_key(&format!("haulout v1 {role}"), &[])
    }

    static SYMBOL: LazyLock<[u8; 32]> = LazyLock::new(|| derive("symbol"));
    static NODE: LazyLock<[u8; 32]> = LazyLock::new(|| derive("node"));
    static PAIR: LazyLock<[u8; 32]> = LazyLock::new(|| derive("pair"));
    static SEGMENT: LazyLock<[u8; 32]> = LazyLock::new(|| derive("segment"));

    /// Key for leaves: the symbols of a sliver.
    pub fn symbol_key() -> &'static [u8; 32] {
        &SYMBOL
    }

    /// Key for inner nodes of every Merkle tree.
    pub fn node_key() -> &'static [u8; 32] {
        &NODE
    }

    /// Key for the two roots of a sliver pair.
    pub fn pair_key() -> &'static [u8; 32] {
        &PAIR
    }

    /// Key for the commitment of a segment.
    pub fn segment_key() -> &'static [u8; 32] {
        &SEGMENT
    }
}

fn hash_two(key: &[u8; 32], left: &Digest, right: &Digest) -> Digest {
    let mut block = [0; 64];
    block[..32].copy_from_slice(left);
    block[32..].copy_from_slice(right);
    *blake3::keyed_hash(key, &block).as_bytes()
}

/// Leaf of a sliver's tree: the symbol, zero-padded to whole 64-byte blocks.
pub fn hash_symbol(symbol: &[u8]) -> Digest {
    let padding = symbol.len().next_multiple_of(64) - symbol.len();
    let mut hasher = blake3::Hasher::new_keyed(role::symbol_key());
    *hasher.update(symbol).update(&[0; 64][..padding]).finalize().as_bytes()
}

/// Inner node of a Merkle tree.
pub fn hash_node(left: &Digest, right: &Digest) -> Digest {
    hash_two(role::node_key(), left, right)
}

/// Leaf of a segment's tree of sliver pairs.
pub fn hash_pair(primary_root: &Digest, secondary_root: &Digest) -> Digest {
    hash_two(role::pair_key(), primary_root, secondary_root)
}

/// Leaf of a blob's tree of segments.
pub fn hash_segment(slivers_root: &Digest, content: &Digest) -> Digest {
    hash_two(role::segment_key(), slivers_root, content)
}

/// BLAKE2b with 32 bytes of output over the concatenated parts (RFC 7693).
pub fn blake2b_256(parts: &[&[u8]]) -> Digest {
    let mut hasher = blake2::Blake2b::<blake2::digest::consts::U32>::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}
