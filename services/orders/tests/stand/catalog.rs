//! A catalog that does as it is told.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures_util::future::BoxFuture;
use steelyard_domain::id::OrderId;
use steelyard_domain::internal::{
    OrderIds, PricedLine, ReserveOrder, ReserveRequest, ReserveResponse, ReserveResult, paths,
};
use steelyard_domain::ops::paths::QUOTES;
use steelyard_domain::order::Reason;
use steelyard_runtime::config::Secret;
use steelyard_runtime::http::{HttpError, Json, require_service_token};

use super::TOKEN;

/// What became of an order's stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stock {
    Held,
    Released,
    Consumed,
    Restocked,
}

#[derive(Default)]
struct Inner {
    stock: HashMap<OrderId, Stock>,
    answers: HashMap<OrderId, ReserveResult>,
    scarce_left: i64,
    is_down: bool,
    fails_on: HashSet<OrderId>,
    refusals: u64,
    /// How many orders each reserve call had that was answered.
    reserved: Vec<usize>,
    before_answer: Option<BoxFuture<'static, ()>>,
    after_reserve: Option<Box<dyn FnOnce() + Send>>,
}

/// SKUs: `gone` is unknown, `dear` costs more than asked for, `euro` has no price in pounds, `scarce`
/// is one, everything else is there. The prices asked for are the prices.
pub struct FakeCatalog {
    pub url: String,
    inner: Mutex<Inner>,
}

impl FakeCatalog {
    pub async fn start() -> Arc<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let inner = Inner {
            scarce_left: 1,
            ..Inner::default()
        };
        let fake = Arc::new(Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            inner: Mutex::new(inner),
        });
        let routes = Router::new()
            .route(paths::RESERVATIONS, post(reserve))
            .route(QUOTES, post(quote))
            .route(paths::RELEASE, post(release))
            .route(paths::CONSUME, post(consume))
            .route(paths::RESTOCK, post(restock))
            .with_state(Arc::clone(&fake));
        let routes = require_service_token(routes, Secret::new(TOKEN));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        fake
    }

    /// Answers 503 from here on.
    pub fn go_down(&self) {
        self.inner.lock().unwrap().is_down = true;
    }

    pub fn come_back(&self) {
        self.inner.lock().unwrap().is_down = false;
    }

    /// How often it answered 503.
    pub fn refusals(&self) -> u64 {
        self.inner.lock().unwrap().refusals
    }

    /// How many orders each reserve call had, in turn.
    pub fn reserved(&self) -> Vec<usize> {
        self.inner.lock().unwrap().reserved.clone()
    }

    /// Answers 500 to whatever names this order.
    pub fn fail_on(&self, id: OrderId) {
        self.inner.lock().unwrap().fails_on.insert(id);
    }

    pub fn fail_no_more(&self) {
        self.inner.lock().unwrap().fails_on.clear();
    }

    /// Does this once, while the next reserve call waits for its answer: between the worker's read
    /// and its transaction.
    pub fn before_answer(&self, hook: impl Future<Output = ()> + Send + 'static) {
        self.inner.lock().unwrap().before_answer = Some(Box::pin(hook));
    }

    /// Does this once, after the next reserve call was decided.
    pub fn after_reserve(&self, hook: impl FnOnce() + Send + 'static) {
        self.inner.lock().unwrap().after_reserve = Some(Box::new(hook));
    }

    pub fn address(&self) -> std::net::SocketAddr {
        self.url.trim_start_matches("http://").parse().unwrap()
    }

    pub fn stock(&self, id: OrderId) -> Option<Stock> {
        self.inner.lock().unwrap().stock.get(&id).copied()
    }

    fn check(&self, ids: &[OrderId]) -> Result<(), Box<Response>> {
        let mut inner = self.inner.lock().unwrap();
        if inner.is_down {
            inner.refusals += 1;
            let down = HttpError::unavailable("database_away", "down", 1);
            return Err(Box::new(down.into_response()));
        }
        if ids.iter().any(|id| inner.fails_on.contains(id)) {
            return Err(Box::new(HttpError::internal().into_response()));
        }
        Ok(())
    }

    /// Moves orders on, if they are in one of these states.
    fn move_on(&self, OrderIds { order_ids }: &OrderIds, from: &[Stock], to: Stock) -> Response {
        if let Err(refused) = self.check(order_ids) {
            return *refused;
        }
        let mut inner = self.inner.lock().unwrap();
        for id in order_ids {
            let now = inner.stock.get(id);
            if now.is_some_and(|now| from.contains(now)) || now.is_none() && to == Stock::Released {
                inner.stock.insert(*id, to);
            }
        }
        StatusCode::NO_CONTENT.into_response()
    }
}

