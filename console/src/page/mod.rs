//! The live page.
//!
//! [`index`] is the whole page, with the state at the time of loading: it needs no script. [`panels`] are its parts that change:
//! each an id and the content of the element with that id. The event stream sends those that differ from the last time as
//! `event: panel` with the data `{"id": …, "html": …}`, and `panels` puts the time first, so that every round sends
//! something and a page that hears nothing knows that the connection is lost. The page opens `/api/events` with its own query.
//!
//! Both draw a [`Model`] for a [`Choice`], which is the query of the URL. [`ASSETS`] are the files that the page asks for, and
//! [`CONTENT_SECURITY_POLICY`] is the header that it is served with.

mod assets;
mod choice;
mod document;
mod model;
mod panels;
mod parts;

pub use assets::{ASSETS, Asset, CONTENT_SECURITY_POLICY};
pub use choice::Choice;
pub use document::index;
pub use model::{Model, Moment, View};
pub use panels::panels;

#[cfg(test)]
mod tests;
