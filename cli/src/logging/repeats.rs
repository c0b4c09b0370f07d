//! Repeated messages: the first few of a minute are logged, the others are counted, and the count is told. Messages are repeated too
//! that differ only in what they are about, such as one for each of 600 fields: their field `alike` says so.

use std::cell::Cell;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::event_text::{ALIKE_FIELD, LOG_TARGET, MONITOR_TARGET, SUMMARY_TARGET, write_event};
use super::notices::Notice;
use super::pipeline_name::{pipeline_of, value_of};

/// How often one message is logged within a window: enough to see how it comes, in bursts or at intervals.
const REPEATS_MAX: u64 = 10;
/// How many of those that are alike are: as many fields as most files have.
const ALIKE_MAX: u64 = 20;
/// The window, from the first of them on.
const WINDOW: Duration = Duration::from_secs(60);
/// How many messages are watched at once: a bound for messages of which each is another. What is beyond it is logged.
const WATCHED_MAX: usize = 1_000;

thread_local! {
    static IS_HELD_BACK: Cell<bool> = const { Cell::new(false) };
}

/// Whether the event that this thread is about to log is held back.
pub(super) fn is_held_back() -> bool {
    IS_HELD_BACK.get()
}

/// The messages of the last minute.
#[derive(Clone, Default)]
pub(super) struct Repeats(Arc<Watched>);

#[derive(Default)]
struct Watched {
    hasher: RandomState,
    messages: Mutex<HashMap<u64, Message>>,
}

/// What a message is a repetition of, and how often that is logged.
#[derive(Clone, Copy)]
struct Kind {
    id: u64,
    most: u64,
}

/// A message that came in the last minute.
struct Message {
    since: Instant,
    count: u64,
    most: u64,
    /// What is to be told of it, once something was held back.
    told: Option<(Level, Option<String>, String)>,
}

impl Message {
    fn notice(self, now: Instant) -> Option<Notice> {
        let (level, pipeline, text) = self.told?;
        let (repeated, seconds) = (self.count - self.most, now.saturating_duration_since(self.since).as_secs().max(1));
        let text = match self.most {
            ALIKE_MAX => format!("{repeated} more messages such as this one within {seconds} s: {text}"),
            _ => format!("{text} … repeated {repeated} times within {seconds} s"),
        };
        Some(Notice { level, pipeline, text, repeated: Some(repeated) })
    }
}

impl Repeats {
    /// Counts a message; returns whether it is to be held back.
    fn holds_back(&self, level: Level, pipeline: Option<String>, text: &str, kind: Kind, now: Instant) -> bool {
        let Kind { id, most } = kind;
        let Ok(mut messages) = self.0.messages.lock() else { return false };
        if messages.len() >= WATCHED_MAX && !messages.contains_key(&id) {
            // Those with a count are kept until it is told.
            messages.retain(|_, message| message.told.is_some() || now - message.since < WINDOW);
            if messages.len() >= WATCHED_MAX {
                return false;
            }
        }
        let message = messages.entry(id).or_insert(Message { since: now, count: 0, most, told: None });
        if message.told.is_none() && now - message.since >= WINDOW {
            (message.since, message.count) = (now, 0);
        }
        message.count += 1;
        if message.count <= most {
            return false;
        }
        message.told.get_or_insert_with(|| (level, pipeline, text.to_owned()));
        true
    }

    /// What was held back of the messages whose minute is over at `now`; of all of them at the end of logging.
    pub(super) fn told(&self, now: Instant, ends: bool) -> Vec<Notice> {
        let Ok(mut messages) = self.0.messages.lock() else { return Vec::new() };
        let is_over = |message: &Message| ends || now.saturating_duration_since(message.since) >= WINDOW;
        let mut over: Vec<Message> =
            messages.extract_if(|_, message| is_over(message)).map(|(_, message)| message).collect();
        over.sort_by_key(|message| message.since);
        over.into_iter().filter_map(|message| message.notice(now)).collect()
    }
}

