//! Cells: made from what a story's record shows, played on several lanes at once, shown as a table.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use steelyard_testkit::{Fault, Point};

use crate::lane::Lane;
use crate::story::Story;

/// Systems side by side. A cell mostly waits: for a probe, for a process to start.
const LANES: usize = 6;
/// After so many failures the rest is not played.
const FAILURES_MAX: usize = 10;
/// How often a story is played to know its points.
const RECORDINGS: usize = 3;
/// How often a cell is played until its fault is met.
const TRIES_MAX: usize = 5;
const CELL_MAX: Duration = Duration::from_secs(400);
/// What a worker asks by the clock, whatever it has to do: no story passes it at a certain place. That a worker keeps the
/// maintenance state that it knows is proved in `tests/stories/operators.rs`.
const BY_THE_CLOCK: [&str; 4] = [
    "SELECT maintenance",
    "SELECT workers",
    "DELETE workers INSERT workers",
    "DELETE workers",
];
const ONLY: &str = "STEELYARD_CRASH_CELL";

/// A fault and where it happens.
#[derive(Clone, Debug)]
pub(crate) struct Armed {
    pub(crate) point: Point,
    pub(crate) fault: Fault,
}

/// One run of a story with one fault.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    story: Story,
    armed: Armed,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Armed { point, fault } = &self.armed;
        write!(f, "{} / {point} / {}", self.story.name(), fault.as_str())
    }
}

/// A cell that was played.
pub(crate) struct Played {
    cell: Cell,
    result: Result<(), String>,
}

impl Played {
    /// What went wrong, under the name by which it can be played again.
    pub(crate) fn failure(&self) -> Option<String> {
        let failure = self.result.as_ref().err()?;
        Some(format!("{}: {failure}", self.cell))
    }
}

/// The points that a story passes when nothing fails, each time: in how many batches its events leave is chance.
pub(crate) async fn record(lane: &Lane, story: Story) -> Vec<Point> {
    let mut points = lane.run(story, None).await.points;
    points.retain(|point| !BY_THE_CLOCK.contains(&point.call.as_str()));
    for _ in 1..RECORDINGS {
        let again = lane.run(story, None).await.points;
        points.retain(|point| again.contains(point));
    }
    points
}

/// Every fault at every point of a handler; of the other stories, at the points that no story before has (`earlier`). If
/// the environment names cells, those of all stories.
pub(crate) fn cells(story: Story, points: &[Point], earlier: &[Point]) -> Vec<Cell> {
    let only = std::env::var(ONLY).ok();
    let is_all = story.is_handler() || only.is_some();
    let points = points
        .iter()
        .filter(|point| is_all || !earlier.contains(point));
    let only = only.unwrap_or_default();
    let cells = points.flat_map(|point| {
        // A request that only its answer makes a point had no effect before.
        let faults = Fault::ALL.into_iter();
        let faults = faults.filter(|fault| !(point.late && fault.is_before()));
        faults.map(|fault| Cell {
            story,
            armed: Armed {
                point: point.clone(),
                fault,
            },
        })
    });
    cells
        .filter(|cell| cell.to_string().contains(&only))
        .collect()
}

/// Plays all cells, several at a time, each by itself.
pub(crate) async fn play(first: Lane, cells: Vec<Cell>) -> Vec<Played> {
    let lanes = LANES.min(cells.len());
    let cells = RefCell::new(VecDeque::from(cells));
    let played = RefCell::new(Vec::new());
    let mut first = Some(first);
    // Taking a lane down takes its time, which those that still play would miss: all go at the end.
    let _lanes = join_all((0..lanes).map(|_| play_some(first.take(), &cells, &played))).await;
    played.into_inner()
}

async fn play_some(
    mut lane: Option<Lane>,
    cells: &RefCell<VecDeque<Cell>>,
    played: &RefCell<Vec<Played>>,
) -> Vec<Lane> {
    let mut left = Vec::new();
    let next = || cells.borrow_mut().pop_front();
    while let Some(cell) = next() {
        // A lane on which a cell failed may not be sound any more.
        let current = match lane.take() {
            Some(lane) => lane,
            None => Lane::start().await,
        };
        let result = play_one(&current, &cell).await;
        if result.is_ok() {
            lane = Some(current);
        } else {
            left.push(current);
        }
        let mut played = played.borrow_mut();
        played.push(Played { cell, result });
        let failures = played.iter().filter(|played| played.result.is_err());
        if failures.count() >= FAILURES_MAX {
            break;
        }
    }
    left.extend(lane);
    left
}

/// Plays a cell until its fault is met: by chance, a story may end without passing a point that it mostly passes.
async fn play_one(lane: &Lane, cell: &Cell) -> Result<(), String> {
    for _ in 0..TRIES_MAX {
        let run = lane.run(cell.story, Some(&cell.armed));
        let failure = match AssertUnwindSafe(tokio::time::timeout(CELL_MAX, run))
            .catch_unwind()
            .await
        {
            Ok(Ok(run)) if run.fired => return Ok(()),
            Ok(Ok(_)) => continue,
            Ok(Err(_)) => format!("no end within {CELL_MAX:?}"),
            Err(panic) => match panic.downcast::<String>() {
                Ok(text) => *text,
                Err(_) => "it panicked".to_owned(),
            },
        };
        return Err(format!("{failure}\n{}", lane.said(cell)));
    }
    Err(format!(
        "the point was not reached in {TRIES_MAX} tries\n{}",
        lane.said(cell)
    ))
}

/// Points × faults.
pub(crate) fn table(played: &[Played]) -> String {
    let mut rows: BTreeMap<(Story, usize, String), BTreeMap<&str, &str>> = BTreeMap::new();
    let mut order: Vec<&Point> = Vec::new();
    for Played { cell, result } in played {
        let point = &cell.armed.point;
        if !order.contains(&point) {
            order.push(point);
        }
        let place = order.iter().position(|known| *known == point).unwrap_or(0);
        let row = rows
            .entry((cell.story, place, point.to_string()))
            .or_default();
        let word = if result.is_ok() { "ok" } else { "FAILED" };
        row.insert(cell.armed.fault.as_str(), word);
    }
    let mut lines = vec![line("story / point", Fault::ALL.map(Fault::as_str))];
    for ((story, _, point), row) in &rows {
        let name = format!("{} / {point}", story.name());
        lines.push(line(
            &name,
            Fault::ALL.map(|fault| *row.get(fault.as_str()).unwrap_or(&"–")),
        ));
    }
    lines.push(format!("{} cells at {} points", played.len(), rows.len()));
    lines.join("\n")
}

fn line(name: &str, columns: [&str; 4]) -> String {
    let [a, b, c, d] = columns;
    format!("{name:<90} {a:<13} {b:<12} {c:<12} {d}")
}
