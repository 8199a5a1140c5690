//! Documents of events, whatever is redelivered and whoever dies.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod stand;

use std::collections::BTreeSet;

use rust_decimal::Decimal;
use sha2::{Digest, Sha256};
use sqlx::types::Json;
use stand::{SOON, Stand, event, order};
use steelyard_documents::document_id;
use steelyard_domain::event::OrderEventKind::{Cancelled, Confirmed, Returned, Shipped};
use steelyard_einvoice::model::Invoice;
use steelyard_objects::Kept;
use steelyard_paper::{Press, Theme};
use steelyard_testkit::wait_for;

const FILE_BYTES_MAX: usize = 1 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmed_order_has_one_invoice_however_often_its_event_comes() {
    let mut stand = Stand::started().await;
    let order = order("17850", "536365");
    let confirmed = event(&order, Confirmed);
    stand.send(&[confirmed.clone(), confirmed.clone()]).await;
    stand.settled(1).await;
    stand.send(&[confirmed]).await;
    let rows = stand.settled(1).await;
    assert_eq!(
        (rows[0].kind.as_str(), rows[0].number.as_str()),
        ("invoice", "RE-2026-000001")
    );
    assert_eq!(rows[0].order_id, order.id.0);

    let key = rows[0].object_key.clone().unwrap();
    assert_eq!(key, format!("invoice/2026/11/17850/{}.pdf", rows[0].id));
    assert_eq!(stand.bucket.list("", None).await.unwrap().len(), 1);
    let file = stand.bucket.get(&key, FILE_BYTES_MAX).await.unwrap();
    assert_eq!(file.content_type.as_deref(), Some("application/pdf"));
    let digest = Sha256::digest(&file.body).to_vec();
    assert_eq!(rows[0].sha256.as_ref(), Some(&digest));

    let model: Json<Invoice> = sqlx::query_scalar("SELECT model FROM models")
        .fetch_one(&stand.pool)
        .await
        .unwrap();
    let totals = &model.0.totals;
    assert_eq!(
        (totals.net, totals.tax, totals.gross),
        (order.subtotal, order.tax_total, order.total)
    );
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_back_has_a_credit_note_that_names_its_invoice_and_what_is_shipped_a_delivery_note()
 {
    let mut stand = Stand::new().await;
    let (cancelled, returned) = (order("a", "1"), order("a", "2"));
    // Sent before the service starts: invoice and credit note meet in one set.
    stand
        .send(&[
            event(&cancelled, Confirmed),
            event(&cancelled, Cancelled),
            event(&returned, Confirmed),
            event(&returned, Shipped),
            event(&returned, Returned),
        ])
        .await;
    stand.start().await;
    let rows = stand.settled(5).await;
    let kinds: Vec<_> = rows
        .iter()
        .map(|row| (row.kind.as_str(), row.number.as_str()))
        .collect();
    let expected = [
        ("credit_note", "RK-2026-000001"),
        ("credit_note", "RK-2026-000002"),
        ("delivery_note", "LS-2026-000001"),
        ("invoice", "RE-2026-000001"),
        ("invoice", "RE-2026-000002"),
    ];
    assert_eq!(kinds, expected);
    let notes: Vec<(Json<Invoice>, Decimal)> = sqlx::query_as(
        "SELECT model, total FROM documents JOIN models USING (id) WHERE kind = 'credit_note' ORDER BY number",
    )
    .fetch_all(&stand.pool)
    .await
    .unwrap();
    let named: Vec<_> = notes
        .iter()
        .map(|note| note.0.0.preceding.clone().unwrap().number)
        .collect();
    assert_eq!(named, ["RE-2026-000001", "RE-2026-000002"]);
    assert!(notes.iter().all(|note| note.1 == cancelled.total));
    assert_eq!(stand.parked().await, 0);
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_was_never_charged_is_not_credited() {
    let mut stand = Stand::started().await;
    let mut never = event(&order("a", "1"), Cancelled);
    never.order.history.clear();
    // Confirmed once, and its invoice is missing: that needs somebody to look.
    let missing = event(&order("b", "2"), Cancelled);
    let charged = event(&order("a", "3"), Confirmed);
    stand.send(&[never, charged, missing]).await;
    stand.settled(1).await;
    wait_for(
        "the event without its invoice is parked",
        SOON,
        async || stand.parked().await == 1,
    )
    .await;
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_have_no_gaps_though_workers_die_between_number_and_file() {
    let mut stand = Stand::new().await;
    let orders: Vec<_> = (0..40)
        .map(|i| order(&format!("c{}", i % 8), &format!("o{i}")))
        .collect();
    let mut events: Vec<_> = orders.iter().map(|order| event(order, Confirmed)).collect();
    events.extend(
        orders
            .iter()
            .step_by(3)
            .map(|order| event(order, Cancelled)),
    );
    stand.send(&events).await;
    for round in 0..3 {
        stand.way.stall();
        let before = stand.way.status().accepted;
        stand.start().await;
        stand.start().await;
        wait_for("workers are between number and file", SOON, async || {
            stand.way.status().accepted > before
        })
        .await;
        let numbered = stand.rows().await.len();
        assert!(
            numbered > 0,
            "round {round}: a number is taken before the file is made"
        );
        stand.kill();
    }
    assert_eq!(stand.bucket.list("", None).await.unwrap(), []);
    stand.way.restore();
    // Some come again beside.
    stand.send(&events[..10]).await;
    stand.start().await;
    stand.start().await;
    let rows = stand.settled(events.len()).await;
    for (kind, prefix, count) in [("invoice", "RE", 40), ("credit_note", "RK", 14)] {
        let numbers: Vec<_> = rows
            .iter()
            .filter(|row| row.kind == kind)
            .map(|row| row.number.clone())
            .collect();
        let expected: Vec<_> = (1..=count)
            .map(|n| format!("{prefix}-2026-{n:06}"))
            .collect();
        assert_eq!(numbers, expected);
    }
    let ids: BTreeSet<_> = rows.iter().map(|row| row.id).collect();
    let asked: BTreeSet<_> = events
        .iter()
        .map(|event| document_id(event.at, event.event_id))
        .collect();
    assert_eq!(ids, asked);
    assert_eq!(stand.parked().await, 0);
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_does_not_add_up_is_parked_and_takes_no_number() {
    let mut stand = Stand::started().await;
    let mut wrong = order("a", "1");
    wrong.total += Decimal::ONE;
    stand
        .send(&[event(&wrong, Confirmed), event(&order("a", "2"), Confirmed)])
        .await;
    let rows = stand.settled(1).await;
    assert_eq!(rows[0].number, "RE-2026-000001");
    wait_for("it is parked", SOON, async || stand.parked().await == 1).await;
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_files_of_a_document_the_first_stays_and_its_row_tells_of_that() {
    let mut stand = Stand::new().await;
    let confirmed = event(&order("17850", "1"), Confirmed);
    let id = document_id(confirmed.at, confirmed.event_id);
    let key = format!("invoice/2026/11/17850/{id}.pdf");
    // As a worker under another theme left it, which died before it told the row or is only slow.
    let first = bytes::Bytes::from_static(b"%PDF-1.7 under another theme");
    let kept = Kept::new("application/pdf");
    let put = stand.bucket.put(&key, first.clone(), &kept);
    put.await.unwrap();
    stand.start().await;
    stand.send(&[confirmed]).await;
    let row = stand.settled(1).await.remove(0);
    assert_eq!(row.object_key.as_ref(), Some(&key));
    assert_eq!(row.sha256, Some(Sha256::digest(&first).to_vec()));
    let there = stand.bucket.get(&key, FILE_BYTES_MAX).await.unwrap();
    assert_eq!(there.body, first);
    let told: (i64, Option<i32>) = sqlx::query_as("SELECT size_bytes, pages FROM documents")
        .fetch_one(&stand.pool)
        .await
        .unwrap();
    assert_eq!(told, (28, None));
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_theme_in_s3_is_waited_for_and_nothing_is_printed_under_another() {
    let mut stand = Stand::new().await;
    stand.theme("s3://documents/themes/shop/");
    stand.start().await;
    stand.send(&[event(&order("17850", "1"), Confirmed)]).await;
    let text = "[colours]\naccent = \"#aa0000\"\n";
    let theme = bytes::Bytes::from_static(text.as_bytes());
    let (key, kept) = ("themes/shop/theme.toml", Kept::new("text/plain"));
    let put = stand.bucket.put(key, theme.clone(), &kept);
    put.await.unwrap();
    let row = stand.settled(1).await.remove(0);
    let (model, language): (Json<Invoice>, String) =
        sqlx::query_as("SELECT model, language FROM documents JOIN models USING (id)")
            .fetch_one(&stand.pool)
            .await
            .unwrap();
    let files = [("theme.toml".to_owned(), theme.to_vec())].into();
    let theme = Theme::of_files("a theme".as_ref(), &files).unwrap();
    let press = Press::new(theme).unwrap();
    let expected = press.invoice(&model, &language).unwrap().bytes;
    assert_eq!(row.sha256, Some(Sha256::digest(&expected).to_vec()));
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_files_cannot_be_stored_events_wait_and_nothing_is_parked() {
    let mut stand = Stand::started().await;
    stand.way.refuse();
    let events: Vec<_> = (0..6)
        .map(|i| event(&order(&format!("c{i}"), "1"), Confirmed))
        .collect();
    stand.send(&events).await;
    wait_for("documents have numbers and no files", SOON, async || {
        let rows = stand.rows().await;
        !rows.is_empty() && rows.iter().all(|row| row.object_key.is_none())
    })
    .await;
    stand.way.restore();
    stand.settled(6).await;
    assert_eq!(stand.parked().await, 0);
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn months_have_their_partitions_ahead_and_what_strayed_is_moved_there() {
    let mut stand = Stand::started().await;
    let ahead = "SELECT to_regclass('documents_' || to_char(now() + interval '3 months', 'YYYY_MM')) IS NOT NULL
                 AND to_regclass('models_' || to_char(now() + interval '3 months', 'YYYY_MM')) IS NOT NULL";
    wait_for("the months ahead are there", SOON, async || {
        let found: Result<bool, _> = sqlx::query_scalar(ahead).fetch_one(&stand.pool).await;
        found.unwrap_or(false)
    })
    .await;
    // Past the service, into months that nobody made.
    let stray = "INSERT INTO documents (id, issued_on, kind, number, customer_id)
                 SELECT (left(first_id(day)::text, 14) || '7000-8000-000000000001')::uuid, day, 'invoice', 'X', 'a'
                 FROM unnest(ARRAY['2001-02-28', '2001-03-01']::date[]) day";
    sqlx::query(stray).execute(&stand.pool).await.unwrap();
    let rows = async |table: &str| -> i64 {
        let count = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
        sqlx::query_scalar(count)
            .fetch_one(&stand.pool)
            .await
            .unwrap()
    };
    assert_eq!(rows("documents_rest").await, 2);
    let month = "SELECT month_partition('2001-02-14')";
    for _ in 0..2 {
        sqlx::query(month).execute(&stand.pool).await.unwrap();
        assert_eq!(rows("documents_rest").await, 1);
        assert_eq!(rows("documents_2001_02").await, 1);
    }
    // An id of another month than its date is refused.
    let wrong = "UPDATE documents SET issued_on = '2001-02-27'";
    assert!(sqlx::query(wrong).execute(&stand.pool).await.is_err());
    stand.stop().await;
}
