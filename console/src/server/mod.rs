//! The HTTP listener that serves all pipelines of a process.
//!
//! | path | what |
//! |---|---|
//! | `/` | the page |
//! | `/metrics` | Prometheus text, or OpenMetrics by `Accept` |
//! | `/health` | 200, or 503 with the reasons where a pipeline failed or is stuck; alerts stand in the body and do not change the code |
//! | `/ready` | 200, or 503 with the reasons where a pipeline is not connected, has no splits or has not caught up |
//! | `/api/status` | the [`Status`](aqpipe_engine::monitor::Status) as JSON; `/api/status/schema` is its JSON Schema |
//! | `/api/events` | server-sent events: the parts of the page that changed, once a second |
//!
//! Everything only reads. With a token, requests carry it as `Authorization: Bearer …`, or as the password of `Basic`, which a
//! browser asks for; without it there is 401, except for `/health` and `/ready`, which then answer with the code alone: probes
//! have no secrets. A listener on loopback answers only to names of loopback, so that no web page reaches it through a name of its own.

mod bind_help;
mod bounds;
mod connections;
mod events;
mod fresh;
mod guard;
mod listeners;
mod places;
mod process;
mod routes;
mod start;
mod stream;
mod token;
mod views;

pub use listeners::{Listener, Problem, listeners};
pub use routes::status_schema;
pub use start::Server;
pub use token::{UnusableToken, usable_token};
