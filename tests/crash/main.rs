//! The crash matrix: whatever fails around whichever effect, the promises hold.
//!
//! Three services run as processes of their own. All that they do to the world passes wires
//! ([`steelyard_testkit::Wire`]) that see every request and answer. A story is played once to record what it asks for;
//! each of these points then fails in every way, and the story must still come to its end:
//!
//! | fault | what happens at the point |
//! |---|---|
//! | request lost | the connection breaks before the request arrives |
//! | answer lost | the request has its effect, and the connection breaks before its answer (a commit of which nobody knows) |
//! | dies before | `SIGKILL`, before the request arrives |
//! | dies after | `SIGKILL`, when the request has had its effect |
//!
//! So the matrix has no list of points: a new effect is a new point, and one that no story reaches fails a test here.
//!
//! `STEELYARD_CRASH_CELL="place / orders: COMMIT"` plays the cells whose name contains the text, alone; an
//! empty text plays every story at every point, which by default only the handlers' own stories are.
#![expect(clippy::expect_used, reason = "a cell stops at the first surprise")]

mod check;
mod lane;
mod matrix;
mod part;
mod shop;
mod source;
mod story;

use std::collections::BTreeSet;

use lane::Lane;
use story::Story;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_fails_around_any_effect_every_promise_holds() {
    let lane = Lane::start().await;
    let (mut cells, mut earlier) = (Vec::new(), Vec::new());
    for story in Story::ALL {
        let points = matrix::record(&lane, story).await;
        cells.extend(matrix::cells(story, &points, &earlier));
        earlier.extend(points);
    }
    let results = matrix::play(lane, cells).await;
    println!("{}", matrix::table(&results));
    let failed: Vec<_> = results.iter().filter_map(matrix::Played::failure).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(!results.is_empty(), "no cell has this name");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_effect_in_the_code_is_a_point_that_some_story_passes() {
    let lane = Lane::start().await;
    let mut passed = BTreeSet::new();
    for story in Story::ALL {
        let points = matrix::record(&lane, story).await;
        passed.extend(points.into_iter().map(|point| point.call));
    }
    let missing: Vec<_> = source::effects()
        .into_iter()
        .filter(|effect| !effect.is_among(&passed))
        .map(|effect| effect.to_string())
        .collect();
    assert!(
        missing.is_empty(),
        "no story reaches:\n{}\nthey reach:\n{passed:#?}",
        missing.join("\n")
    );
}
