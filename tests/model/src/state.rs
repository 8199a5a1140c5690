//! What there is: a queue, a Redis, a Postgres, and workers that hold copies of all three.
//!
//! Everything is kept small and canonical, since every distinct state is visited once.

use std::collections::BTreeSet;

use crate::Protocol;

/// Workers.
pub(crate) const WORKERS: usize = 2;

/// A customer, by number.
pub type Customer = usize;
/// A worker process, by number.
pub type Worker = usize;
/// A command of a customer, by its place in the order of acceptance.
pub type Command = u8;
/// A fencing token, or Redis's clock: both count the same small ticks here.
pub type Token = u8;

/// The message group of one customer in `orders.fifo`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Group {
    /// What is in the queue, oldest first. A command may be there twice: a producer's retry after the five minutes in
    /// which SQS remembers.
    pub messages: Vec<Command>,
    /// Who has the first so many of them in flight. Meanwhile SQS hands out nothing of the group.
    pub in_flight: Option<Worker>,
}

/// The two keys of a customer in Redis, see `shared/sequence/src/scripts/acquire.lua`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Keys {
    /// `…:lease:…`: owner and token.
    pub lease: Option<(Worker, Token)>,
    /// `…:token:…`: the last token.
    pub last: Token,
    /// What a replica has of the last token that does not have the last write.
    pub replicated: Token,
}

/// An effect: an order that was settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Effect {
    /// By which command.
    pub command: Command,
    /// Its number among the customer's orders, as planned from what was read.
    pub sequence: u8,
    /// Under which token it was written.
    pub token: Token,
}

/// The rows of one customer in Postgres: `customers`, `inbox`, `orders`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rows {
    /// `customers.fence`; `None` while there is no row.
    pub fence: Option<Token>,
    /// `customers.version`.
    pub version: u8,
    /// `customers.last_sequence`.
    pub last_sequence: u8,
    /// `inbox`: one bit per command.
    pub inbox: u8,
    /// `orders`, in the order in which they were written.
    pub effects: Vec<Effect>,
}

/// What a plan was made from: `db::load`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Read {
    /// The fence as it was.
    pub fence: Option<Token>,
    /// The row's version as it was.
    pub version: u8,
    /// The last number as it was.
    pub last_sequence: u8,
    /// The commands that were dealt with.
    pub inbox: u8,
}

impl Rows {
    /// The orders' numbers run 1, 2, 3….
    pub(crate) fn is_numbered(&self) -> bool {
        let numbers = self.effects.iter().map(|effect| effect.sequence);
        numbers.eq((1..).take(self.effects.len()))
    }

    /// No effect has a smaller token than one before it.
    pub(crate) fn is_in_order_of_tokens(&self) -> bool {
        self.effects.is_sorted_by_key(|effect| effect.token)
    }

    /// What a reader sees.
    #[must_use]
    pub fn read(&self) -> Read {
        Read {
            fence: self.fence,
            version: self.version,
            last_sequence: self.last_sequence,
            inbox: self.inbox,
        }
    }
}

/// What one transaction writes for one customer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Write {
    /// Whose rows; they are locked from the statement that moves the fence until the transaction ends.
    pub customer: Customer,
    /// Under which token.
    pub token: Token,
    /// The commands that take effect, in order.
    pub commands: Vec<Command>,
    /// The last number that was read: theirs follow it.
    pub after: u8,
}

/// A transaction whose statements have run and which has not ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Transaction {
    /// Who waits for it; `None` once the connection broke while its commit was under way.
    pub of: Option<Worker>,
    /// What it writes.
    pub writes: Vec<Write>,
}

/// What a worker means to do with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// Not decided.
    Open,
    /// Delete it.
    Done,
    /// Set it aside.
    Park,
}

/// What a worker has of one customer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hand {
    /// Messages, oldest first.
    pub messages: Vec<(Command, Verdict)>,
    /// The token of the lease that it believes to hold.
    pub token: Option<Token>,
    /// What it read.
    pub read: Option<Read>,
    /// Its last attempt to write was refused.
    pub is_refused: bool,
}

/// Where a worker stands in its set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// Collects messages; holds no lease.
    #[default]
    Gathering,
    /// Holds leases, has to read.
    Leased,
    /// Has read, and planned so many messages of each customer.
    Planned {
        /// Messages of each customer that the attempt covers, at most.
        part: u8,
    },
    /// Its transaction's statements have run.
    Writing {
        /// As planned.
        part: u8,
    },
    /// Has given its leases back and acknowledges.
    Acknowledging,
}

/// A worker process.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Process {
    /// Where it stands.
    pub stage: Stage,
    /// What it has, per customer.
    pub hands: Vec<Hand>,
}

/// Everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The queue, per customer.
    pub groups: Vec<Group>,
    /// Redis, per customer.
    pub keys: Vec<Keys>,
    /// Redis's clock.
    pub clock: Token,
    /// Postgres, per customer.
    pub rows: Vec<Rows>,
    /// Postgres's open transactions.
    pub transactions: BTreeSet<Transaction>,
    /// The dead-letter queue, per customer: one bit per command.
    pub parked: Vec<u8>,
    /// Commands of which some worker decided that they are set aside: they have given up their place in the sequence.
    pub gave_up_place: Vec<u8>,
    /// The workers.
    pub workers: Vec<Process>,
    /// Faults that may still happen.
    pub faults_left: u8,
    /// A transaction was carried out after its asker had lost the connection.
    pub committed_unseen: bool,
}

impl State {
    /// All commands are accepted, and nothing has been done.
    #[must_use]
    pub(crate) fn initial(model: &Protocol) -> Self {
        let process = Process {
            stage: Stage::Gathering,
            hands: vec![Hand::default(); model.customers],
        };
        let group = Group {
            messages: (0..model.commands).collect(),
            in_flight: None,
        };
        Self {
            groups: vec![group; model.customers],
            keys: vec![Keys::default(); model.customers],
            clock: 0,
            rows: vec![Rows::default(); model.customers],
            transactions: BTreeSet::new(),
            parked: vec![0; model.customers],
            gave_up_place: vec![0; model.customers],
            workers: vec![process; WORKERS],
            faults_left: model.faults,
            committed_unseen: false,
        }
    }
}

/// The bit of a command.
#[must_use]
pub(crate) fn bit(command: Command) -> u8 {
    1 << command
}