/// A layer that decides of each event whether it is held back, for the filters behind it.
///
/// The end of a run is never held back: errors are not, and what the monitor and the logs say of others is not.
pub(super) struct HoldRepeats(pub(super) Repeats);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for HoldRepeats {
    fn event_enabled(&self, event: &Event<'_>, context: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        let is_exempt = *metadata.level() == Level::ERROR
            || [MONITOR_TARGET, SUMMARY_TARGET, LOG_TARGET].contains(&metadata.target());
        IS_HELD_BACK.set(
            !is_exempt && {
                let pipeline = pipeline_of(context.event_scope(event), event);
                let mut text = String::new();
                // Writing to a string does not fail.
                let _ = write_event(&mut text, event);
                let alike = value_of(event, ALIKE_FIELD);
                let most = if alike.is_some() { ALIKE_MAX } else { REPEATS_MAX };
                let same = alike.as_deref().unwrap_or(&text);
                let id = self.0.0.hasher.hash_one((metadata.callsite(), &pipeline, same));
                self.0.holds_back(*metadata.level(), pipeline, &text, Kind { id, most }, Instant::now())
            },
        );
        // `false` would leave the filters of this event undecided, for the next one to find.
        true
    }

    /// It enables nothing.
    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::ERROR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(repeats: &Repeats, text: &str, now: Instant) -> bool {
        let id = repeats.0.hasher.hash_one(text);
        repeats.holds_back(Level::WARN, Some("job".to_owned()), text, Kind { id, most: REPEATS_MAX }, now)
    }

    #[test]
    fn the_first_ones_of_a_minute_are_logged_and_the_others_told_by_their_count() {
        let (repeats, start) = (Repeats::default(), Instant::now());
        let at = |secs: u64| start + Duration::from_secs(secs);
        let held = (0..25).filter(|second| take(&repeats, "x", at(*second))).count();
        assert_eq!(held, 15);
        assert!(!take(&repeats, "y", at(30)), "another message");
        assert!(repeats.told(at(59), false).is_empty(), "the minute is not over");
        let told = repeats.told(at(60), false);
        assert_eq!(told.len(), 1);
        assert_eq!(
            (told[0].level, told[0].pipeline.as_deref(), told[0].repeated),
            (Level::WARN, Some("job"), Some(15))
        );
        assert_eq!(told[0].text, "x … repeated 15 times within 60 s");
        assert!(!take(&repeats, "x", at(61)), "a minute later it is logged again");
        assert!(repeats.told(at(300), true).is_empty(), "nothing was held back since");
    }

    #[test]
    fn a_message_that_comes_now_and_then_is_always_logged() {
        let (repeats, start) = (Repeats::default(), Instant::now());
        assert!((0..1_000).all(|n| !take(&repeats, "x", start + Duration::from_secs(10 * n))));
        assert!(repeats.told(start + Duration::from_secs(20_000), true).is_empty());
    }

    #[test]
    fn what_was_held_back_is_told_at_the_end_too() {
        let (repeats, now) = (Repeats::default(), Instant::now());
        assert_eq!((0..12).filter(|_| take(&repeats, "x", now)).count(), 2);
        assert_eq!(repeats.told(now, true)[0].text, "x … repeated 2 times within 1 s");
    }

    #[test]
    fn messages_of_which_each_is_another_take_bounded_memory_and_are_logged() {
        let (repeats, now) = (Repeats::default(), Instant::now());
        assert!((0..5_000).all(|n| !take(&repeats, &format!("message {n}"), now)));
        assert_eq!(repeats.0.messages.lock().expect("not poisoned").len(), WATCHED_MAX);
        assert!(!take(&repeats, "late", now + WINDOW), "and there is room a minute later");
        assert_eq!(repeats.0.messages.lock().expect("not poisoned").len(), 1);
    }
}
