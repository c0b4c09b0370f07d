//! What is answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aqpipe_engine::metrics::{BrokerAway, Phase};
use aqpipe_engine::monitor::{PipelineStatus, Status};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Extension, Query, State};
use axum::http::header::{self, HeaderMap};
use axum::http::{StatusCode, Uri};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::events::Events;
use super::fresh::Fresh;
use super::guard::{Guard, Trusted, guarded};
use super::process::Process;
use super::stream::events;
use super::views;
use crate::exposition::{Format, exposition};
use crate::page::{ASSETS, Choice};

const JSON: &str = "application/json";

/// What the routes answer from.
pub(super) struct Answers {
    pub(super) process: Arc<Process>,
    pub(super) events: Arc<Events>,
    /// The places for event streams.
    pub(super) streams: Arc<Semaphore>,
    pub(super) text: Fresh<Bytes>,
    pub(super) open_metrics: Fresh<Bytes>,
    pub(super) status: Fresh<Bytes>,
}

/// Set by a request that keeps its connection for long.
#[derive(Clone, Default)]
pub(super) struct Streaming(pub(super) Arc<AtomicBool>);

type Answered = State<Arc<Answers>>;

/// The routes of a listener.
pub(super) fn routes(answers: Arc<Answers>, guard: Guard) -> Router {
    let mut router = Router::new()
        .route("/", get(index))
        .route("/metrics", get(metrics))
        .route("/health", get(health))
        .route("/ready", get(ready))
        .route("/api/status", get(status))
        .route("/api/status/schema", get(|| async { typed(JSON, status_schema()) }))
        .route("/api/events", get(event_stream));
    for asset in ASSETS {
        router = router.route(asset.path, get(move || async move { typed(asset.content_type, asset.text) }));
    }
    router
        .fallback(|uri: Uri| async move {
            let text = format!(
                "there is nothing at {}; / is the page, /metrics, /health, /ready and /api/status are beside it\n",
                uri.path()
            );
            (StatusCode::NOT_FOUND, text)
        })
        .method_not_allowed_fallback(|| async { (StatusCode::METHOD_NOT_ALLOWED, "this only answers to GET\n") })
        .with_state(answers)
        .layer(from_fn_with_state(guard, guarded))
}

/// The JSON Schema of `/api/status`.
#[must_use]
pub fn status_schema() -> String {
    format!("{:#}\n", schemars::schema_for!(Status).as_value())
}

fn typed(content_type: &'static str, body: impl IntoResponse) -> Response {
    ([(header::CONTENT_TYPE, content_type)], body).into_response()
}

async fn index(State(answers): Answered, Query(choice): Query<Choice>) -> Response {
    typed("text/html; charset=utf-8", views::index(&answers.process, &choice))
}

async fn metrics(State(answers): Answered, headers: HeaderMap) -> Response {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let format = Format::accepted(&accepted.collect::<Vec<_>>().join(","));
    let kept = match format {
        Format::PrometheusText => &answers.text,
        Format::OpenMetrics => &answers.open_metrics,
    };
    let text = kept.get(|| exposition(&answers.process.facts(), format).into());
    ([(header::CONTENT_TYPE, format.content_type()), (header::VARY, "accept")], text).into_response()
}

async fn status(State(answers): Answered) -> Response {
    let text = answers.status.get(|| serde_json::to_vec(&*answers.process.status()).unwrap_or_default().into());
    typed(JSON, text)
}

async fn health(State(answers): Answered, Extension(trusted): Extension<Trusted>) -> Response {
    let pipeline = |one: &PipelineStatus| {
        let alerts = one.alerts.iter().filter(|alert| alert.firing).map(
            |alert| json!({ "alert": alert.alert, "subject": alert.subject, "since": alert.since, "text": alert.text }),
        );
        json!({
            "pipeline": one.name,
            "alive": one.health.alive,
            "reasons": one.health.reasons,
            "alerts": alerts.collect::<Vec<_>>(),
        })
    };
    probed(&answers, trusted, |one| one.health.alive, pipeline)
}

async fn ready(State(answers): Answered, Extension(trusted): Extension<Trusted>) -> Response {
    let pipeline = |one: &PipelineStatus| {
        json!({
            "pipeline": one.name,
            "ready": one.health.ready,
            "reasons": one.health.ready_reasons,
            "brokers_away": one.brokers_away.iter().map(BrokerAway::sentence).collect::<Vec<_>>(),
        })
    };
    // One that has done its work makes those that go on no less ready.
    probed(&answers, trusted, |one| one.health.ready || one.phase == Phase::Done, pipeline)
}

/// 200 where all pipelines are well, otherwise 503; what is known of each is for those who carry the token.
fn probed(
    answers: &Answers,
    trusted: Trusted,
    is_well: impl Fn(&PipelineStatus) -> bool,
    tell: impl Fn(&PipelineStatus) -> Value,
) -> Response {
    let status = answers.process.status();
    let all_well = status.pipelines.iter().all(is_well);
    let (code, word) = if all_well { (StatusCode::OK, "ok") } else { (StatusCode::SERVICE_UNAVAILABLE, "unavailable") };
    let mut body = json!({ "status": word });
    if trusted.0 {
        body["pipelines"] = status.pipelines.iter().map(tell).collect();
    }
    (code, typed(JSON, format!("{body:#}\n"))).into_response()
}

async fn event_stream(
    State(answers): Answered,
    Extension(streaming): Extension<Streaming>,
    Query(choice): Query<Choice>,
) -> Response {
    let busy = |what: &str| {
        let text = format!("{what}; close some, or look again later\n");
        (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "30")], text).into_response()
    };
    let Ok(place) = Arc::clone(&answers.streams).try_acquire_owned() else {
        return busy("too many event streams are open");
    };
    let Some(rounds) = answers.events.rounds(&choice) else {
        return busy("too many different views of the page are open");
    };
    streaming.0.store(true, Ordering::Relaxed);
    typed("text/event-stream", events(rounds, place))
}
