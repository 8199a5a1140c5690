//! Retention times and legal holds.

use steelyard_documents::archive::{Availability, Held, Hold, Options};
use steelyard_objects::Class;
use time::OffsetDateTime;
use time::macros::{date, datetime};

use crate::stand::{NOW, OLD, Told, local, options, retention, tick};

/// The invoices of 2026 are kept until the end of 2034 in Germany.
const IN_TIME: OffsetDateTime = datetime!(2034-12-31 23:59 UTC);
const OVER: OffsetDateTime = datetime!(2035-01-01 00:00 UTC);

fn with_retention() -> Options {
    Options {
        retention: Some(retention()),
        ..options(Class::Standard)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nothing_keeps_any_more_is_removed_packed_or_not_and_its_row_says_so() {
    let (_s3, stand) = local().await;
    let packed = stand.some(OLD, 20).await;
    let french = stand
        .some(
            Told {
                country: Some("FR"),
                ..OLD
            },
            5,
        )
        .await;
    let archive = stand.archive(with_retention());
    tick(&archive, NOW).await;
    // Came later, and was never packed.
    let stray = stand
        .file(
            Told {
                issued_on: date!(2026 - 12 - 24),
                ..OLD
            },
            99,
            b"stray".to_vec(),
        )
        .await;
    let never = stand.archive(Options {
        pack_bytes_min: u64::MAX >> 1,
        ..with_retention()
    });
    sqlx::query("INSERT INTO models (id, model) VALUES ($1, '{}'), ($2, '{}')")
        .bind(packed[0].id)
        .bind(french[0].id)
        .execute(&stand.pool)
        .await
        .unwrap();
    assert_eq!(tick(&never, IN_TIME).await.removed, 0);
    let done = tick(&never, OVER).await;
    assert_eq!((done.removed, done.held), (21, 0));
    for known in packed.iter().chain([&stray]) {
        assert_eq!(
            archive.availability(known.id, OVER).await.unwrap(),
            Availability::Removed
        );
        assert_eq!(stand.read(known).await, None);
    }
    assert_eq!(
        archive.restore(french[0].id, OVER).await.unwrap(),
        Availability::Ready(Some(OVER + time::Duration::days(7)))
    );
    let left: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM documents WHERE removed_at = $1 AND purged_at = $1",
    )
    .bind(OVER)
    .fetch_one(&stand.pool)
    .await
    .unwrap();
    assert_eq!(left, 21);
    // What could be rendered again is gone, too.
    let models: Vec<uuid::Uuid> = sqlx::query_scalar("SELECT id FROM models")
        .fetch_all(&stand.pool)
        .await
        .unwrap();
    assert_eq!(models, [french[0].id]);
    assert_eq!(stand.keys("packs/").await.len(), 1, "the French ones");
    assert_eq!(tick(&never, OVER).await.removed, 0);
    // What is gone stays in the chain.
    assert!(archive.verify_chain().await.unwrap() >= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_rules_nothing_is_ever_removed() {
    let (_s3, stand) = local().await;
    let old = stand.some(OLD, 3).await;
    let archive = stand.archive(options(Class::Standard));
    tick(&archive, NOW).await;
    assert_eq!(
        tick(&archive, datetime!(2999-01-01 00:00 UTC))
            .await
            .removed,
        0
    );
    assert!(archive.restore(old[0].id, NOW).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_legal_hold_keeps_what_is_under_it_and_nothing_else() {
    let (_s3, stand) = local().await;
    let sued = Told {
        customer: "12345",
        ..OLD
    };
    let (held, others) = (stand.some(sued, 4).await, stand.some(OLD, 20).await);
    let single = others[3].clone();
    let archive = stand.archive(with_retention());
    tick(&archive, NOW).await;
    tick(&archive, NOW + crate::LATER).await;
    let customer = Held::Customer("12345".to_owned());
    let hold = Hold::place(&stand.pool, &customer, "file 7/34", "counsel")
        .await
        .unwrap();
    let second = Hold::place(
        &stand.pool,
        &Held::Document(single.id),
        "file 8/34",
        "counsel",
    )
    .await
    .unwrap();
    assert_eq!(Hold::in_force(&stand.pool, 10).await.unwrap().len(), 2);

    // First they are taken out of their packs, then the packs can go.
    let mut removed = 0;
    for _ in 0..3 {
        let done = tick(&archive, OVER).await;
        removed += done.removed;
        assert_eq!(done.held, 5);
    }
    assert_eq!(removed, 19);
    assert_eq!(stand.keys("packs/").await.len(), 0);
    for known in held.iter().chain([&single]) {
        assert_eq!(stand.read(known).await.as_ref(), Some(&known.content));
        assert_eq!(
            archive.availability(known.id, OVER).await.unwrap(),
            Availability::Ready(None)
        );
    }
    assert!(Hold::release(&stand.pool, hold, "judge").await.unwrap());
    assert!(
        !Hold::release(&stand.pool, hold, "judge").await.unwrap(),
        "once"
    );
    let done = tick(&archive, OVER).await;
    assert_eq!((done.removed, done.held), (4, 1));
    assert!(Hold::release(&stand.pool, second, "judge").await.unwrap());
    assert_eq!(tick(&archive, OVER).await.removed, 1);
    assert_eq!(stand.keys("").await, Vec::<String>::new());
}