type Fake = State<Arc<FakeCatalog>>;

async fn reserve(State(fake): Fake, Json(request): Json<ReserveRequest>) -> Response {
    let hook = fake.inner.lock().unwrap().before_answer.take();
    if let Some(hook) = hook {
        hook.await;
    }
    let ids: Vec<_> = request.orders.iter().map(|order| order.order_id).collect();
    if let Err(refused) = fake.check(&ids) {
        return *refused;
    }
    let mut inner = fake.inner.lock().unwrap();
    inner.reserved.push(request.orders.len());
    let results = request.orders.iter().map(|order| decide(&mut inner, order));
    let results = results.collect();
    let hook = inner.after_reserve.take();
    drop(inner);
    if let Some(hook) = hook {
        hook();
    }
    Json(ReserveResponse { results }).into_response()
}

/// Decided as ever, on a copy that is thrown away.
async fn quote(State(fake): Fake, Json(request): Json<ReserveRequest>) -> Response {
    let ids: Vec<_> = request.orders.iter().map(|order| order.order_id).collect();
    if let Err(refused) = fake.check(&ids) {
        return *refused;
    }
    let inner = fake.inner.lock().unwrap();
    let mut copy = Inner {
        stock: inner.stock.clone(),
        answers: inner.answers.clone(),
        scarce_left: inner.scarce_left,
        ..Inner::default()
    };
    let results = request.orders.iter().map(|order| decide(&mut copy, order));
    Json(ReserveResponse {
        results: results.collect(),
    })
    .into_response()
}

fn decide(inner: &mut Inner, order: &ReserveOrder) -> ReserveResult {
    if inner.stock.get(&order.order_id) == Some(&Stock::Released) {
        return ReserveResult::Released;
    }
    if let Some(answer) = inner.answers.get(&order.order_id) {
        return answer.clone();
    }
    for (line, asked) in order.lines.iter().enumerate() {
        let (reason, detail) = match asked.sku.as_str() {
            "gone" => (Reason::UnknownSku, "is not in the catalog"),
            "dear" => (Reason::PriceChanged, "costs 9.99, not 2.55"),
            "euro" => (Reason::CurrencyMismatch, "has no price in GBP"),
            "scarce" if inner.scarce_left < asked.quantity => (Reason::OutOfStock, "none is left"),
            _ => continue,
        };
        let detail = detail.to_owned();
        return ReserveResult::Rejected {
            reason,
            line,
            detail,
        };
    }
    let scarce = order
        .lines
        .iter()
        .filter(|line| line.sku.as_str() == "scarce");
    inner.scarce_left -= scarce.map(|line| line.quantity).sum::<i64>();
    let priced = order.lines.iter().map(|line| PricedLine {
        name: format!("the {}", line.sku),
        unit_price: line.unit_price,
        tax_category: "standard".into(),
    });
    let answer = ReserveResult::Reserved(priced.collect());
    inner.stock.insert(order.order_id, Stock::Held);
    inner.answers.insert(order.order_id, answer.clone());
    answer
}

async fn release(State(fake): Fake, Json(ids): Json<OrderIds>) -> Response {
    fake.move_on(&ids, &[Stock::Held], Stock::Released)
}

async fn consume(State(fake): Fake, Json(ids): Json<OrderIds>) -> Response {
    fake.move_on(&ids, &[Stock::Held], Stock::Consumed)
}

async fn restock(State(fake): Fake, Json(ids): Json<OrderIds>) -> Response {
    fake.move_on(&ids, &[Stock::Consumed], Stock::Restocked)
}
