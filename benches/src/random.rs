//! Randomness that is the same in every run, and sizes drawn from it.

/// Marsaglia's xorshift: three shifts, so that drawing costs less than what is measured.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A sequence of its own for each seed.
    pub fn new(seed: u64) -> Random {
        // One step of splitmix64, so that near seeds are far apart.
        let mut word = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Random((word ^ (word >> 31)) | 1)
    }

    /// 64 bits.
    #[inline]
    pub fn word(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `limit`.
    #[inline]
    pub fn below(&mut self, limit: usize) -> usize {
        ((u128::from(self.word()) * limit as u128) >> 64) as usize
    }
}

/// How sizes are spread: evenly in their logarithm.
#[derive(Clone, Copy, Debug)]
pub enum Sizes {
    /// Powers of two, both ends included.
    Powers(u64, u64),
    /// Any number of bytes, from the first to below the second.
    Exact(u64, u64),
}

impl Sizes {
    /// Draws one.
    pub fn draw(self, random: &mut Random) -> u64 {
        match self {
            Sizes::Powers(least, most) => least << random.below((most / least).ilog2() as usize + 1),
            Sizes::Exact(least, limit) => {
                let even = (random.word() >> 11) as f64 / (1_u64 << 53) as f64;
                (least as f64 * (limit as f64 / least as f64).powf(even)) as u64
            }
        }
    }

    /// Draws many, so that drawing is not measured.
    pub fn script(self, random: &mut Random) -> Vec<u64> {
        (0..1 << 14).map(|_| self.draw(random)).collect()
    }
}
