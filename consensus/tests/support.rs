//! What the tests with random values share: where the values come from and how many are tried.
//!
//! Every test has a fixed seed, so that a failure is seen again by the next run. The counts in the tests are those of a
//! long run, which `WREN_TEST_LONG=1` asks for; what runs with every change is a tenth of them.

/// How many rounds are run of those that a long run has.
pub(crate) fn rounds(long: usize) -> usize {
    if std::env::var_os("WREN_TEST_LONG").is_some_and(|value| value == "1") {
        long
    } else {
        long.div_ceil(10)
    }
}

/// How the integers and bytes of one value are drawn: edges are as telling as noise.
#[derive(Clone, Copy)]
enum Mode {
    Noise,
    Zeros,
    Ones,
    Small,
}

/// Random numbers from a seed (splitmix64). A crate would bring a dozen others for these few lines.
pub(crate) struct Rng {
    state: u64,
    mode: Mode,
}

impl Rng {
    /// The numbers that belong to `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Rng {
            state: seed,
            mode: Mode::Noise,
        }
    }

    /// The numbers that belong to a name, such as the test's.
    pub(crate) fn named(name: &str) -> Self {
        let seed = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Rng::new(seed)
    }

    /// The next number, each equally likely.
    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// Whether an event of one in `n` happens.
    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// Begins another value: mostly noise, sometimes all zeros, all ones or small numbers.
    pub(crate) fn begin_value(&mut self) {
        self.mode = match self.below(8) {
            0 => Mode::Zeros,
            1 => Mode::Ones,
            2 => Mode::Small,
            _ => Mode::Noise,
        };
    }

    /// The next eight bytes of the value.
    pub(crate) fn word(&mut self) -> u64 {
        match self.mode {
            Mode::Noise => self.next(),
            Mode::Zeros => 0,
            Mode::Ones => u64::MAX,
            Mode::Small => self.next() % 300,
        }
    }

    /// Random bytes of the value.
    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(len + 8);
        while bytes.len() < len {
            bytes.extend_from_slice(&self.word().to_le_bytes());
        }
        bytes.truncate(len);
        bytes
    }

    /// A length up to `limit` for items of `item_len` bytes (0 where they vary): often none, often as many as are tried.
    pub(crate) fn len(&mut self, limit: usize, item_len: usize) -> usize {
        // Enough for a few bundles of a persistent list, little enough that thousands of values take seconds.
        let most = match item_len {
            0 => 3,
            len => (4096 / len).max(1),
        };
        let most = most.min(limit);
        match self.below(4) {
            0 => 0,
            1 => most,
            _ => self.below(most + 1),
        }
    }
}
