//! What a source gives, written and read again.

use super::*;
use crate::encoding::{ExpandedSliver, SegmentPosition, encode_segment};

#[test]
fn proved_symbols_are_read_as_they_were_written_and_verify() {
    let parameters = Parameters::new(10, 1024).expect("valid parameters");
    let bytes: Vec<u8> = (0..1000_u32).map(|byte| byte.to_le_bytes()[0]).collect();
    let position = SegmentPosition { segment: 0, blob_bytes: 1000 };
    let segment = encode_segment(&parameters, position, bytes.into());
    let (source, targets) = (PairIndex(3), [PairIndex(0), PairIndex(8)]);
    for axis in Axis::BOTH {
        let index = source.sliver_index(axis, &parameters);
        let sliver = segment.sliver(axis, index);
        let expanded = ExpandedSliver::new(&parameters, 1000, axis, sliver).expect("its length");
        let places = targets.map(|target| target.sliver_index(axis.other(), &parameters));
        let mut raw = segment.pairs().prove(source).to_bytes();
        for place in places {
            raw.extend_from_slice(&expanded.symbol(place));
            raw.extend_from_slice(expanded.proof(place).siblings.as_flattened());
        }
        let layout = Layout::new(&parameters, 1000, source, targets.len(), true);
        assert_eq!(layout.bytes(), raw.len());
        let (proof, symbols) = layout
            .proved(&raw.into(), &parameters, (source, axis))
            .expect("a proof of its pair's length");
        let commitment = segment.commitment();
        assert_eq!(proof.verify(source, &parameters, &commitment.slivers_root), Ok(()));
        for (symbol, place) in symbols.iter().zip(places) {
            let root = proof.roots.of(axis);
            assert_eq!(symbol.verify(&parameters, 1000, axis.other(), place, root), Ok(()));
        }
        let bare = Layout::new(&parameters, 1000, source, targets.len(), false);
        let raw: Vec<u8> = places.iter().flat_map(|place| expanded.symbol(*place)).collect();
        let symbols = bare.symbols(&raw.into());
        assert_eq!(symbols, places.map(|place| expanded.symbol(place)));
    }
}
