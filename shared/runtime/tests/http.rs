//! The HTTP kit through real sockets.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use reqwest::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use steelyard_domain::api::Problem;
use steelyard_runtime::client::{CallError, Internal};
use steelyard_runtime::config::Secret;
use steelyard_runtime::http::{
    Doors, Health, Json, Listen, RawBody, envelope, require_service_token, with_deadline,
};
use steelyard_runtime::telemetry::Metrics;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

struct Running {
    api: String,
    admin: String,
    stop: CancellationToken,
    served: JoinHandle<std::io::Result<()>>,
}

async fn run(routes: Router, health: Health, drain_max: Duration) -> Running {
    let doors = Doors::open(&Listen::free()).await.unwrap();
    let Listen { api, admin } = doors.addrs();
    let stop = CancellationToken::new();
    let routes = envelope(routes, 1024);
    let served = doors.serve(routes, health, Metrics::detached(), stop.clone(), drain_max);
    let served = tokio::spawn(served);
    Running {
        api: format!("http://{api}"),
        admin: format!("http://{admin}"),
        stop,
        served,
    }
}

async fn run_default(routes: Router) -> Running {
    run(routes, Health::new(), Duration::from_secs(5)).await
}

async fn problem(answer: reqwest::Response) -> Problem {
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let id = answer.headers()["x-request-id"]
        .to_str()
        .unwrap()
        .to_owned();
    let problem: Problem = answer.json().await.unwrap();
    assert_eq!(problem.request_id, id);
    assert_eq!(problem.kind, format!("/problems/{}", problem.code));
    problem
}

#[tokio::test]
async fn whatever_goes_wrong_is_answered_by_a_problem_document() {
    let routes = Router::new()
        .route("/", get(async || "fine"))
        .route(
            "/panic",
            get(async || -> &'static str { panic!("on purpose") }),
        )
        .route("/echo", post(async |RawBody(body)| body))
        .route(
            "/number",
            post(async |Json(number): Json<u8>| number.to_string()),
        );
    let slow = Router::new().route("/slow", get(std::future::pending::<()>));
    let service = run_default(routes.merge(with_deadline(slow, Duration::from_millis(50)))).await;
    let http = reqwest::Client::new();
    let url = |path: &str| format!("{}{path}", service.api);

    let cases = [
        (http.get(url("/nowhere")), 404, "no_such_route"),
        (http.post(url("/")), 405, "method_not_allowed"),
        (http.get(url("/panic")), 500, "internal"),
        (http.get(url("/slow")), 503, "timeout"),
        (
            http.post(url("/echo")).body(vec![b'x'; 1025]),
            413,
            "body_too_large",
        ),
        (
            http.post(url("/number")).body("1"),
            415,
            "unsupported_media_type",
        ),
        (
            http.post(url("/number")).json(&"one"),
            422,
            "validation_failed",
        ),
    ];
    for (request, status, code) in cases {
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), status, "{code}");
        assert_eq!(answer.headers().contains_key("allow"), status == 405);
        let problem = problem(answer).await;
        assert_eq!((problem.status, problem.code.as_str()), (status, code));
    }
    // A panic takes only its own request down.
    assert_eq!(
        http.get(url("/"))
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap(),
        "fine"
    );
}

#[tokio::test]
async fn request_ids_and_traces_are_honoured_and_returned() {
    let service = run_default(Router::new().route("/", get(async || "fine"))).await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let named = reqwest::Client::new()
        .get(&service.api)
        .header("x-request-id", "mine-1")
        .header("traceparent", trace)
        .send()
        .await
        .unwrap();
    assert_eq!(named.headers()["x-request-id"], "mine-1");
    let returned = named.headers()["traceparent"].to_str().unwrap();
    assert_eq!(
        (&returned[..36], &returned[52..]),
        (&trace[..36], &trace[52..])
    );

    let odd = reqwest::Client::new()
        .get(&service.api)
        .header("x-request-id", "two words");
    let answer = odd.send().await.unwrap();
    assert_eq!(answer.headers()["x-request-id"].len(), 32);
}

