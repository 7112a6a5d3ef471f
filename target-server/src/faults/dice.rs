//! Chance without state: every number is a pure hash of what it is for, so that nothing depends on the order or the
//! time of the asking.

/// Mixes all bits (the finalizer of SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators").
fn mix(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// What a number is for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose {
    /// Whether the pair, the post or the socket is chosen.
    Choice,
    /// Whether the socket is among those of the fault.
    Socket,
    /// The two numbers behind a delay.
    Size,
    Angle,
}

/// Uniform in [0, 1).
pub(super) fn uniform(seed: u64, fault: usize, purpose: Purpose, post: u64, socket: u64) -> f64 {
    /// 2^64 divided by the golden ratio: an odd step that visits every number.
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    let words = [fault as u64, purpose as u64, post, socket];
    let bits = words.into_iter().fold(mix(seed.wrapping_add(STEP)), |bits, word| {
        mix(bits.wrapping_add(STEP) ^ mix(word.wrapping_add(STEP)))
    });
    // The upper 53 bits: as many as a double holds.
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

/// Standard normal from two uniforms (Box and Muller, 1958).
pub(super) fn normal(size: f64, angle: f64) -> f64 {
    (-2.0 * (1.0 - size).ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}
