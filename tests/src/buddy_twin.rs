//! The naive twin of the buddy: a list of flags, one a granule. Slow, obvious, and right.

/// An arena as one flag a granule: true is taken.
#[derive(Clone, Debug)]
pub struct Twin {
    taken: Vec<bool>,
}

impl Twin {
    /// All free.
    #[must_use]
    pub fn new(granules: usize) -> Twin {
        Twin { taken: vec![false; granules] }
    }

    /// Whether `count` granules from `start` exist and are all free.
    #[must_use]
    pub fn is_free(&self, start: usize, count: usize) -> bool {
        self.taken.get(start..start + count).is_some_and(|run| run.iter().all(|taken| !taken))
    }

    /// Takes them, checking that they were free: an overlap ends here.
    ///
    /// # Panics
    /// When one was taken.
    pub fn take(&mut self, start: usize, count: usize) {
        assert!(self.is_free(start, count), "granules {start}..{} are not free", start + count);
        self.taken[start..start + count].fill(true);
    }

    /// Frees them, checking that they were taken.
    ///
    /// # Panics
    /// When one was free.
    pub fn free(&mut self, start: usize, count: usize) {
        assert!(self.taken[start..start + count].iter().all(|taken| *taken), "granules {start}.. were free");
        self.taken[start..start + count].fill(false);
    }

    /// Whether any run of `count` granules that starts at a multiple of `align` is free.
    #[must_use]
    pub fn fits(&self, count: usize, align: usize) -> bool {
        (0..self.taken.len()).step_by(align).any(|start| self.is_free(start, count))
    }

    /// The free granules in all.
    #[must_use]
    pub fn free_granules(&self) -> usize {
        self.taken.iter().filter(|taken| !**taken).count()
    }

    /// The holes in address order, as (start, length).
    #[must_use]
    pub fn holes(&self) -> Vec<(usize, usize)> {
        let mut holes: Vec<(usize, usize)> = Vec::new();
        for (granule, _) in self.taken.iter().enumerate().filter(|(_, taken)| !**taken) {
            match holes.last_mut() {
                Some((start, length)) if *start + *length == granule => *length += 1,
                _ => holes.push((granule, 1)),
            }
        }
        holes
    }
}
