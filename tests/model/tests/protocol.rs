//! Every state of the protocol, and what is reached when a part of it is taken away.

use std::collections::BTreeSet;

use stateright::{Checker, HasDiscoveries, Model as _};
use steelyard_model::{
    Fence, IN_ORDER, NO_DEAD_END, NO_STALE_PLAN, NO_SUPERSEDED_WRITE, NOT_WRITTEN_OVER,
    NOTHING_LOST, ONCE, Protocol, Rules, story,
};

/// The protocol as the code has it: every state, about 1.6 million.
const WHOLE: Protocol = Protocol {
    rules: Rules::ALL,
    customers: 1,
    commands: 3,
    faults: 3,
};

/// What must hold in every state.
const PROMISES: [&str; 7] = [
    ONCE,
    IN_ORDER,
    NO_STALE_PLAN,
    NO_SUPERSEDED_WRITE,
    NOT_WRITTEN_OVER,
    NOTHING_LOST,
    NO_DEAD_END,
];

/// Where the stories are told.
const STORIES: &str = include_str!("../../../docs/decisions/0011-why-a-lease-is-not-enough.md");

/// Visits every state: no promise is ever broken.
fn holds(model: Protocol) -> impl Checker<Protocol> {
    let checker = model
        .checker()
        .symmetry_fn(Protocol::without_names)
        .spawn_dfs()
        .join();
    for promise in PROMISES {
        checker.assert_no_discovery(promise);
    }
    checker
}

/// The shortest way to break any of these promises.
fn broken(rules: Rules, commands: u8, promises: &[&'static str]) -> (&'static str, Vec<String>) {
    let model = Protocol {
        rules,
        commands,
        ..WHOLE
    };
    let wanted: BTreeSet<&'static str> = promises.iter().copied().collect();
    let checker = model
        .checker()
        .finish_when(HasDiscoveries::AnyOf(wanted.clone()))
        .spawn_bfs()
        .join();
    let found = checker
        .discoveries()
        .into_iter()
        .find(|(name, _)| wanted.contains(name));
    let Some((promise, path)) = found else {
        panic!(
            "{rules:?} holds after all: {} states",
            checker.unique_state_count()
        )
    };
    (promise, story(path))
}

fn is_told(story: &[String]) {
    let lines = story.join("\n");
    assert!(
        STORIES.contains(&lines),
        "docs/decisions/0011 does not tell this story:\n{lines}"
    );
}

#[test]
fn no_reachable_state_breaks_a_promise() {
    // And what should be able to happen does: takeovers, refusals, commits that nobody saw.
    holds(WHOLE).assert_properties();
}

#[test]
fn a_set_of_two_customers_breaks_none_either() {
    holds(Protocol {
        customers: 2,
        commands: 2,
        faults: 1,
        ..WHOLE
    });
}

#[test]
fn without_the_lease_work_is_done_for_nothing_and_never_wrong() {
    let rules = Rules {
        lease: false,
        ..Rules::ALL
    };
    holds(Protocol {
        rules,
        commands: 2,
        faults: 1,
        ..WHOLE
    });
}

#[test]
fn without_the_fence_a_stalled_worker_writes_over_its_successor() {
    let rules = Rules {
        fence: Fence::None,
        ..Rules::ALL
    };
    let (_, told) = broken(rules, 2, &[NOT_WRITTEN_OVER]);
    is_told(&told);
}

#[test]
fn a_fence_that_only_compares_tokens_lets_a_worker_write_over_its_predecessor() {
    let rules = Rules {
        fence: Fence::NotSmaller,
        ..Rules::ALL
    };
    let (promise, told) = broken(rules, 2, &[ONCE, IN_ORDER, NO_STALE_PLAN]);
    assert_eq!(promise, NO_STALE_PLAN);
    is_told(&told);
}

#[test]
fn a_fence_that_compares_the_token_that_was_read_is_blind_to_a_second_write_under_one_token() {
    let rules = Rules {
        fence: Fence::AsRead,
        ..Rules::ALL
    };
    let (promise, told) = broken(rules, 3, &[ONCE, IN_ORDER, NO_STALE_PLAN]);
    assert_eq!(promise, NO_STALE_PLAN);
    is_told(&told);
}

#[test]
fn without_the_inbox_a_command_takes_effect_twice() {
    let rules = Rules {
        inbox: false,
        ..Rules::ALL
    };
    let (promise, _) = broken(rules, 2, &[ONCE, NO_SUPERSEDED_WRITE]);
    assert_eq!(promise, ONCE);
}
