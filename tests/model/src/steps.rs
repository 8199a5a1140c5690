//! Which steps are possible, and what each one changes.

use crate::state::{
    Hand, Keys, Process, Read, Rows, Stage, State, Transaction, Verdict, WORKERS, Write, bit,
};
use crate::{Action, Command, Customer, Fence, Protocol, Worker};

/// "Everything in hand", as the size of a part.
const ALL: u8 = u8::MAX;

/// Lists what may be possible; [`take`] refuses what is not. Few are listed for nothing: each costs a copy of the state.
pub(crate) fn possible(model: &Protocol, state: &State, actions: &mut Vec<Action>) {
    let has_faults_left = state.faults_left > 0;
    for (worker, process) in state.workers.iter().enumerate() {
        let is_refused = process.hands.iter().any(|hand| hand.is_refused);
        match process.stage {
            Stage::Gathering => gather(worker, process, state, actions),
            Stage::Leased => {
                let mut open = process
                    .hands
                    .iter()
                    .filter(|hand| hand.token.is_some())
                    .map(|hand| hand.open().count());
                match open.clone().max() {
                    Some(0) | None => actions.push(Action::Release(worker)),
                    Some(1) => actions.push(Action::Plan(worker, ALL)),
                    Some(_) => actions.extend([Action::Plan(worker, ALL), Action::Plan(worker, 1)]),
                }
                let can_break_off = has_faults_left && open.any(|open| open > 0);
                actions.extend((can_break_off || is_refused).then_some(Action::BreakOff(worker)));
            }
            Stage::Planned { .. } => {
                actions.push(Action::Write(worker));
                actions.extend((has_faults_left || is_refused).then_some(Action::BreakOff(worker)));
                if has_faults_left {
                    actions.extend(
                        (0..model.customers).map(|customer| Action::Park(worker, customer)),
                    );
                }
            }
            Stage::Writing { .. } => {
                actions.push(Action::Commit(worker));
                actions.extend(has_faults_left.then_some(Action::ConnectionBreaks(worker)));
            }
            Stage::Acknowledging => {
                let there = process
                    .hands
                    .iter()
                    .enumerate()
                    .filter(|(_, hand)| !hand.messages.is_empty());
                actions.extend(there.map(|(customer, _)| Action::Acknowledge(worker, customer)));
            }
        }
        let has_any = process.hands.iter().any(|hand| !hand.messages.is_empty());
        actions.extend((has_faults_left && has_any).then_some(Action::Crash(worker)));
    }
    let orphans = state
        .transactions
        .iter()
        .filter(|transaction| transaction.of.is_none());
    for (n, _) in (0..).zip(orphans) {
        actions.extend([Action::OrphanCommits(n), Action::OrphanAborts(n)]);
    }
    for customer in 0..model.customers {
        actions.extend(
            state.keys[customer]
                .lease
                .map(|_| Action::LeaseExpires(customer)),
        );
        actions.extend(
            state.groups[customer]
                .in_flight
                .map(|_| Action::VisibilityExpires(customer)),
        );
        // Any would do; the first has all the others behind it.
        actions.extend(has_faults_left.then_some(Action::DuplicateArrives(customer, 0)));
    }
    if has_faults_left {
        actions.extend([Action::RedisRestarts, Action::RedisFailsOver]);
    }
}

fn gather(worker: Worker, process: &Process, state: &State, actions: &mut Vec<Action>) {
    for (customer, (hand, group)) in process.hands.iter().zip(&state.groups).enumerate() {
        if hand.messages.is_empty() && group.in_flight.is_none() && !group.messages.is_empty() {
            let there = u8::try_from(group.messages.len()).unwrap_or(u8::MAX);
            actions.push(Action::Receive(worker, customer, 1));
            actions.extend((there > 1).then_some(Action::Receive(worker, customer, there)));
        }
    }
    if process.hands.iter().any(|hand| !hand.messages.is_empty()) {
        actions.push(Action::Acquire(worker));
    }
}

/// Nothing is queued and nobody is at work.
pub(crate) fn is_at_rest(state: &State) -> bool {
    state.transactions.is_empty()
        && state.groups.iter().all(|group| group.messages.is_empty())
        && state
            .workers
            .iter()
            .all(|process| process.stage == Stage::Gathering)
}

/// Something other than a fault can happen.
pub(crate) fn goes_on(model: &Protocol, state: &State) -> bool {
    let calm = State {
        faults_left: 0,
        ..state.clone()
    };
    let mut actions = Vec::new();
    possible(model, &calm, &mut actions);
    actions
        .into_iter()
        .any(|action| take(model, &mut calm.clone(), action))
}

