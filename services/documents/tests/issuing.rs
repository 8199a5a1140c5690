//! Documents of events, whatever is redelivered and whoever dies.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "archive/ministack.rs"]
mod ministack;
mod stand;

use std::collections::BTreeSet;

use ministack::Ministack;
use rust_decimal::Decimal;
use sha2::{Digest, Sha256};
use sqlx::types::Json;
use stand::kept::{file_of, http};
use stand::{Row, SOON, Stand, event, order};
use steelyard_documents::{document_id, words};
use steelyard_domain::event::OrderEventKind::{Cancelled, Confirmed, Returned, Shipped};
use steelyard_domain::order::Order;
use steelyard_domain::totals::{PricedLine, Totals};
use steelyard_einvoice::cii;
use steelyard_einvoice::model::Invoice;
use steelyard_objects::Kept;
use steelyard_paper::{Press, Theme};
use steelyard_testkit::{pdf_texts, wait_for};
use uuid::Uuid;

const FILE_BYTES_MAX: usize = 1 << 20;

/// The file of a row: a PDF, and the one that the row knows.
async fn stored(stand: &Stand, row: &Row) -> bytes::Bytes {
    let key = row.object_key.as_ref().unwrap();
    let file = file_of(&http(), &stand.bucket, key).await;
    assert_eq!(row.sha256, Some(Sha256::digest(&file).to_vec()), "{key}");
    assert!(file.starts_with(b"%PDF-1.7") && file.trim_ascii_end().ends_with(b"%%EOF"));
    file
}

/// `factur-x.xml`, if it is in the file.
fn e_invoice(file: &[u8]) -> Option<String> {
    let mut texts = pdf_texts(file).into_iter();
    texts.find(|text| text.contains("<rsm:CrossIndustryInvoice"))
}

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
    stored(&stand, &rows[0]).await;

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

/// The order in another currency and at other prices, with what it comes to then.
fn priced(mut order: Order, currency: &str, prices: [&str; 2]) -> Order {
    order.currency = currency.parse().unwrap();
    for (line, price) in order.lines.iter_mut().zip(prices) {
        line.unit_price = price.parse().unwrap();
    }
    let lines = order.lines.iter().map(|line| PricedLine {
        quantity: line.quantity,
        unit_price: line.unit_price,
        tax_rate: line.tax_rate,
    });
    let lines: Vec<_> = lines.collect();
    let totals = Totals::of(&lines, order.currency, order.prices).unwrap();
    for (line, total) in order.lines.iter_mut().zip(&totals.lines) {
        (line.line_total, line.tax) = (total.line_total, total.tax);
    }
    (order.subtotal, order.tax_total) = (totals.subtotal, totals.tax_total);
    (order.total, order.taxes) = (totals.total, totals.rates);
    order
}

#[tokio::test(flavor = "multi_thread")]
async fn amounts_have_the_digits_of_their_currency_be_it_none_or_three() {
    let mut stand = Stand::new().await;
    // Two of the first and three of the second at 19 %: net, tax, total.
    let cases = [
        ("JPY", ["14800", "86.5"], ["29860", "5673", "35533"]),
        (
            "KWD",
            ["148.1255", "0.0005"],
            ["296.253", "56.288", "352.541"],
        ),
        ("BHD", ["7.5", "1.0005"], ["18.002", "3.420", "21.422"]),
    ];
    // One customer's events are issued in their order.
    let orders = cases.map(|(code, prices, _)| priced(order("17850", code), code, prices));
    let events = orders.each_ref().map(|order| event(order, Confirmed));
    stand.send(&events).await;
    stand.start().await;
    let rows = stand.settled(3).await;
    assert_eq!(stand.parked().await, 0);
    let press = Press::new(Theme::plain()).unwrap();
    for ((row, order), (code, _, amounts)) in rows.iter().zip(&orders).zip(cases) {
        assert_eq!(row.order_id, order.id.0, "{code}");
        let (currency, total, model, language): (String, String, Json<Invoice>, String) =
            sqlx::query_as(
                "SELECT currency, total::text, model, language FROM documents JOIN models USING (id)
                 WHERE id = $1",
            )
            .bind(row.id)
            .fetch_one(&stand.pool)
            .await
            .unwrap();
        assert_eq!((currency.as_str(), total.as_str()), (code, amounts[2]));
        let totals = &model.totals;
        let said = [totals.net, totals.tax, totals.gross].map(|amount| amount.to_string());
        assert_eq!(said, amounts, "{code}");
        assert_eq!(totals.payable.to_string(), amounts[2], "{code}");

        let file = stored(&stand, row).await;
        assert!(file == press.invoice(&model, &language).unwrap().bytes);
        let data = e_invoice(&file);
        if order.currency.minor_digits() > 2 {
            // EN 16931 cannot hold them, and nothing is rounded to fit.
            assert_eq!(data, None, "{code}");
            continue;
        }
        let data = data.unwrap();
        for (element, amount) in [
            ("ram:TaxBasisTotalAmount", amounts[0]),
            ("ram:GrandTotalAmount", amounts[2]),
            ("ram:DuePayableAmount", amounts[2]),
            ("ram:InvoiceCurrencyCode", code),
        ] {
            assert!(data.contains(&format!("<{element}>{amount}</{element}>")));
        }
    }
    let numbers: Vec<_> = rows.iter().map(|row| row.number.as_str()).collect();
    assert_eq!(
        numbers,
        ["RE-2026-000001", "RE-2026-000002", "RE-2026-000003"]
    );
    stand.stop().await;
}

