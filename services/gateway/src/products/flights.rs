//! Questions under way: whoever asks the same meanwhile waits for the same answer.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use parking_lot::Mutex;
use steelyard_runtime::http::HttpError;

use super::copies::{Copy, Epoch};

/// Questions to the catalog that may be under way at once; each is a connection.
const FLIGHTS_MAX: usize = 256;

/// What the catalog said.
#[derive(Debug, Clone)]
pub(super) enum Landed {
    /// A new answer.
    Fetched(Arc<Copy>),
    /// The copy that was at hand still holds.
    Renewed(Arc<Copy>),
}

/// An answer or a refusal, for everyone who waits for it. A refusal is shared as well: else those
/// who wait would try a catalog that is down one after the other.
pub(super) type Outcome = Result<Landed, HttpError>;

struct Flight {
    /// Changes that its answer includes.
    epoch: Epoch,
    number: u64,
    outcome: Shared<BoxFuture<'static, Outcome>>,
}

#[derive(Default)]
struct Board {
    under_way: HashMap<String, Flight>,
    count: usize,
    begun: u64,
}

/// The questions under way, by what the catalog is asked for.
#[derive(Default)]
pub(crate) struct Flights {
    board: Mutex<Board>,
}

/// A place among those who wait for an answer.
pub(super) struct Seat {
    pub(super) outcome: Shared<BoxFuture<'static, Outcome>>,
    /// False for the one who asked.
    pub(super) joined: bool,
}

impl Flights {
    /// Joins the question that is under way, if its answer will include all changes heard so far
    /// (`epoch`), or begins one. `None`: too many are under way.
    pub(super) fn join(
        self: &Arc<Self>,
        asked: &str,
        epoch: Epoch,
        begin: impl FnOnce() -> BoxFuture<'static, Outcome>,
    ) -> Option<Seat> {
        let mut board = self.board.lock();
        if let Some(flight) = board.under_way.get(asked)
            && flight.epoch == epoch
        {
            return Some(Seat {
                outcome: flight.outcome.clone(),
                joined: true,
            });
        }
        if board.count >= FLIGHTS_MAX {
            return None;
        }
        board.begun += 1;
        board.count += 1;
        let number = board.begun;
        let landing = Landing {
            flights: Arc::clone(self),
            asked: asked.to_owned(),
            number,
        };
        let question = begin();
        let outcome = async move {
            let outcome = question.await;
            // Before anyone has the answer: who asks after that wants a newer one.
            drop(landing);
            outcome
        };
        let outcome = outcome.boxed().shared();
        let flight = Flight {
            epoch,
            number,
            outcome: outcome.clone(),
        };
        board.under_way.insert(asked.to_owned(), flight);
        drop(board);
        // It goes to its end even if the one who asked hangs up: others may wait for it.
        tokio::spawn(outcome.clone());
        Some(Seat {
            outcome,
            joined: false,
        })
    }
}

/// Takes a question off the board, also when asking panicked.
struct Landing {
    flights: Arc<Flights>,
    asked: String,
    number: u64,
}

impl Drop for Landing {
    fn drop(&mut self) {
        let mut board = self.flights.board.lock();
        board.count -= 1;
        // A newer question about the same may have taken its place.
        if let Some(flight) = board.under_way.get(&self.asked)
            && flight.number == self.number
        {
            board.under_way.remove(&self.asked);
        }
    }
}
