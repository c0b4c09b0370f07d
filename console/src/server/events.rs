//! Rounds of events: what a view of the page looks like now, drawn once for all who look at it, and only while somebody does.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Weak};

use axum::body::Bytes;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::sleep;

use super::bounds::{ROUND_INTERVAL, VIEWS_MAX};
use super::process::Process;
use super::views;
use crate::page::Choice;

/// The events of one round.
#[derive(Debug, Default)]
pub(super) struct Round(Vec<Panel>);

#[derive(Debug)]
struct Panel {
    digest: u64,
    event: Bytes,
}

impl Round {
    /// The round of what a view looks like: ids of parts and what stands in them.
    pub(super) fn of(panels: Vec<(&'static str, String)>) -> Round {
        let panel = |(id, html): (&'static str, String)| {
            let mut hasher = DefaultHasher::new();
            (id, &html).hash(&mut hasher);
            let data = serde_json::json!({ "id": id, "html": html });
            Panel { digest: hasher.finish(), event: format!("event: panel\ndata: {data}\n\n").into() }
        };
        Round(panels.into_iter().map(panel).collect())
    }

    /// The events that tell a client what is new since the round whose digests it holds, which become those of this one.
    pub(super) fn news(&self, told: &mut Vec<u64>) -> Vec<Bytes> {
        let is_new = |(at, panel): &(usize, &Panel)| told.get(*at) != Some(&panel.digest);
        let news = self.0.iter().enumerate().filter(is_new).map(|(_, panel)| panel.event.clone()).collect();
        *told = self.0.iter().map(|panel| panel.digest).collect();
        news
    }
}

/// The views that somebody looks at.
pub(super) struct Events {
    process: Arc<Process>,
    /// Each ends when the last one who looks at it goes.
    views: Mutex<HashMap<Choice, Weak<watch::Sender<Arc<Round>>>>>,
    stopped: watch::Receiver<bool>,
}

impl Events {
    pub(super) fn new(process: Arc<Process>, stopped: watch::Receiver<bool>) -> Events {
        Events { process, views: Mutex::default(), stopped }
    }

    /// The rounds of a view, the current one first; the newest one is all that waits for a client that is slow. `None` where too many
    /// views are drawn already. To be called within the runtime.
    pub(super) fn rounds(self: &Arc<Self>, choice: &Choice) -> Option<watch::Receiver<Arc<Round>>> {
        let mut views = self.views.lock();
        if let Some(known) = views.get(choice).and_then(Weak::upgrade) {
            let mut rounds = known.subscribe();
            rounds.mark_changed();
            return Some(rounds);
        }
        if views.len() >= VIEWS_MAX {
            return None;
        }
        let (sender, mut rounds) = watch::channel(Arc::new(self.draw(choice)));
        rounds.mark_changed();
        let sender = Arc::new(sender);
        views.insert(choice.clone(), Arc::downgrade(&sender));
        tokio::spawn(Arc::clone(self).keep_drawing(choice.clone(), sender));
        Some(rounds)
    }

    fn draw(&self, choice: &Choice) -> Round {
        Round::of(views::panels(&self.process, choice))
    }

    async fn keep_drawing(self: Arc<Self>, choice: Choice, sender: Arc<watch::Sender<Arc<Round>>>) {
        let mut stopped = self.stopped.clone();
        loop {
            tokio::select! {
                () = sleep(ROUND_INTERVAL) => {}
                () = end_of(&mut stopped) => return,
            }
            {
                // Nobody can begin to look between this question and the end.
                let mut views = self.views.lock();
                if sender.receiver_count() == 0 {
                    views.remove(&choice);
                    return;
                }
            }
            sender.send_replace(Arc::new(self.draw(&choice)));
        }
    }
}

/// Waits until the listener is to end.
pub(super) async fn end_of(stopped: &mut watch::Receiver<bool>) {
    // A sender that is gone has ended as well.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_is_drawn_once_for_all_who_look_and_no_longer_than_they_do() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let (_stop, stopped) = watch::channel(false);
        let events = Arc::new(Events::new(Arc::new(Process::new(Vec::new())), stopped));
        runtime.block_on(async {
            let of = |station: usize| Choice { station: Some(station.to_string()), ..Choice::default() };
            let first = events.rounds(&of(0)).expect("a view");
            let same = events.rounds(&of(0)).expect("a view");
            assert!(Arc::ptr_eq(&first.borrow(), &same.borrow()));
            let others: Vec<_> = (1..VIEWS_MAX).map(|station| events.rounds(&of(station)).expect("a view")).collect();
            assert!(events.rounds(&of(VIEWS_MAX)).is_none(), "there is a bound");
            drop((others, first));
            while events.views.lock().len() > 1 {
                sleep(ROUND_INTERVAL / 10).await;
            }
            assert!(events.views.lock().contains_key(&of(0)), "somebody still looks");
            assert!(events.rounds(&of(VIEWS_MAX)).is_some());
            drop(same);
        });
    }

    #[test]
    fn a_client_is_told_what_is_new_to_it() {
        let round = |a: &str, b: &str| Round::of(vec![("a", a.to_owned()), ("b", b.to_owned())]);
        let mut told = Vec::new();
        assert_eq!(round("1", "1").news(&mut told).len(), 2);
        assert_eq!(round("1", "1").news(&mut told).len(), 0);
        let news = round("1", "2\n</script>").news(&mut told);
        assert_eq!(news, ["event: panel\ndata: {\"id\":\"b\",\"html\":\"2\\n</script>\"}\n\n"]);
    }
}
