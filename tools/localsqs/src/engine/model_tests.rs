//! The queues' indexes against a model that is too slow and too simple to be wrong.

use std::sync::Arc;

use proptest::prelude::*;
use uuid::Uuid;

use super::{
    message::{Content, Message, Visibility},
    settings::Settings,
    state::State,
};

const TIMEOUT_MS: u64 = 100;

#[derive(Clone, Debug)]
enum Step {
    Send {
        group: u8,
        delay_ms: u64,
    },
    Receive {
        max: usize,
    },
    /// Of the messages in flight, the one at this place.
    Delete {
        at: usize,
    },
    GiveBack {
        at: usize,
    },
    Pass {
        ms: u64,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..4_u8, prop_oneof![4 => Just(0), 1 => 1..50_u64])
            .prop_map(|(group, delay_ms)| Step::Send { group, delay_ms }),
        3 => (1..5_usize).prop_map(|max| Step::Receive { max }),
        3 => (0..8_usize).prop_map(|at| Step::Delete { at }),
        1 => (0..8_usize).prop_map(|at| Step::GiveBack { at }),
        2 => (1..80_u64).prop_map(|ms| Step::Pass { ms }),
    ];
    prop::collection::vec(step, 1..120)
}

/// A message of the model: number, group, visibility.
type Modelled = (u64, u8, Visibility);

fn message(group: u8, visibility: Visibility) -> Message {
    let content = Content {
        body: "m".to_owned(),
        body_md5: [0; 16],
        attributes: Vec::new(),
        attributes_md5: None,
        trace_header: None,
        group: Some(Arc::from(format!("g{group}"))),
        deduplication_id: None,
    };
    Message::new(Uuid::nil(), Arc::new(content), 0, visibility)
}

fn in_flight(model: &[Modelled]) -> Vec<usize> {
    let flying =
        |(_, modelled): &(usize, &Modelled)| matches!(modelled.2, Visibility::InFlight { .. });
    model
        .iter()
        .enumerate()
        .filter(flying)
        .map(|(at, _)| at)
        .collect()
}

/// Whether a message could be handed out: on FIFO queues only if nothing of its group before it is hidden.
fn may_go(model: &[Modelled], at: usize, fifo: bool) -> bool {
    let (_, group, _) = model[at];
    let upto = &model[..=at];
    let visible = |modelled: &Modelled| modelled.2 == Visibility::Visible;
    visible(&model[at])
        && (!fifo
            || upto
                .iter()
                .filter(|earlier| earlier.1 == group)
                .all(visible))
}

fn check(steps: Vec<Step>, fifo: bool) -> Result<(), TestCaseError> {
    let mut state = State::new(Settings::new(fifo), Default::default(), 0);
    let mut model: Vec<Modelled> = Vec::new();
    let (mut now_ms, mut next_seq) = (0, 1);
    for step in steps {
        match step {
            Step::Send { group, delay_ms } => {
                let visibility = match delay_ms {
                    0 => Visibility::Visible,
                    _ => Visibility::Delayed {
                        until_ms: now_ms + delay_ms,
                    },
                };
                state.put(next_seq, message(group, visibility));
                model.push((next_seq, group, visibility));
                next_seq += 1;
            }
            Step::Receive { max } => {
                let possible = (0..model.len())
                    .filter(|at| may_go(&model, *at, fifo))
                    .count();
                let taken = state.take(max);
                prop_assert_eq!(taken.len(), possible.min(max), "as many as there are");
                // Each may go when its turn comes: what was taken before it is visible still, to the model.
                for seq in &taken {
                    let at = model.iter().position(|modelled| modelled.0 == *seq);
                    prop_assert!(
                        at.is_some_and(|at| may_go(&model, at, fifo)),
                        "{} must not go",
                        seq
                    );
                }
                if fifo {
                    for group in 0..4 {
                        let of_group = |seq: &&u64| {
                            model
                                .iter()
                                .any(|modelled| modelled.0 == **seq && modelled.1 == group)
                        };
                        prop_assert!(taken.iter().filter(of_group).is_sorted(), "in order");
                    }
                }
                let visibility = Visibility::InFlight {
                    until_ms: now_ms + TIMEOUT_MS,
                };
                for seq in taken {
                    state.set_visibility(seq, visibility);
                    model
                        .iter_mut()
                        .filter(|modelled| modelled.0 == seq)
                        .for_each(|modelled| modelled.2 = visibility);
                }
            }
            Step::Delete { at } => {
                if let Some(at) = in_flight(&model).get(at).copied() {
                    prop_assert!(state.remove(model.remove(at).0).is_some());
                }
            }
            Step::GiveBack { at } => {
                if let Some(at) = in_flight(&model).get(at).copied() {
                    model[at].2 = Visibility::Visible;
                    state.set_visibility(model[at].0, Visibility::Visible);
                }
            }
            Step::Pass { ms } => {
                now_ms += ms;
                state.advance(now_ms);
                for modelled in &mut model {
                    if let Visibility::Delayed { until_ms } | Visibility::InFlight { until_ms } =
                        modelled.2
                        && until_ms <= now_ms
                    {
                        modelled.2 = Visibility::Visible;
                    }
                }
            }
        }
        let ready = (0..model.len()).any(|at| may_go(&model, at, fifo));
        prop_assert_eq!(state.has_ready(), ready);
        prop_assert_eq!(state.in_flight(), in_flight(&model).len());
        let delayed = model
            .iter()
            .filter(|modelled| matches!(modelled.2, Visibility::Delayed { .. }))
            .count();
        prop_assert_eq!(state.delayed(), delayed);
        prop_assert_eq!(
            state.visible(),
            model.len() - delayed - in_flight(&model).len()
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_fifo_queue_hands_out_what_the_model_would(steps in steps()) {
        check(steps, true)?;
    }

    #[test]
    fn a_standard_queue_hands_out_what_the_model_would(steps in steps()) {
        check(steps, false)?;
    }
}
