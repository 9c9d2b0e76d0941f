//! argon2's working memory, kept by each thread from one hash to the next.
//!
//! Allocated anew for each hash, it does not go back to the system: glibc raises its thresholds for blocks of this size
//! after the first one is freed, keeps those that follow in the threads' arenas, and seldom finds room for an aligned block
//! where one was freed. A process that once hashed for fifty clients at a time held 300 MiB from then on.

use argon2::password_hash::phc::{Output, Salt};
use argon2::{Argon2, Block, Params};
use zeroize::Zeroize;

use super::HasherError;

/// The working memory of one thread: that of the largest parameters it has met so far, and none before its first hash.
#[derive(Default)]
pub(super) struct Memory {
    blocks: Vec<Block>,
    /// How many blocks the last hash wrote.
    written: usize,
}

impl Memory {
    /// The hash of a password by the parameters of `argon2`.
    ///
    /// # Errors
    /// When there is not so much memory, or argon2 refuses what it is given.
    pub(super) fn output(
        &mut self,
        argon2: &Argon2<'_>,
        password: &[u8],
        salt: &Salt,
    ) -> Result<Output, HasherError> {
        let params = argon2.params();
        self.reserve(params.block_count())?;
        self.written = self.written.max(params.block_count());
        let length = params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN);
        let mut failure = None;
        let output = Output::init_with(length, |output| {
            let hashed = argon2.hash_password_into_with_memory(password, salt, output, &mut self.blocks);
            failure = hashed.err();
            Ok(())
        });
        match failure {
            Some(error) => Err(HasherError::argon2(error)),
            None => output.map_err(HasherError::argon2),
        }
    }

    /// Overwrites what the last hash left: it comes from a password, and outlives no use of it.
    pub(super) fn wipe(&mut self) {
        self.blocks
            .iter_mut()
            .take(self.written)
            .for_each(Zeroize::zeroize);
        self.written = 0;
    }

    /// Where it is.
    #[cfg(test)]
    pub(super) fn address(&self) -> usize {
        self.blocks.as_ptr().addr()
    }

    /// Grows only, so that each thread holds one piece and the allocator none.
    fn reserve(&mut self, blocks: usize) -> Result<(), HasherError> {
        if self.blocks.len() < blocks {
            self.blocks = Vec::new();
            self.blocks.try_reserve_exact(blocks)?;
            self.blocks.resize(blocks, Block::new());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use argon2::{Algorithm, Version};

    use super::*;

    fn argon2(memory_kib: u32) -> Argon2<'static> {
        let params = Params::new(memory_kib, 1, 1, None).unwrap();
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
    }

    fn salt() -> Salt {
        Salt::new(b"sixteen bytes of").unwrap()
    }

    fn is_clean(memory: &Memory) -> bool {
        memory
            .blocks
            .iter()
            .all(|block| block.as_ref().iter().all(|word| *word == 0))
    }

    #[test]
    fn hashes_in_used_memory_are_those_in_fresh_memory() {
        let mut used = Memory::default();
        for memory_kib in [64, 8, 128, 64] {
            let argon2 = argon2(memory_kib);
            let mut fresh = [0; 32];
            argon2
                .hash_password_into(b"correct horse battery", &salt(), &mut fresh)
                .unwrap();
            let output = used.output(&argon2, b"correct horse battery", &salt()).unwrap();
            assert_eq!(output.as_bytes(), fresh, "{memory_kib}");
        }
        assert_eq!(used.blocks.len(), 128);
    }

    #[test]
    fn nothing_of_a_password_stays_in_it() {
        let mut memory = Memory::default();
        memory.output(&argon2(64), b"first", &salt()).unwrap();
        // a smaller one leaves what was behind it
        memory.output(&argon2(8), b"second", &salt()).unwrap();
        assert!(!is_clean(&memory));
        memory.wipe();
        assert!(is_clean(&memory));
    }
}
