//! Which tasks end when, and who waits for commits.

use super::*;

#[test]
fn a_split_is_gone_once_its_thread_has_ended_and_its_cuts_are_settled() {
    let tasks = Tasks::default();
    let id: SplitId = "a".into();
    let (epoch, handle) = tasks.register(&id).expect("new");
    tasks.submit_checkpoint(&id, epoch, 1);
    tasks.task_ended(&id, epoch);
    assert_eq!(tasks.running().len(), 1, "a checkpoint is still under way");
    assert!(tasks.close(std::slice::from_ref(&id), false, Instant::now() + Duration::from_millis(1)).is_err());
    assert_eq!(handle.signal(), TaskSignal::Revoked, "who is late is forgotten");
    tasks.checkpoint_finished(&id, epoch, 1);
    assert!(tasks.running().is_empty());
}

#[test]
fn commits_are_awaited_once_a_split_with_checkpoints_under_way_ends() {
    let (hurry, hurried) = crossbeam_channel::bounded(1);
    let tasks = Tasks::new(&Arc::default(), hurry);
    let (ends, closes): (SplitId, SplitId) = ("a".into(), "b".into());
    for id in [&ends, &closes] {
        let (epoch, _) = tasks.register(id).expect("new");
        tasks.submit_checkpoint(id, epoch, 1);
        assert!(!tasks.awaits_commits() && hurried.is_empty(), "it goes on");
        if id == &ends {
            tasks.task_ended(id, epoch);
        } else {
            assert!(tasks.close(std::slice::from_ref(id), false, Instant::now()).is_err());
        }
        assert!(tasks.awaits_commits() && hurried.try_recv().is_ok(), "somebody waits for its end");
        tasks.checkpoint_finished(id, epoch, 1);
    }
    let (epoch, _) = tasks.register(&ends).expect("new again");
    tasks.submit_checkpoint(&ends, epoch, 1);
    assert!(!tasks.awaits_commits(), "it goes on");
    tasks.stop();
    assert!(tasks.awaits_commits() && hurried.try_recv().is_ok(), "a stop waits for all of them");
}

#[test]
fn a_task_that_waits_for_its_commits_does_not_wait_for_other_checkpoints() {
    let (hurry, hurried) = crossbeam_channel::bounded(1);
    let tasks = Tasks::new(&Arc::default(), hurry);
    let id: SplitId = "a".into();
    let (epoch, _) = tasks.register(&id).expect("new");
    tasks.submit_checkpoint(&id, epoch, STATE_IN_FLIGHT_BYTES_MAX);
    for for_room in [false, true] {
        std::thread::scope(|scope| {
            scope.spawn(|| match for_room {
                true => tasks.submit_checkpoint(&id, epoch, STATE_IN_FLIGHT_BYTES_MAX),
                false => tasks.wait_for_commits(&id, epoch, Duration::from_secs(600)),
            });
            hurried.recv_timeout(Duration::from_secs(30)).expect("it is said that somebody waits");
            assert!(tasks.awaits_commits());
            tasks.checkpoint_finished(&id, epoch, STATE_IN_FLIGHT_BYTES_MAX);
        });
        if tasks.state.lock().bytes_in_flight == 0 {
            tasks.submit_checkpoint(&id, epoch, STATE_IN_FLIGHT_BYTES_MAX);
        }
        assert!(!tasks.awaits_commits());
    }
}

#[test]
fn a_checkpoint_waits_while_those_under_way_have_too_much_state() {
    let tasks = Arc::new(Tasks::default());
    let id: SplitId = "a".into();
    let (epoch, _) = tasks.register(&id).expect("a split");
    // Alone, it may be of any size.
    tasks.submit_checkpoint(&id, epoch, STATE_IN_FLIGHT_BYTES_MAX + 1);
    let (sender, receiver) = std::sync::mpsc::channel();
    let other = (Arc::clone(&tasks), Arc::clone(&id));
    let thread = std::thread::spawn(move || {
        other.0.submit_checkpoint(&other.1, epoch, 1);
        sender.send(()).expect("somebody waits");
    });
    assert!(receiver.recv_timeout(Duration::from_millis(50)).is_err(), "it waits");
    tasks.checkpoint_finished(&id, epoch, STATE_IN_FLIGHT_BYTES_MAX + 1);
    receiver.recv_timeout(Duration::from_secs(30)).expect("there is room");
    thread.join().expect("it ends");
}

#[test]
fn cuts_of_an_earlier_epoch_do_not_count() {
    let tasks = Tasks::default();
    let id: SplitId = "a".into();
    let (old, _) = tasks.register(&id).expect("new");
    tasks.task_ended(&id, old);
    let (new, _) = tasks.register(&id).expect("new again");
    assert!(tasks.is_revoked(&id, old));
    assert!(!tasks.is_revoked(&id, new));
}

#[test]
fn a_split_whose_commit_was_refused_has_not_ended_until_it_is_closed() {
    let tasks = Tasks::default();
    let id: SplitId = "a".into();
    let (epoch, handle) = tasks.register(&id).expect("new");
    tasks.refused(std::slice::from_ref(&id));
    assert_eq!(handle.signal(), TaskSignal::Revoked);
    tasks.task_ended(&id, epoch);
    assert_eq!(tasks.running().len(), 1, "it did not come to its end");
    tasks.wait_while(State::has_work);
    tasks.close(std::slice::from_ref(&id), true, Instant::now()).expect("closed");
    assert!(tasks.running().is_empty());
}

#[test]
fn a_split_of_which_several_cuts_were_refused_together_waits_to_be_closed_too() {
    let tasks = Tasks::default();
    let id: SplitId = "a".into();
    let (epoch, _) = tasks.register(&id).expect("new");
    tasks.submit_checkpoint(&id, epoch, 1);
    tasks.task_ended(&id, epoch);
    tasks.refused(&[Arc::clone(&id), Arc::clone(&id)]);
    tasks.checkpoint_finished(&id, epoch, 1);
    assert_eq!(tasks.running(), [id], "it did not come to its end");
}

#[test]
fn a_refusal_does_not_keep_waiting_who_closes_the_split_already() {
    for lost in [true, false] {
        let tasks = Tasks::default();
        let id: SplitId = "a".into();
        let (epoch, _) = tasks.register(&id).expect("new");
        tasks.submit_checkpoint(&id, epoch, 1);
        let until = Instant::now() + Duration::from_secs(600);
        std::thread::scope(|scope| {
            let closing = scope.spawn(|| tasks.close(std::slice::from_ref(&id), lost, until));
            while tasks.state.lock().splits[&id].handle.signal() == TaskSignal::Run {
                std::thread::yield_now();
            }
            tasks.refused(std::slice::from_ref(&id));
            tasks.task_ended(&id, epoch);
            tasks.checkpoint_finished(&id, epoch, 1);
            closing.join().expect("a thread").expect("closed");
        });
    }
}

#[test]
fn a_lost_split_that_still_waits_for_something_keeps_nobody_from_opening_it_again() {
    let tasks = Tasks::default();
    let id: SplitId = "a".into();
    let (old, _) = tasks.register(&id).expect("new");
    assert!(tasks.register(&id).is_err(), "it runs");
    assert!(tasks.close(std::slice::from_ref(&id), false, Instant::now()).is_err());
    let (new, handle) = tasks.register(&id).expect("the old one is lost");
    tasks.task_ended(&id, old);
    assert!(tasks.is_revoked(&id, old) && !tasks.is_revoked(&id, new));
    assert_eq!(handle.signal(), TaskSignal::Run);
}