/// The same state with the workers' names exchanged, if that puts them in order: of two states that are alike but for
/// the names one need not be visited.
pub(crate) fn ordered(state: &State) -> State {
    let mut state = state.clone();
    if state.workers.is_sorted() {
        return state;
    }
    state.workers.reverse();
    let other = |worker: Worker| WORKERS - 1 - worker;
    for group in &mut state.groups {
        group.in_flight = group.in_flight.map(other);
    }
    for keys in &mut state.keys {
        keys.lease = keys.lease.map(|(worker, token)| (other(worker), token));
    }
    let renamed = state
        .transactions
        .into_iter()
        .map(|transaction| Transaction {
            of: transaction.of.map(other),
            ..transaction
        });
    state.transactions = renamed.collect();
    state
}

/// Takes a step; false if it is not possible, and the state is to be thrown away then.
pub(crate) fn take(model: &Protocol, state: &mut State, action: Action) -> bool {
    match action {
        Action::Receive(worker, customer, count) => receive(state, worker, customer, count),
        Action::Acquire(worker) => acquire(model, state, worker),
        Action::Plan(worker, part) => plan(state, worker, part),
        Action::Park(worker, customer) => park(model, state, worker, customer),
        Action::Write(worker) => write(model, state, worker),
        Action::Commit(worker) => commit(state, worker),
        Action::Release(worker) => {
            let process = &state.workers[worker];
            let is_open = |hand: &Hand| hand.token.is_some() && hand.open().next().is_some();
            if process.stage != Stage::Leased || process.hands.iter().any(is_open) {
                return false;
            }
            give_back(state, worker);
            true
        }
        Action::Acknowledge(worker, customer) => acknowledge(state, worker, customer),
        Action::OrphanCommits(n) => end_orphan(state, n, true),
        Action::OrphanAborts(n) => end_orphan(state, n, false),
        Action::LeaseExpires(customer) => {
            let Some((worker, token)) = state.keys[customer].lease else {
                return false;
            };
            let is_at_work = state.workers[worker].hands[customer].token == Some(token);
            state.keys[customer].lease = None;
            !is_at_work || spend(state)
        }
        Action::VisibilityExpires(customer) => {
            let Some(worker) = state.groups[customer].in_flight.take() else {
                return false;
            };
            state.workers[worker].hands[customer].messages.is_empty() || spend(state)
        }
        Action::BreakOff(worker) => {
            let process = &state.workers[worker];
            if !matches!(process.stage, Stage::Leased | Stage::Planned { .. }) {
                return false;
            }
            let is_refused = process.hands.iter().any(|hand| hand.is_refused);
            give_back(state, worker);
            is_refused || spend(state)
        }
        Action::ConnectionBreaks(worker) => {
            if !matches!(state.workers[worker].stage, Stage::Writing { .. }) {
                return false;
            }
            orphan(state, worker);
            give_back(state, worker);
            spend(state)
        }
        Action::Crash(worker) => {
            orphan(state, worker);
            let process = &mut state.workers[worker];
            let was_at_work = process.hands.iter().any(|hand| !hand.messages.is_empty());
            process.hands.fill(Hand::default());
            process.stage = Stage::Gathering;
            was_at_work && spend(state)
        }
        Action::RedisRestarts => {
            let had_any = state.keys.iter().any(|keys| keys.last > 0);
            state.keys.fill(Keys::default());
            had_any && spend(state)
        }
        Action::RedisFailsOver => {
            let had_any = state.keys.iter().any(|keys| keys.last > 0);
            for keys in &mut state.keys {
                keys.lease = None;
                keys.last = keys.replicated;
            }
            state.clock = 0;
            had_any && spend(state)
        }
        Action::DuplicateArrives(customer, command) => {
            state.groups[customer].messages.push(command);
            spend(state)
        }
    }
}

fn spend(state: &mut State) -> bool {
    let can = state.faults_left > 0;
    state.faults_left = state.faults_left.saturating_sub(1);
    can
}

impl Hand {
    fn open(&self) -> impl Iterator<Item = Command> {
        let open = self
            .messages
            .iter()
            .filter(|(_, verdict)| *verdict == Verdict::Open);
        open.map(|(command, _)| *command)
    }

    /// The commands that an attempt writes: those that were not recorded when it read.
    fn to_write(&self, model: &Protocol, part: u8, read: Read) -> Vec<Command> {
        let mut commands: Vec<Command> = Vec::new();
        for command in self.open().take(usize::from(part)) {
            let is_known = model.rules.inbox && read.inbox & bit(command) != 0;
            if !is_known && !commands.contains(&command) {
                commands.push(command);
            }
        }
        commands
    }
}

