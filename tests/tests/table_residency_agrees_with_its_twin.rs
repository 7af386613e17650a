//! The residency word gives the same outcomes and the same state as a struct with plain fields, refusals included.
//! Not covered: more than one thread (`loom_tests`), and calls that panic (`table_refuses_misuse`).

use freehold_core::table::{Claim, Residency, ResidencyWord};
use freehold_tests::residency_twin::ResidencyTwin;
use proptest::prelude::*;

#[derive(Clone, Copy, Debug)]
enum Step {
    Pin,
    Unpin,
    BeginMaterialise,
    FinishMaterialise(u8),
    FailMaterialise,
    BeginEvict,
    FinishEvict,
    CancelEvict,
    Release,
    Want,
    WantUnpinned,
    MarkDirty,
    TakeDirty,
}

fn step() -> impl Strategy<Value = Step> {
    use Step::*;
    prop_oneof![
        6 => Just(Pin),
        5 => Just(Unpin),
        4 => Just(BeginMaterialise),
        3 => (0_u8..3).prop_map(FinishMaterialise),
        1 => Just(FailMaterialise),
        4 => Just(BeginEvict),
        2 => Just(FinishEvict),
        2 => Just(CancelEvict),
        1 => Just(Release),
        2 => Just(Want),
        2 => Just(WantUnpinned),
        2 => Just(MarkDirty),
        1 => Just(TakeDirty),
    ]
}

fn apply(word: &ResidencyWord, twin: &mut ResidencyTwin, step: Step) -> Result<(), TestCaseError> {
    let materialising = twin.residency == Residency::Materialising;
    let evicting = twin.residency == Residency::Evicting;
    match step {
        Step::Pin => prop_assert_eq!(word.try_pin(), twin.try_pin()),
        Step::Unpin if twin.pins > 0 => prop_assert_eq!(word.unpin(), twin.unpin()),
        Step::BeginMaterialise => prop_assert_eq!(word.begin_materialise() == Claim::Won, twin.begin_materialise()),
        Step::FinishMaterialise(pins) if materialising => {
            prop_assert_eq!(word.finish_materialise(pins.into()), twin.end(Residency::Resident, pins.into()));
        }
        Step::FailMaterialise if materialising => {
            prop_assert_eq!(word.fail_materialise(), twin.end(Residency::Absent, 0));
        }
        Step::BeginEvict => prop_assert_eq!(word.begin_evict() == Claim::Won, twin.begin_evict()),
        Step::FinishEvict if evicting => prop_assert_eq!(word.finish_evict(), twin.end(Residency::Absent, 0)),
        Step::CancelEvict if evicting => prop_assert_eq!(word.cancel_evict(), twin.end(Residency::Resident, 0)),
        Step::Release => prop_assert_eq!(word.release(), twin.release()),
        Step::Want => prop_assert_eq!(word.want(), twin.want()),
        Step::WantUnpinned => prop_assert_eq!(word.want_unpinned(), twin.want_unpinned()),
        Step::MarkDirty if twin.pins > 0 => {
            word.mark_dirty();
            twin.dirty = true;
        }
        Step::TakeDirty if evicting => prop_assert_eq!(word.take_dirty(), twin.take_dirty()),
        _ => {} // Nobody may call it in this state.
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn residency_word_agrees_with_its_twin(steps in prop::collection::vec(step(), 1..120)) {
        let word = ResidencyWord::new();
        let mut twin = ResidencyTwin::default();
        for step in steps {
            apply(&word, &mut twin, step)?;
            let state = word.snapshot();
            let seen = ResidencyTwin {
                residency: state.residency(),
                released: state.is_released(),
                wanted: state.is_wanted(),
                dirty: state.is_dirty(),
                pins: state.pins(),
            };
            prop_assert_eq!(seen, twin, "after {:?}", step);
        }
    }
}
