//! The handle table does what a vector searched from the front does, stale names included, and its audit closes.
//! Not covered: more than one thread (`loom_tests`), generations that run out (a unit test of the table).

use crossbeam_epoch::pin;
use freehold_core::table::{HandleKey, Owner, Table};
use freehold_tests::table_twin::TableTwin;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Insert(u32),
    Retire(usize),
    Get(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => any::<u32>().prop_map(Step::Insert),
        3 => any::<usize>().prop_map(Step::Retire),
        2 => any::<usize>().prop_map(Step::Get),
    ]
}

struct Pair {
    real: Table<u32>,
    twin: TableTwin,
    owners: Vec<Owner<u32>>,
}

impl Pair {
    fn apply(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Insert(payload) => {
                let owner = self.real.insert(0, 0, payload);
                prop_assert_eq!(owner.id(), self.twin.entries.len() as u64, "ids count insertions");
                prop_assert!(self.twin.insert(owner.key(), payload), "{} was given out before", owner.key());
                self.owners.push(owner);
            }
            Step::Retire(which) if !self.owners.is_empty() => {
                let owner = self.owners.swap_remove(which % self.owners.len());
                self.twin.retire(owner.key());
                self.real.retire(owner, &pin());
            }
            Step::Get(which) if !self.twin.entries.is_empty() => {
                let key = self.twin.entries[which % self.twin.entries.len()].key;
                let guard = pin();
                prop_assert_eq!(self.real.get(key, &guard).map(|entry| *entry.payload()), self.twin.get(key));
            }
            Step::Retire(_) | Step::Get(_) => {}
        }
        Ok(())
    }

    fn compare(&self) -> Result<(), TestCaseError> {
        let guard = pin();
        let mut met: Vec<_> = self.real.iter(&guard).map(|entry| (entry.id(), entry.key(), *entry.payload())).collect();
        met.sort_unstable();
        let expected: Vec<_> = self.twin.live().map(|(id, entry)| (id, entry.key, entry.payload)).collect();
        prop_assert_eq!(&met, &expected);
        prop_assert_eq!(self.real.len(), expected.len());
        let books = self.real.audit(&guard).map_err(|fault| TestCaseError::fail(format!("{fault:?}")))?;
        prop_assert_eq!(books.live as usize, expected.len());
        prop_assert_eq!(books.slots as usize, books.live as usize + books.free as usize);
        Ok(())
    }
}

proptest! {
    #[test]
    fn table_agrees_with_its_twin(steps in prop::collection::vec(step(), 1..400)) {
        let real = Table::new(crossbeam_epoch::default_collector().clone());
        let mut pair = Pair { real, twin: TableTwin::default(), owners: Vec::new() };
        for step in steps {
            pair.apply(step)?;
        }
        pair.compare()?;
    }

    #[test]
    fn a_name_that_was_never_given_finds_nothing(bits in any::<u64>()) {
        let table = Table::new(crossbeam_epoch::default_collector().clone());
        let owner = table.insert(0, 0, 7_u32);
        let guard = pin();
        for key in HandleKey::from_bits(bits).into_iter().filter(|&key| key != owner.key()) {
            prop_assert_eq!(key.to_bits(), bits);
            prop_assert!(table.get(key, &guard).is_none());
        }
    }
}