fn receive(state: &mut State, worker: Worker, customer: Customer, count: u8) -> bool {
    let group = &mut state.groups[customer];
    let process = &mut state.workers[worker];
    let hand = &mut process.hands[customer];
    let first = group.messages.get(..usize::from(count));
    let (Some(first), None, true, Stage::Gathering) = (
        first,
        group.in_flight,
        hand.messages.is_empty(),
        process.stage,
    ) else {
        return false;
    };
    hand.messages = first
        .iter()
        .map(|command| (*command, Verdict::Open))
        .collect();
    group.in_flight = Some(worker);
    true
}

fn acquire(model: &Protocol, state: &mut State, worker: Worker) -> bool {
    let process = &mut state.workers[worker];
    if process.stage != Stage::Gathering {
        return false;
    }
    let now = state.clock + 1;
    let mut is_any_granted = false;
    for (customer, hand) in process.hands.iter_mut().enumerate() {
        if hand.messages.is_empty() {
            continue;
        }
        let keys = &mut state.keys[customer];
        let is_anothers = keys.lease.is_some_and(|(owner, _)| owner != worker);
        if is_anothers && model.rules.lease {
            hand.messages.clear();
            hand_back(&mut state.groups[customer].in_flight, worker);
            continue;
        }
        let token = now.max(keys.last + 1);
        *keys = Keys {
            lease: Some((worker, token)),
            last: token,
            replicated: keys.last,
        };
        hand.token = Some(token);
        is_any_granted = true;
    }
    state.clock = now;
    process.stage = Stage::Leased;
    is_any_granted
}

/// Messages whose receipt is still good are visible again at once.
fn hand_back(in_flight: &mut Option<Worker>, worker: Worker) {
    *in_flight = in_flight.filter(|holder| *holder != worker);
}

fn plan(state: &mut State, worker: Worker, part: u8) -> bool {
    let process = &mut state.workers[worker];
    if process.stage != Stage::Leased {
        return false;
    }
    let mut longest = 0;
    for (hand, rows) in process.hands.iter_mut().zip(&state.rows) {
        let open = hand.open().count();
        if hand.token.is_some() && open > 0 {
            hand.read = Some(rows.read());
            hand.is_refused = false;
            longest = longest.max(open);
        }
    }
    process.stage = Stage::Planned { part };
    // The first of one is all of it.
    longest > 0 && (part == ALL || longest > 1)
}

fn park(model: &Protocol, state: &mut State, worker: Worker, customer: Customer) -> bool {
    let process = &mut state.workers[worker];
    let Stage::Planned { part } = process.stage else {
        return false;
    };
    let mut covered = 0;
    let mut command = None;
    for (other, hand) in process.hands.iter().enumerate() {
        let Some(read) = hand.read else { continue };
        covered += hand.open().take(usize::from(part)).count();
        if other == customer {
            command = hand.to_write(model, part, read).first().copied();
        }
    }
    let (1, Some(command)) = (covered, command) else {
        return false;
    };
    let hand = &mut process.hands[customer];
    let open = hand
        .messages
        .iter_mut()
        .find(|(_, verdict)| *verdict == Verdict::Open);
    if let Some((_, verdict)) = open {
        *verdict = Verdict::Park;
    }
    hand.read = None;
    state.gave_up_place[customer] |= bit(command);
    process.stage = Stage::Leased;
    spend(state)
}

fn write(model: &Protocol, state: &mut State, worker: Worker) -> bool {
    let process = &mut state.workers[worker];
    let Stage::Planned { part } = process.stage else {
        return false;
    };
    let mut writes = Vec::new();
    for (customer, hand) in process.hands.iter().enumerate() {
        let (Some(read), Some(token)) = (hand.read, hand.token) else {
            continue;
        };
        let commands = hand.to_write(model, part, read);
        if !commands.is_empty() {
            writes.push(Write {
                customer,
                token,
                commands,
                after: read.last_sequence,
            });
        }
    }
    if writes.is_empty() {
        conclude(state, worker, part);
        return true;
    }
    // Another transaction has the row: this one waits for its end.
    let mut locked = state
        .transactions
        .iter()
        .flat_map(|transaction| &transaction.writes);
    if locked.any(|theirs| writes.iter().any(|ours| ours.customer == theirs.customer)) {
        return false;
    }
    let mut is_any_stale = false;
    for write in &writes {
        let hand = &mut process.hands[write.customer];
        if hand
            .read
            .is_some_and(|read| is_stale(model, &state.rows[write.customer], read, write))
        {
            hand.read = None;
            hand.is_refused = true;
            is_any_stale = true;
        }
    }
    if !is_any_stale {
        process.stage = Stage::Writing { part };
        let of = Some(worker);
        state.transactions.insert(Transaction { of, writes });
    } else if process.hands.iter().all(|hand| hand.read.is_none()) {
        process.stage = Stage::Leased;
    }
    true
}