#[tokio::test]
async fn a_stop_lets_requests_in_hand_finish_and_closes_idle_connections() {
    static ENTERED: Notify = Notify::const_new();
    static LEAVE: Notify = Notify::const_new();
    let routes = Router::new().route("/idle", get(async || "idle")).route(
        "/long",
        get(async || {
            ENTERED.notify_one();
            LEAVE.notified().await;
            "done"
        }),
    );
    let service = run_default(routes).await;
    let idle = reqwest::Client::new();
    idle.get(format!("{}/idle", service.api))
        .send()
        .await
        .unwrap();
    let long = tokio::spawn(reqwest::get(format!("{}/long", service.api)));
    ENTERED.notified().await;
    service.stop.cancel();
    // The admin listener still answers while the other drains.
    let probe = reqwest::get(format!("{}/healthz", service.admin))
        .await
        .unwrap();
    assert_eq!(probe.status(), StatusCode::OK);
    LEAVE.notify_one();
    assert_eq!(long.await.unwrap().unwrap().text().await.unwrap(), "done");
    tokio::time::timeout(Duration::from_secs(5), service.served)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_hung_request_cannot_hold_up_the_stop_beyond_the_drain_time() {
    static ENTERED: Notify = Notify::const_new();
    let routes = Router::new().route(
        "/hang",
        get(async || {
            ENTERED.notify_one();
            std::future::pending::<()>().await;
        }),
    );
    let service = run(routes, Health::new(), Duration::from_millis(50)).await;
    let hung = tokio::spawn(reqwest::get(format!("{}/hang", service.api)));
    ENTERED.notified().await;
    service.stop.cancel();
    tokio::time::timeout(Duration::from_secs(5), service.served)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert!(hung.await.unwrap().is_err());
}

#[tokio::test]
async fn readiness_says_what_is_missing() {
    let health = Health::new()
        .live("poll", || Ok(()))
        .ready("poll", || Ok(()))
        .ready("queue", || Err("no queue URL yet".to_owned()));
    let service = run(Router::new(), health, Duration::ZERO).await;
    let live = reqwest::get(format!("{}/healthz", service.admin))
        .await
        .unwrap();
    assert_eq!(live.status(), StatusCode::OK);
    let ready = reqwest::get(format!("{}/readyz", service.admin))
        .await
        .unwrap();
    assert_eq!(ready.status(), StatusCode::SERVICE_UNAVAILABLE);
    let said: serde_json::Value = ready.json().await.unwrap();
    assert_eq!(said["checks"]["queue"], "no queue URL yet");
}

/// Bodies are objects.
#[derive(Serialize, Deserialize)]
struct Number {
    n: u32,
}

#[tokio::test]
async fn internal_calls_carry_the_token_and_tell_outage_from_refusal() {
    let token = Secret::new("a service token");
    let routes = Router::new()
        .route(
            "/internal/double",
            post(async |State(()), Json(Number { n }): Json<Number>| Json(n * 2)),
        )
        .with_state(());
    let service = run_default(require_service_token(routes, token.clone())).await;
    let url: url::Url = service.api.parse().unwrap();
    let deadline = Duration::from_secs(5);
    let client = Internal::new("catalog", url.clone(), token, deadline).unwrap();
    assert_eq!(
        client
            .post::<_, u32>("/internal/double", &Number { n: 21 })
            .await
            .unwrap(),
        42
    );

    let refused = client
        .post::<_, u32>("/internal/double", &json!({"n": "x"}))
        .await
        .unwrap_err();
    assert_eq!((refused.status(), refused.is_outage()), (Some(422), false));

    let stranger = Internal::new("catalog", url.clone(), Secret::new("guess"), deadline).unwrap();
    let refused = stranger
        .post::<_, u32>("/internal/double", &Number { n: 1 })
        .await
        .unwrap_err();
    assert_eq!((refused.status(), refused.is_outage()), (Some(401), false));

    service.stop.cancel();
    service.served.await.unwrap().unwrap();
    let gone = client
        .post::<_, u32>("/internal/double", &Number { n: 1 })
        .await
        .unwrap_err();
    assert!(
        matches!(
            gone,
            CallError::Unreachable {
                peer: "catalog",
                ..
            }
        ),
        "{gone}"
    );
    assert!(gone.is_outage());
}
