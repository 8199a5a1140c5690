//! A path through the model, told in sentences.

use std::fmt::Write as _;

use stateright::Path;

use crate::state::{Hand, Stage, State, Verdict};
use crate::{Action, Worker};

/// Tells what happens on a path, one line a step.
#[must_use]
pub fn story(path: Path<State, Action>) -> Vec<String> {
    let steps = path.into_vec();
    let pairs = steps.iter().zip(steps.iter().skip(1));
    pairs
        .filter_map(|((before, action), (after, _))| Some(line((*action)?, before, after)))
        .collect()
}

fn name(worker: Worker) -> char {
    if worker == 0 { 'A' } else { 'B' }
}

/// Commands are counted from one, as people do.
fn names(commands: impl IntoIterator<Item = u8>) -> String {
    let names: Vec<String> = commands
        .into_iter()
        .map(|command| format!("m{}", command + 1))
        .collect();
    names.join(", ")
}

fn line(action: Action, before: &State, after: &State) -> String {
    match action {
        Action::Receive(worker, customer, _) => {
            let messages = after.workers[worker].hands[customer].messages.iter();
            format!(
                "{} receives {}",
                name(worker),
                names(messages.map(|(command, _)| *command))
            )
        }
        Action::Acquire(worker) => {
            let tokens = after.workers[worker]
                .hands
                .iter()
                .filter_map(|hand| hand.token);
            let tokens: Vec<String> = tokens.map(|token| token.to_string()).collect();
            format!(
                "{} takes the lease, token {}",
                name(worker),
                tokens.join(", ")
            )
        }
        Action::Plan(worker, part) => {
            let mut text = format!("{} reads", name(worker));
            for hand in &after.workers[worker].hands {
                let Some(read) = hand.read else { continue };
                let part = usize::from(part);
                let open = hand
                    .messages
                    .iter()
                    .filter(|(_, verdict)| *verdict == Verdict::Open);
                let planned = names(open.take(part).map(|(command, _)| *command));
                // Writing to a string cannot fail.
                let _ = write!(
                    text,
                    " (fence {}, last number {}), and plans {planned}",
                    read.fence
                        .map_or("none".to_owned(), |fence| fence.to_string()),
                    read.last_sequence
                );
            }
            text
        }
        Action::Park(worker, customer) => {
            let is_parked = |hand: &Hand, at: usize| hand.messages[at].1 == Verdict::Park;
            let (was, is) = (
                &before.workers[worker].hands[customer],
                &after.workers[worker].hands[customer],
            );
            let parked =
                (0..is.messages.len()).find(|&at| is_parked(is, at) && !is_parked(was, at));
            let command = parked.map(|at| is.messages[at].0);
            format!(
                "{} finds {} at fault by itself, and will set it aside",
                name(worker),
                names(command)
            )
        }
        Action::Write(worker) => match after.workers[worker].stage {
            Stage::Writing { .. } => {
                format!("{} begins its transaction: the checks pass", name(worker))
            }
            _ if after.workers[worker]
                .hands
                .iter()
                .any(|hand| hand.is_refused) =>
            {
                format!("{} is refused", name(worker))
            }
            _ => format!("{} finds all of it done already", name(worker)),
        },
        Action::Commit(worker) => format!("{} commits: {}", name(worker), written(before, after)),
        Action::Release(worker) => format!("{} gives the lease back", name(worker)),
        Action::Acknowledge(worker, customer) => {
            let (command, verdict) = before.workers[worker].hands[customer].messages[0];
            let what = match verdict {
                Verdict::Done => "deletes",
                Verdict::Park => "moves to the dead letters",
                Verdict::Open => "hands back",
            };
            format!("{} {what} {}", name(worker), names([command]))
        }
        Action::OrphanCommits(_) => format!(
            "Postgres carries the commit out after all: {}",
            written(before, after)
        ),
        Action::OrphanAborts(_) => "Postgres drops the transaction".to_owned(),
        Action::LeaseExpires(customer) => {
            let holder = before.keys[customer]
                .lease
                .map_or('?', |(worker, _)| name(worker));
            format!("{holder} stalls; its lease runs out")
        }
        Action::VisibilityExpires(customer) => {
            let holder = before.groups[customer].in_flight.map_or('?', name);
            format!("{holder} stalls; its messages are visible again")
        }
        Action::BreakOff(worker) => format!("{} gives up and hands back", name(worker)),
        Action::ConnectionBreaks(worker) => {
            format!(
                "{} loses its connection during the commit, and gives up",
                name(worker)
            )
        }
        Action::Crash(worker) => format!("{} crashes", name(worker)),
        Action::RedisRestarts => "Redis starts anew, empty".to_owned(),
        Action::RedisFailsOver => {
            "Redis fails over to a replica that lacks the last writes".to_owned()
        }
        Action::DuplicateArrives(_, command) => {
            format!("{} comes into the queue a second time", names([command]))
        }
    }
}

/// The effects that a commit added.
fn written(before: &State, after: &State) -> String {
    let mut texts = Vec::new();
    for (was, is) in before.rows.iter().zip(&after.rows) {
        for effect in &is.effects[was.effects.len()..] {
            texts.push(format!(
                "{} is order number {}",
                names([effect.command]),
                effect.sequence
            ));
        }
    }
    texts.join(", ")
}
