//! Classes that are not read at once, as an emulator has them: two seconds are its hours.

use steelyard_documents::archive::{Availability, Error, Held, Hold, Options};
use steelyard_objects::Class;
use steelyard_testkit::wait_for;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use crate::LATER;
use crate::ministack::Ministack;
use crate::stand::{NOW, OLD, SOON, Stand, Told, options, retention, tick};

#[tokio::test(flavor = "multi_thread")]
async fn a_cold_document_says_when_it_can_be_read_and_then_can_be() {
    let ministack = match Ministack::start().await {
        Ok(ministack) => ministack,
        Err(why) => return eprintln!("not run: {why}"),
    };
    let stand = Stand::new(ministack.bucket().await).await;
    let french = Told {
        country: Some("FR"),
        ..OLD
    };
    let old = stand.some(french, 10).await;
    let archive = stand.archive(Options {
        pack_bytes: 1 << 20,
        ..options(Class::Glacier)
    });
    let done = tick(&archive, NOW).await;
    assert_eq!((done.packs, done.chilled), (1, 1));
    let later = NOW + LATER;
    tick(&archive, later).await;
    let (_, key, _) = &stand.packs().await[0];
    let head = stand.bucket.head(key).await.unwrap().unwrap();
    assert_eq!(head.class, Class::Glacier);
    let refused = stand.bucket.range(key, 0..10).await.unwrap_err();
    assert!(!refused.is_outage(), "cold is not away: {refused}");
    assert_eq!(
        archive.availability(old[3].id, later).await.unwrap(),
        Availability::Archived
    );

    let expected = Availability::Restoring(later + Duration::hours(5));
    let asked = archive.restore(old[3].id, later).await.unwrap();
    assert_eq!(asked, expected);
    assert_eq!(
        archive.availability(old[3].id, later).await.unwrap(),
        expected
    );
    assert_eq!(stand.read(&old[3]).await, None);
    // Its neighbour: the pack is asked for once. On a slow machine it may be there already.
    let neighbour = archive
        .restore(old[8].id, later + Duration::hours(1))
        .await
        .unwrap();
    assert!(
        neighbour == expected || matches!(neighbour, Availability::Ready(_)),
        "{neighbour:?}"
    );
    let since: OffsetDateTime = sqlx::query_scalar("SELECT restore_requested_at FROM packs")
        .fetch_one(&stand.pool)
        .await
        .unwrap();
    assert_eq!(since, later);

    // Nobody has to ask again: a tick brings them back when the pack can be read.
    wait_for("the documents can be read", SOON, async || {
        tick(&archive, later).await;
        let mut ready = true;
        for known in [&old[3], &old[8]] {
            let available = archive.availability(known.id, later).await.unwrap();
            ready &= matches!(available, Availability::Ready(Some(_)));
        }
        ready
    })
    .await;
    for known in [&old[3], &old[8]] {
        assert_eq!(stand.read(known).await.as_ref(), Some(&known.content));
        // Tagged as when it was issued.
        let tags = ministack.tags(&known.key).await;
        let expected = [("country", "FR"), ("kind", "invoice")];
        assert_eq!(
            tags,
            expected.map(|(name, is)| (name.to_owned(), is.to_owned()))
        );
    }
    let until = Availability::Ready(Some(later + Duration::days(7)));
    // For some days all of the pack is there at once.
    assert_eq!(archive.restore(old[0].id, later).await.unwrap(), until);
    assert_eq!(stand.read(&old[0]).await.as_ref(), Some(&old[0].content));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_document_that_a_rule_moved_into_the_cold_is_told_of_and_restored() {
    let ministack = match Ministack::start().await {
        Ok(ministack) => ministack,
        Err(why) => return eprintln!("not run: {why}"),
    };
    let stand = Stand::new(ministack.bucket().await).await;
    let old = stand.some(OLD, 2).await;
    let archive = stand.archive(options(Class::Standard));
    let least = Duration::minutes(10);
    let fetch = async |id| archive.fetch(id, NOW, least).await.unwrap();
    let cold = &old[0];
    stand
        .bucket
        .set_class(&cold.key, Class::Glacier)
        .await
        .unwrap();
    assert_eq!(fetch(cold.id).await, Availability::Archived);
    assert_eq!(fetch(old[1].id).await, Availability::Ready(None));

    let expected = Availability::Restoring(NOW + Duration::hours(5));
    assert_eq!(archive.restore(cold.id, NOW).await.unwrap(), expected);
    let then = fetch(cold.id).await;
    assert!(
        then == expected || then == Availability::Ready(None),
        "{then:?}"
    );
    wait_for("it can be read", SOON, async || {
        fetch(cold.id).await == Availability::Ready(None)
    })
    .await;
    assert_eq!(stand.read(cold).await.as_ref(), Some(&cold.content));

    stand.bucket.delete(&old[1].key).await.unwrap();
    let gone = archive.fetch(old[1].id, NOW, least).await;
    assert!(matches!(gone, Err(Error::Damaged { .. })), "{gone:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_is_fetched_from_the_cold_before_its_pack_goes() {
    const OVER: OffsetDateTime = datetime!(2035-01-01 00:00 UTC);
    let ministack = match Ministack::start().await {
        Ok(ministack) => ministack,
        Err(why) => return eprintln!("not run: {why}"),
    };
    let stand = Stand::new(ministack.bucket().await).await;
    let old = stand.some(OLD, 6).await;
    let archive = stand.archive(Options {
        retention: Some(retention()),
        ..options(Class::DeepArchive)
    });
    tick(&archive, NOW).await;
    tick(&archive, NOW + LATER).await;
    Hold::place(
        &stand.pool,
        &Held::Document(old[2].id),
        "file 9/34",
        "counsel",
    )
    .await
    .unwrap();
    assert_eq!(
        tick(&archive, OVER).await.removed,
        0,
        "asked for, and not there yet"
    );
    let mut removed = 0;
    wait_for("the others are removed", SOON, async || {
        removed += tick(&archive, OVER).await.removed;
        removed == 5
    })
    .await;
    assert_eq!(stand.keys("packs/").await.len(), 0);
    assert_eq!(stand.read(&old[2]).await.as_ref(), Some(&old[2].content));
    assert_eq!(
        archive.availability(old[2].id, OVER).await.unwrap(),
        Availability::Ready(None)
    );
}
