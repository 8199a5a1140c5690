//! From warm to cold, back for a while, and gone in the end; whoever dies, and whatever is held.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod cold;
mod ministack;
mod removal;
mod stand;

use bytes::Bytes;
use stand::{NOW, OLD, SOON, Told, config, local, names, options, retention, tick};
use steelyard_documents::archive::{Availability, Error, Options};
use steelyard_objects::{Bucket, Class, Kept};
use steelyard_testkit::{proxy, wait_for};
use time::Duration;
use time::macros::date;
use uuid::Uuid;

/// Longer than a document stays under its own key after it was packed.
const LATER: Duration = Duration::minutes(11);

#[tokio::test(flavor = "multi_thread")]
async fn past_months_go_into_packs_and_every_document_comes_back_out_of_them() {
    let (_s3, stand) = local().await;
    let mut old = stand.some(OLD, 30).await;
    old.extend(
        stand
            .some(
                Told {
                    kind: "delivery_note",
                    ..OLD
                },
                5,
            )
            .await,
    );
    old.extend(
        stand
            .some(
                Told {
                    issued_on: date!(2025 - 12 - 31),
                    ..OLD
                },
                4,
            )
            .await,
    );
    let warm = stand
        .some(
            Told {
                issued_on: date!(2026 - 02 - 01),
                ..OLD
            },
            3,
        )
        .await;
    let archive = stand.archive(Options {
        retention: Some(retention()),
        ..options(Class::Standard)
    });

    let done = tick(&archive, NOW).await;
    assert_eq!((done.packed, done.faults, done.shed), (39, 0, 0));
    // Kept apart: two months, and what is removed on another day.
    assert!(done.packs >= 4, "{done:?}");
    assert_eq!(stand.unzipped().await, names(&old));
    // Whoever has a URL of theirs can still use it.
    for known in &old {
        assert_eq!(stand.read(known).await.as_ref(), Some(&known.content));
        assert!(matches!(
            archive.availability(known.id, NOW).await.unwrap(),
            Availability::Ready(Some(_))
        ));
    }
    assert_eq!(tick(&archive, NOW + LATER).await.shed, 39);
    assert_eq!(
        tick(&archive, NOW + LATER).await.packed,
        0,
        "nothing is left to do"
    );
    for known in &old {
        assert_eq!(stand.read(known).await, None);
    }
    assert_eq!(stand.keys("invoice/").await.len(), warm.len());

    let later = NOW + LATER;
    assert_eq!(
        archive.availability(old[7].id, later).await.unwrap(),
        Availability::Archived
    );
    let restored = archive.restore(old[7].id, later).await.unwrap();
    assert_eq!(
        restored,
        Availability::Ready(Some(later + Duration::days(7)))
    );
    assert_eq!(stand.read(&old[7]).await.as_ref(), Some(&old[7].content));
    assert_eq!(
        archive.restore(warm[0].id, later).await.unwrap(),
        Availability::Ready(None)
    );
    let week = later + Duration::days(8);
    assert_eq!(tick(&archive, week).await.shed, 1);
    assert_eq!(
        archive.availability(old[7].id, week).await.unwrap(),
        Availability::Archived
    );
    assert!(matches!(
        archive.restore(Uuid::nil(), later).await,
        Err(Error::NoDocument(_))
    ));

    for (id, _, _) in stand.packs().await {
        let verified = archive.verify(id).await.unwrap();
        assert_eq!(verified.documents, verified.known);
    }
    assert_eq!(archive.verify_chain().await.unwrap(), done.packs);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_changes_a_pack_or_takes_one_away_is_found_out() {
    let (_s3, stand) = local().await;
    let old = stand.some(OLD, 30).await;
    let archive = stand.archive(options(Class::Standard));
    tick(&archive, NOW).await;
    tick(&archive, NOW + LATER).await;
    let packs = stand.packs().await;
    assert!(packs.len() >= 3);

    // A byte of a document, which also lies in the row's place.
    let (id, key, _) = &packs[0];
    let mut pack = stand.bucket.get(key, 1 << 24).await.unwrap().body.to_vec();
    let (victim, at): (Uuid, i64) = sqlx::query_as(
        "SELECT id, pack_offset FROM documents WHERE pack_id = $1 ORDER BY id LIMIT 1",
    )
    .bind(id)
    .fetch_one(&stand.pool)
    .await
    .unwrap();
    pack[usize::try_from(at).unwrap() + 5] ^= 1;
    stand
        .bucket
        .put(key, Bytes::from(pack), &Kept::new("application/zip"))
        .await
        .unwrap();
    let found = archive.verify(*id).await.unwrap_err();
    assert!(found.to_string().contains("has other bytes"), "{found}");
    assert!(matches!(
        archive.restore(victim, NOW + LATER).await,
        Err(Error::Damaged { .. })
    ));
    let victim = old.iter().find(|known| known.id == victim).unwrap();
    assert_eq!(
        stand.read(victim).await,
        None,
        "damaged goods are not delivered"
    );

    // A whole pack, well-made, that is not the one that was sealed.
    let other = stand.bucket.get(&packs[1].1, 1 << 24).await.unwrap().body;
    stand
        .bucket
        .put(&packs[2].1, other, &Kept::new("application/zip"))
        .await
        .unwrap();
    assert!(archive.verify(packs[2].0).await.is_err());

    // A row that says nothing was ever there.
    assert_eq!(archive.verify_chain().await.unwrap(), packs.len() as u64);
    sqlx::query("UPDATE packs SET root = sha256('x') WHERE id = $1")
        .bind(packs[1].0)
        .execute(&stand.pool)
        .await
        .unwrap();
    assert!(archive.verify_chain().await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_pack_that_is_gone_the_last_copies_stay() {
    let (_s3, stand) = local().await;
    let old = stand.some(OLD, 30).await;
    let archive = stand.archive(options(Class::Standard));
    tick(&archive, NOW).await;
    let packs = stand.packs().await;
    assert!(packs.len() >= 3);
    // One goes while it waits for the cold, one afterwards, one is cut short.
    for (_, key, _) in &packs[..2] {
        stand.bucket.delete(key).await.unwrap();
    }
    let short = Bytes::from_static(b"PK");
    let zip = Kept::new("application/zip");
    stand.bucket.put(&packs[2].1, short, &zip).await.unwrap();
    sqlx::query("UPDATE packs SET state = 'sealed' WHERE id = $1")
        .bind(packs[0].0)
        .execute(&stand.pool)
        .await
        .unwrap();

    let done = tick(&archive, NOW + LATER).await;
    assert_eq!(done.lost, 3);
    assert_eq!(stand.packs().await[0].2, "sealed");
    let damaged: Vec<Uuid> = sqlx::query_scalar("SELECT id FROM documents WHERE pack_id = ANY($1)")
        .bind(packs[..3].iter().map(|pack| pack.0).collect::<Vec<_>>())
        .fetch_all(&stand.pool)
        .await
        .unwrap();
    assert!(damaged.len() >= 3);
    assert_eq!(usize::try_from(done.shed).unwrap(), 30 - damaged.len());
    for known in old.iter().filter(|known| damaged.contains(&known.id)) {
        assert_eq!(stand.read(known).await.as_ref(), Some(&known.content));
    }
    assert_eq!(tick(&archive, NOW + LATER).await.lost, 3, "told each time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_while_a_pack_is_written_leaves_everything_where_it_was() {
    let (s3, stand) = local().await;
    let old = stand.some(OLD, 40).await;
    // Nothing passes beyond what a pack needs to begin: the tick hangs in its middle.
    let wire = proxy(s3.address());
    let slow = config(
        format!("http://{}", wire.address()),
        s3.access_key(),
        s3.secret_key(),
    );
    let slow = Bucket::connect(slow, "documents").await;
    let hanging = steelyard_documents::archive::Archive::new(
        stand.pool.clone(),
        slow,
        options(Class::Standard),
    );
    wire.latency(std::time::Duration::from_millis(100));
    let ticking = tokio::spawn(async move { hanging.tick(NOW, || true).await });
    wait_for("a pack is being written", SOON, async || {
        let writing = "SELECT count(*) FROM packs WHERE upload_id IS NOT NULL";
        sqlx::query_scalar::<_, i64>(writing)
            .fetch_one(&stand.pool)
            .await
            .unwrap()
            > 0
    })
    .await;
    wire.stall();
    let busy = stand
        .archive(options(Class::Standard))
        .tick(NOW, || true)
        .await;
    assert!(matches!(busy, Err(Error::Busy)), "{busy:?}");
    ticking.abort();
    let _ = ticking.await;
    let archived: i64 =
        sqlx::query_scalar("SELECT count(*) FROM documents WHERE pack_id IS NOT NULL")
            .fetch_one(&stand.pool)
            .await
            .unwrap();
    assert_eq!(archived, 0);

    let archive = stand.archive(options(Class::Standard));
    // The turn goes with the connection, which goes with the task, in its own time.
    let mut done = None;
    wait_for("the turn is free", SOON, async || {
        done = archive.tick(NOW, || true).await.ok();
        done.is_some()
    })
    .await;
    assert_eq!(done.unwrap().packed, 40);
    assert_eq!(stand.unzipped().await, names(&old));
    let states: Vec<_> = stand
        .packs()
        .await
        .into_iter()
        .map(|(_, _, state)| state)
        .collect();
    assert!(states.iter().all(|state| state == "cold"), "{states:?}");
    assert_eq!(
        stand.keys("packs/").await.len(),
        states.len(),
        "no pack lies about"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_whose_file_is_gone_or_another_is_set_aside_and_told() {
    let (_s3, stand) = local().await;
    let old = stand.some(OLD, 6).await;
    stand.bucket.delete(&old[1].key).await.unwrap();
    let kept = Kept::new("application/pdf");
    let same_size = vec![0; old[4].content.len()];
    stand
        .bucket
        .put(&old[4].key, Bytes::from(same_size), &kept)
        .await
        .unwrap();
    let archive = stand.archive(options(Class::Standard));
    let done = tick(&archive, NOW).await;
    assert_eq!((done.packed, done.faults), (4, 2));
    let faults: Vec<Uuid> = sqlx::query_scalar(
        "SELECT id FROM documents WHERE archive_fault IS NOT NULL ORDER BY number",
    )
    .fetch_all(&stand.pool)
    .await
    .unwrap();
    assert_eq!(faults, [old[1].id, old[4].id]);
    assert_eq!(tick(&archive, NOW).await.faults, 0, "told once");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_little_for_a_pack_stays_warm() {
    let (_s3, stand) = local().await;
    stand.some(OLD, 3).await;
    let archive = stand.archive(Options {
        pack_bytes_min: 1 << 20,
        ..options(Class::Standard)
    });
    assert_eq!(tick(&archive, NOW).await.packed, 0);
    assert_eq!(stand.keys("packs/").await.len(), 0);
}
