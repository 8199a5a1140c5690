//! Documents as they stand.

use std::collections::HashMap;

use sqlx::PgPool;
use sqlx::types::Json;
use steelyard_domain::id::{CustomerId, OrderId};
use steelyard_einvoice::model::Invoice;
use uuid::Uuid;

use crate::kind::Kind;
use crate::model::{Document, Model};

/// What an order was charged, and what was taken back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Charged {
    /// Its invoice.
    pub invoice: Option<Invoice>,
    /// Whether there is a credit note.
    pub credited: bool,
}

/// The invoices of orders, and whether they were taken back.
///
/// # Errors
/// Those of Postgres.
pub async fn invoices_of(
    pool: &PgPool,
    orders: &[OrderId],
) -> sqlx::Result<HashMap<OrderId, Charged>> {
    let ids: Vec<Uuid> = orders.iter().map(|id| id.0).collect();
    let rows: Vec<(Uuid, Json<Invoice>)> = sqlx::query_as(
        "SELECT order_id, model FROM documents JOIN models USING (id)
         WHERE order_id = ANY($1) AND kind IN ('invoice', 'credit_note')",
    )
    .bind(&ids)
    .fetch_all(pool)
    .await?;
    let mut charged: HashMap<OrderId, Charged> = HashMap::new();
    for (order, Json(invoice)) in rows {
        let entry = charged.entry(OrderId(order)).or_default();
        match invoice.kind {
            steelyard_einvoice::model::Kind::Invoice => entry.invoice = Some(invoice),
            steelyard_einvoice::model::Kind::CreditNote => entry.credited = true,
        }
    }
    Ok(charged)
}

/// What a document says; nothing when it was made elsewhere.
///
/// # Errors
/// Those of Postgres.
pub async fn model(pool: &PgPool, id: Uuid) -> sqlx::Result<Option<Model>> {
    let model: Option<Json<Model>> = sqlx::query_scalar("SELECT model FROM models WHERE id = $1")
        .bind(id)
        .fetch_optional(pool)
        .await?;
    Ok(model.map(|Json(model)| model))
}

type Row = (Uuid, String, String, Uuid, String, Json<Model>);

/// Those of these documents that have no file yet.
///
/// # Errors
/// Those of Postgres.
pub async fn without_file(pool: &PgPool, ids: &[Uuid]) -> sqlx::Result<Vec<Document>> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT id, kind, customer_id, order_id, language, model FROM documents JOIN models USING (id)
         WHERE id = ANY($1) AND stored_at IS NULL ORDER BY id",
    )
    .bind(ids)
    .fetch_all(pool)
    .await?;
    rows.into_iter().map(document).collect()
}

fn document((id, kind, customer, order, language, Json(model)): Row) -> sqlx::Result<Document> {
    let unreadable = |what: &str| sqlx::Error::Decode(format!("document {id}: {what}").into());
    let kind = Kind::ALL.into_iter().find(|known| known.as_str() == kind);
    Ok(Document {
        id,
        kind: kind.ok_or_else(|| unreadable("no such kind"))?,
        customer_id: CustomerId::try_from(customer).map_err(|_| unreadable("no customer"))?,
        order_id: OrderId(order),
        language,
        model,
    })
}
