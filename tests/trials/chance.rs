//! Chance: choices that a seed makes.

use rolloutctl::api::Duration;
use rolloutctl::sim::Random;

pub struct Chance(Random);

impl Chance {
    pub fn of_seed(seed: u64) -> Self {
        // Other numbers than the world's own, which begins at the same seed.
        Self(Random::of_seed(seed ^ 0x5eed_ca5e))
    }

    /// Other choices than those that follow here, which stay as they are.
    pub fn apart(&self) -> Self {
        let mut next = self.0.clone();
        Self::of_seed(!next.below(u64::MAX))
    }

    /// Whether something of this probability, in percent, happens.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.0.below(100) < percent
    }

    /// A number from `least` to `most`.
    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.0.below(most - least + 1)
    }

    /// The same, of another type.
    pub fn number<T: TryFrom<u64>>(&mut self, least: u64, most: u64) -> T {
        let number = T::try_from(self.between(least, most));
        number.unwrap_or_else(|_| unreachable!("the ends fit"))
    }

    pub fn secs(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_secs(self.between(least, most))
    }

    /// One of several.
    pub fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.0.index(of.len())].clone()
    }
}
