//! The rules of the pool, with a system that allows few threads.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};

use super::*;

/// A pool whose system allows `GIVEN` threads in all.
fn pool<const GIVEN: usize>() -> &'static Pool {
    fn begin<const GIVEN: usize>(pool: &'static Pool) -> io::Result<()> {
        // Called under the pool's lock, so the count is right.
        match POOLS.lock().expect("whole").entry(std::ptr::from_ref(pool) as usize).or_insert(0) {
            given if *given == GIVEN => Err(io::ErrorKind::WouldBlock.into()),
            given => {
                *given += 1;
                begin_thread(pool)
            }
        }
    }
    static POOLS: Mutex<std::collections::BTreeMap<usize, usize>> = Mutex::new(std::collections::BTreeMap::new());
    Box::leak(Box::new(Pool::new(begin::<GIVEN>)))
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

#[tokio::test]
async fn all_work_is_done_however_few_threads_there_are() {
    let pool = pool::<2>();
    let most = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
    let work = |number: usize| {
        let most = Arc::clone(&most);
        pool.run_until(soon(), move || {
            let now = most.0.fetch_add(1, Ordering::Relaxed) + 1;
            most.1.fetch_max(now, Ordering::Relaxed);
            std::thread::yield_now();
            most.0.fetch_sub(1, Ordering::Relaxed);
            number
        })
    };
    let done = futures_util::future::join_all((0..500).map(work)).await;
    assert!(done.into_iter().enumerate().all(|(number, done)| done.is_ok_and(|done| done == number)));
    assert!(most.1.load(Ordering::Relaxed) <= 2);
}

#[tokio::test]
async fn work_that_waits_for_each_other_finds_as_many_threads_as_it_needs_where_they_are_given() {
    let pool = pool::<100>();
    let gate = Arc::new(Barrier::new(50));
    let work = |_| {
        let gate = Arc::clone(&gate);
        pool.run_until(soon(), move || {
            gate.wait();
        })
    };
    let done = futures_util::future::join_all((0..50).map(work)).await;
    assert!(done.into_iter().all(|done| done.is_ok()));
}

#[tokio::test]
async fn work_whose_turn_does_not_come_is_refused_and_never_done() {
    let pool = pool::<1>();
    let (release, held) = mpsc::channel::<()>();
    let (begun, begins) = oneshot::channel();
    let holding = tokio::spawn(pool.run_until(soon(), move || {
        let _ = begun.send(());
        let _ = held.recv();
    }));
    begins.await.expect("it has begun");
    let done = Arc::new(AtomicBool::new(false));
    let note = Arc::clone(&done);
    let refused = pool.run_until(Instant::now(), move || note.store(true, Ordering::Relaxed)).await;
    let error = refused.expect_err("no thread").to_string();
    assert!(error.contains("1 are busy, and the system allows no more"), "{error}");
    // Dropped before its turn: the same.
    let note = Arc::clone(&done);
    let dropped = pool.run_until(soon(), move || note.store(true, Ordering::Relaxed));
    drop(tokio::time::timeout(Duration::ZERO, dropped).await);
    drop(release);
    holding.await.expect("no panic").expect("done");
    pool.run_until(soon(), || ()).await.expect("the thread is free again");
    assert!(!done.load(Ordering::Relaxed));
}

#[tokio::test]
async fn a_system_that_gives_no_thread_at_all_is_told_at_once() {
    let pool = pool::<0>();
    let refused = pool.run_until(soon(), || ()).await;
    assert!(matches!(refused, Err(ThreadError::Refused { .. })), "{refused:?}");
    assert_eq!(pool.start().expect_err("refused").kind(), io::ErrorKind::WouldBlock);
}

#[tokio::test]
async fn a_panic_is_told_and_costs_no_thread() {
    let pool = pool::<1>();
    for _ in 0..3 {
        let panicked = pool.run_until(soon(), || panic!("on {}", "purpose")).await;
        assert!(matches!(panicked, Err(ThreadError::Panicked(text)) if text == "on purpose"));
    }
    assert_eq!(pool.run_until(soon(), || 7).await.expect("done"), 7);
}

#[test]
fn after_a_refusal_some_threads_are_left_to_others_and_more_are_tried_later() {
    let (mut state, now) = (State { threads: 20, ..State::default() }, Instant::now());
    assert!(state.may_grow(now));
    state.refuse(&io::ErrorKind::WouldBlock.into(), now);
    assert!(!state.may_grow(now) && !state.is_over());
    state.idle = 1;
    assert!(state.is_over());
    state.threads = 20 - SPARE;
    assert!(!state.is_over() && !state.may_grow(now));
    let mut later = now;
    let mut given = Vec::new();
    for _ in 0..4 {
        later += PAUSE;
        while state.may_grow(later) {
            state.threads += 1;
        }
        given.push(state.threads);
    }
    assert_eq!(given, [17, 19, 23, 31]);
    state.threads = 1;
    state.refuse(&io::ErrorKind::WouldBlock.into(), later);
    assert!(!state.may_grow(later), "one is there, and stays");
}
