//! Encoding, identifying, decoding and verifying, beside the primitives they are made of.
fn main() {}
