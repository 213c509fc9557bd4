//! What waits for the writer: bounded, in order, and taken in one go.
//!
//! Waking a thread costs as much as writing a batch. So a batch of a stream wakes the writer only
//! when it has rested long enough; what comes meanwhile is taken together. Whoever is waited for
//! by somebody is urgent and wakes it at once.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

/// Most messages that wait; senders beyond wait to be queued.
const WAITING_MAX: usize = 4096;
/// Most messages taken at once: bounds what one rollback costs.
const GROUP_MAX: usize = 4096;
/// Messages that are not urgent are taken at most so often. Short beside the time for which
/// acknowledgements are gathered, long beside a commit.
const REST: Duration = Duration::from_millis(100);

/// What the taker is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taker {
    /// Something else, or it has been woken.
    Busy,
    /// Sleeping until anything comes.
    Idle,
    /// Sleeping until something urgent comes, or its rest is over.
    Resting,
}

#[derive(Debug)]
struct Inner<T> {
    waiting: VecDeque<T>,
    urgent: bool,
    closed: bool,
    taker: Taker,
}

/// The queue.
#[derive(Debug)]
pub(super) struct Queue<T> {
    inner: Mutex<Inner<T>>,
    bell: Condvar,
    places: Semaphore,
}

impl<T> Queue<T> {
    pub(super) fn new() -> Queue<T> {
        Queue {
            inner: Mutex::new(Inner {
                waiting: VecDeque::new(),
                urgent: false,
                closed: false,
                taker: Taker::Busy,
            }),
            bell: Condvar::new(),
            places: Semaphore::new(WAITING_MAX),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner<T>> {
        // Every change under the lock is one step.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many messages wait.
    pub(super) fn len(&self) -> usize {
        self.inner().waiting.len()
    }

    /// Queues a message behind all others; gives it back when nobody takes any more.
    pub(super) async fn send(&self, message: T, urgent: bool) -> Result<(), T> {
        match self.places.acquire().await {
            Ok(place) => place.forget(),
            Err(_) => return Err(message),
        }
        self.push(message, urgent)
    }

    /// The same where there is a place at once; gives the message back where there is none.
    pub(super) fn try_send(&self, message: T, urgent: bool) -> Result<(), T> {
        match self.places.try_acquire() {
            Ok(place) => place.forget(),
            Err(_) => return Err(message),
        }
        self.push(message, urgent)
    }

    fn push(&self, message: T, urgent: bool) -> Result<(), T> {
        let mut inner = self.inner();
        if inner.closed {
            return Err(message);
        }
        inner.waiting.push_back(message);
        inner.urgent |= urgent;
        let ring = match inner.taker {
            Taker::Busy => false,
            Taker::Idle => true,
            Taker::Resting => inner.urgent || inner.waiting.len() >= GROUP_MAX / 2,
        };
        if ring {
            inner.taker = Taker::Busy;
            drop(inner);
            self.bell.notify_one();
        }
        Ok(())
    }

    /// Takes what waits, in order; waits for something first, and until `rested` plus the rest
    /// unless something is urgent. Nothing when the queue was closed and is empty.
    pub(super) fn take(&self, rested: Instant) -> Vec<T> {
        let mut inner = self.inner();
        while inner.waiting.is_empty() && !inner.closed {
            inner.taker = Taker::Idle;
            inner = self
                .bell
                .wait(inner)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let until = rested + REST;
        while !inner.urgent && !inner.closed && inner.waiting.len() < GROUP_MAX / 2 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            inner.taker = Taker::Resting;
            let woken = self.bell.wait_timeout(inner, left);
            inner = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        inner.taker = Taker::Busy;
        let count = inner.waiting.len().min(GROUP_MAX);
        let taken: Vec<T> = inner.waiting.drain(..count).collect();
        inner.urgent &= !inner.waiting.is_empty();
        drop(inner);
        self.places.add_permits(taken.len());
        taken
    }

    /// Lets nothing more in. What waits can still be taken.
    pub(super) fn close(&self) {
        self.places.close();
        let mut inner = self.inner();
        inner.closed = true;
        inner.taker = Taker::Busy;
        drop(inner);
        self.bell.notify_all();
    }

    /// Drops what waits; for the taker when it ends.
    pub(super) fn end(&self) {
        self.close();
        let left = std::mem::take(&mut self.inner().waiting);
        drop(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[tokio::test]
    async fn messages_come_in_order_and_nothing_is_taken_behind_the_end() {
        let queue = Queue::new();
        for message in 0..3 {
            queue.send(message, message == 2).await.unwrap();
        }
        assert_eq!(queue.take(Instant::now()), [0, 1, 2]);
        queue.send(3, false).await.unwrap();
        queue.close();
        assert_eq!(queue.send(4, true).await, Err(4));
        assert_eq!(queue.take(Instant::now()), [3]);
        assert!(queue.take(Instant::now()).is_empty());
    }

    #[tokio::test]
    async fn a_sender_waits_when_the_queue_is_full() {
        let queue = Arc::new(Queue::new());
        for message in 0..WAITING_MAX {
            queue.send(message, false).await.unwrap();
        }
        let other = Arc::clone(&queue);
        let late = tokio::spawn(async move { other.send(usize::MAX, false).await });
        tokio::task::yield_now().await;
        assert!(!late.is_finished());
        assert_eq!(queue.take(Instant::now()).len(), GROUP_MAX);
        late.await.unwrap().unwrap();
        queue.close();
        assert_eq!(queue.take(Instant::now()), [usize::MAX]);
    }

    #[tokio::test]
    async fn who_does_not_wait_is_told_when_the_queue_is_full_or_closed() {
        let queue = Queue::new();
        for message in 0..WAITING_MAX {
            queue.try_send(message, false).unwrap();
        }
        assert_eq!(queue.try_send(7, false), Err(7));
        assert_eq!(queue.take(Instant::now()).len(), GROUP_MAX);
        queue.try_send(8, false).unwrap();
        queue.close();
        assert_eq!(queue.try_send(9, false), Err(9));
        assert_eq!(queue.take(Instant::now()), [8]);
    }

    #[test]
    fn something_urgent_ends_the_rest_of_what_waits_already() {
        let queue = Arc::new(Queue::new());
        let runtime = || {
            tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap()
        };
        let sender = Arc::clone(&queue);
        let told = std::thread::spawn(move || {
            runtime().block_on(async {
                sender.send(1, false).await.unwrap();
                sender.send(2, true).await.unwrap();
            });
        });
        // A rest that would outlast the test.
        let mut taken = Vec::new();
        while taken.len() < 2 {
            taken.extend(queue.take(Instant::now() + Duration::from_secs(3600)));
        }
        told.join().unwrap();
        assert_eq!(taken, [1, 2]);
    }
}