/// Ids of the documents that a search finds.
async fn found(stand: &Stand, search: &str) -> BTreeSet<Uuid> {
    let select = "SELECT id FROM documents WHERE words @@ to_tsquery('simple', $1)";
    let found = sqlx::query_scalar(select).bind(words::query(search));
    let found: Vec<Uuid> = found.fetch_all(&stand.pool).await.unwrap();
    found.into_iter().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_of_ten_thousand_characters_or_from_right_to_left_is_issued_whole() {
    let mut stand = Stand::new().await;
    let parts: Vec<String> = (0..1_250).map(|i| format!("Nr{i:05}")).collect();
    // A name, and a word of it that finds it; one that has no end has none.
    let names = [
        (parts.join(" ") + ".", Some("nr00007")),
        ("x".repeat(10_000), None),
        ("شركة المثال للتجارة المحدودة".to_owned(), Some("المثال")),
        ("חברת הדוגמה בע״מ".to_owned(), Some("הדוגמה")),
    ];
    assert_eq!(names[0].0.chars().count(), 10_000);
    let orders: Vec<Order> = names
        .iter()
        .zip(1..)
        .map(|((name, _), i)| {
            let mut order = order("17850", &i.to_string());
            order.ship_to.name.clone_from(name);
            order.bill_to.as_mut().unwrap().name.clone_from(name);
            order
        })
        .collect();
    let events: Vec<_> = orders
        .iter()
        .flat_map(|order| [event(order, Confirmed), event(order, Shipped)])
        .collect();
    stand.send(&events).await;
    stand.start().await;
    let rows = stand.settled(2 * names.len()).await;
    assert_eq!(stand.parked().await, 0);
    let (notes, invoices) = rows.split_at(names.len());
    for (i, (name, word)) in names.iter().enumerate() {
        let (invoice, note) = (&invoices[i], &notes[i]);
        let n = i + 1;
        let told = [
            ("invoice", format!("RE-2026-{n:06}"), invoice),
            ("delivery_note", format!("LS-2026-{n:06}"), note),
        ];
        for (kind, number, row) in &told {
            assert_eq!((row.kind.as_str(), &row.number), (*kind, number));
            assert_eq!(row.order_id, orders[i].id.0, "{number}");
        }
        let model: Json<Invoice> = sqlx::query_scalar("SELECT model FROM models WHERE id = $1")
            .bind(invoice.id)
            .fetch_one(&stand.pool)
            .await
            .unwrap();
        assert_eq!((&model.buyer.name, &model.delivery.name), (name, name));
        assert_eq!(model.totals.gross, orders[i].total);

        let file = stored(&stand, invoice).await;
        let data = e_invoice(&file).unwrap();
        assert_eq!(data.as_bytes(), cii::write(&model).unwrap());
        // The buyer's, and where the goods go.
        let whole = format!("<ram:Name>{name}</ram:Name>");
        assert_eq!(data.matches(&whole).count(), 2);
        stored(&stand, note).await;
        if let Some(word) = word {
            let both = [invoice.id, note.id];
            assert_eq!(found(&stand, word).await, both.into());
        }
    }
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_tagged_with_their_kind_and_the_issuers_country() {
    let ministack = match Ministack::start().await {
        Ok(ministack) => ministack,
        Err(why) => return eprintln!("not run: {why}"),
    };
    ministack.bucket().await;
    let mut stand = Stand::new().await;
    stand.keeps_in(ministack.config()).await;
    let returned = order("17850", "1");
    let events = [Confirmed, Shipped, Returned].map(|kind| event(&returned, kind));
    stand.send(&events).await;
    stand.start().await;
    let rows = stand.settled(3).await;
    let kinds: Vec<_> = rows.iter().map(|row| row.kind.as_str()).collect();
    assert_eq!(kinds, ["credit_note", "delivery_note", "invoice"]);
    for row in &rows {
        stored(&stand, row).await;
        let key = row.object_key.as_ref().unwrap();
        let expected = [("country", "DE"), ("kind", row.kind.as_str())];
        assert_eq!(
            ministack.tags(key).await,
            expected.map(|(name, is)| (name.to_owned(), is.to_owned()))
        );
    }
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
