//! Tells commands and web hooks of alerts.
//!
//! Each target of `[[monitor.notify]]` has a queue and a thread of its own. The monitor of the pipeline puts a notification into the
//! queue and goes on; what finds no room is counted.

mod command;
mod notification;
mod notifier;
#[cfg(test)]
mod tests;
mod webhook;

pub use notification::Notification;
pub use notifier::Notifier;