/// What the statements of the transaction find when they hold the row: `shared/sequence/src/fence.rs`, then
/// `inbox::record`.
fn is_stale(model: &Protocol, rows: &Rows, read: Read, write: &Write) -> bool {
    let is_not_smaller = rows.fence.is_none_or(|fence| write.token >= fence);
    let may_pass = match model.rules.fence {
        Fence::None => true,
        Fence::NotSmaller => is_not_smaller,
        Fence::AsRead => is_not_smaller && rows.fence == read.fence,
        Fence::Versioned => is_not_smaller && rows.version == read.version,
    };
    let is_recorded = |command: &Command| rows.inbox & bit(*command) != 0;
    !may_pass || (model.rules.inbox && write.commands.iter().any(is_recorded))
}

fn commit(state: &mut State, worker: Worker) -> bool {
    let Stage::Writing { part } = state.workers[worker].stage else {
        return false;
    };
    let ours = state
        .transactions
        .iter()
        .find(|transaction| transaction.of == Some(worker));
    let Some(ours) = ours.cloned() else {
        return false;
    };
    state.transactions.remove(&ours);
    apply(state, &ours);
    conclude(state, worker, part);
    true
}

fn apply(state: &mut State, transaction: &Transaction) {
    for write in &transaction.writes {
        let rows = &mut state.rows[write.customer];
        rows.fence = Some(write.token);
        rows.version += 1;
        rows.last_sequence = write.after;
        for &command in &write.commands {
            rows.last_sequence += 1;
            rows.inbox |= bit(command);
            rows.effects.push(crate::Effect {
                command,
                sequence: rows.last_sequence,
                token: write.token,
            });
        }
    }
}

/// The attempt is over: what it covered is done.
fn conclude(state: &mut State, worker: Worker, part: u8) {
    let process = &mut state.workers[worker];
    for hand in &mut process.hands {
        if hand.read.take().is_some() {
            let open = hand
                .messages
                .iter_mut()
                .filter(|(_, verdict)| *verdict == Verdict::Open);
            open.take(usize::from(part))
                .for_each(|(_, verdict)| *verdict = Verdict::Done);
        }
    }
    process.stage = Stage::Leased;
}

/// Ends the turn: leases that are still this holder's are given back.
fn give_back(state: &mut State, worker: Worker) {
    let process = &mut state.workers[worker];
    for (hand, keys) in process.hands.iter_mut().zip(&mut state.keys) {
        if let Some(token) = hand.token.take()
            && keys.lease == Some((worker, token))
        {
            keys.lease = None;
        }
        hand.read = None;
        hand.is_refused = false;
    }
    process.stage = Stage::Acknowledging;
}

fn acknowledge(state: &mut State, worker: Worker, customer: Customer) -> bool {
    let process = &mut state.workers[worker];
    let group = &mut state.groups[customer];
    let hand = &mut process.hands[customer];
    if process.stage != Stage::Acknowledging || hand.messages.is_empty() {
        return false;
    }
    let (command, verdict) = hand.messages[0];
    if verdict == Verdict::Open {
        hand.messages.clear();
    } else {
        hand.messages.remove(0);
        // With an old receipt nothing can be deleted.
        if group.in_flight == Some(worker) {
            group.messages.remove(0);
        }
        if verdict == Verdict::Park {
            state.parked[customer] |= bit(command);
        }
    }
    if hand.messages.is_empty() {
        hand_back(&mut group.in_flight, worker);
        if process.hands.iter().all(|hand| hand.messages.is_empty()) {
            process.stage = Stage::Gathering;
        }
    }
    true
}

fn orphan(state: &mut State, worker: Worker) {
    let ours = state
        .transactions
        .iter()
        .find(|transaction| transaction.of == Some(worker));
    if let Some(mut ours) = ours.cloned() {
        state.transactions.remove(&ours);
        ours.of = None;
        state.transactions.insert(ours);
    }
}

fn end_orphan(state: &mut State, n: u8, commits: bool) -> bool {
    let mut orphans = state
        .transactions
        .iter()
        .filter(|transaction| transaction.of.is_none());
    let Some(orphan) = orphans.nth(usize::from(n)).cloned() else {
        return false;
    };
    state.transactions.remove(&orphan);
    if commits {
        apply(state, &orphan);
        state.committed_unseen = true;
    }
    true
}
