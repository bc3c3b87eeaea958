//! Deadlines without timers: a connection writes when it must be done by into a cell, and one sweep every
//! [`TICK_MS`] wakes those whose time has come. Setting a deadline costs a store. A deadline is never early and
//! at most two ticks late.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// How often the sweep looks, in milliseconds.
pub const TICK_MS: u64 = 50;

const NEVER: u64 = u64::MAX;

/// The deadlines of one worker, and its coarse clock.
pub struct Deadlines {
    began: Instant,
    now_ms: Cell<u64>,
    slots: RefCell<Vec<Rc<Slot>>>,
}

/// One connection's deadline.
pub struct Deadline {
    slot: Rc<Slot>,
    all: Rc<Deadlines>,
}

struct Slot {
    due_ms: Cell<u64>,
    /// Nothing has begun that would be missed.
    is_idle: Cell<bool>,
    waker: RefCell<Option<Waker>>,
    index: Cell<usize>,
}

/// The time was up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elapsed;

impl Deadlines {
    pub fn new() -> Rc<Deadlines> {
        Rc::new(Deadlines { began: Instant::now(), now_ms: Cell::new(0), slots: RefCell::default() })
    }

    /// Milliseconds since the worker started, as of the last sweep.
    pub fn now_ms(&self) -> u64 {
        self.now_ms.get()
    }

    /// A new deadline, not set.
    pub fn register(self: &Rc<Self>) -> Deadline {
        let mut slots = self.slots.borrow_mut();
        let slot = Rc::new(Slot {
            due_ms: Cell::new(NEVER),
            is_idle: Cell::new(false),
            waker: RefCell::default(),
            index: Cell::new(slots.len()),
        });
        slots.push(Rc::clone(&slot));
        Deadline { slot, all: Rc::clone(self) }
    }

    /// Looks at the clock and wakes whoever is late.
    pub fn sweep(&self) {
        let now = self.began.elapsed().as_millis() as u64;
        self.now_ms.set(now);
        for slot in self.slots.borrow().iter() {
            if slot.due_ms.get() <= now
                && let Some(waker) = slot.waker.borrow_mut().take()
            {
                waker.wake();
            }
        }
    }

    /// Wakes everybody who waits with a deadline, late or not. Those who wait for something to begin have no more
    /// than this time left for it.
    pub fn hurry(&self, milliseconds: u64) {
        let latest = self.now_ms().saturating_add(milliseconds);
        for slot in self.slots.borrow().iter() {
            if slot.is_idle.get() {
                slot.due_ms.set(slot.due_ms.get().min(latest));
            }
            if let Some(waker) = slot.waker.borrow_mut().take() {
                waker.wake();
            }
        }
    }

    /// Sweeps for ever.
    pub async fn run(self: Rc<Self>) {
        let mut ticks = tokio::time::interval(Duration::from_millis(TICK_MS));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            self.sweep();
        }
    }
}

impl Deadline {
    /// Due in so many milliseconds.
    pub fn set(&self, milliseconds: u64) {
        self.slot.due_ms.set(self.all.now_ms().saturating_add(milliseconds).saturating_add(TICK_MS));
        self.slot.is_idle.set(false);
    }

    /// The same while waiting for something to begin: who is in a hurry need not wait so long.
    pub fn set_idle(&self, milliseconds: u64) {
        self.set(milliseconds);
        self.slot.is_idle.set(true);
    }

    /// It has begun; the deadline stays.
    pub fn begun(&self) {
        self.slot.is_idle.set(false);
    }

    /// Never due.
    pub fn clear(&self) {
        self.slot.due_ms.set(NEVER);
    }

    /// Milliseconds since the worker started, as of the last sweep.
    pub fn now_ms(&self) -> u64 {
        self.all.now_ms()
    }

    /// To be asked whenever something is pending: says so when the time is up, and else has the task woken then.
    #[inline]
    pub fn check(&self, context: &mut Context<'_>) -> Result<(), Elapsed> {
        if self.slot.due_ms.get() <= self.all.now_ms() {
            return Err(Elapsed);
        }
        let mut waker = self.slot.waker.borrow_mut();
        match &*waker {
            Some(known) if known.will_wake(context.waker()) => {}
            _ => *waker = Some(context.waker().clone()),
        }
        Ok(())
    }

    /// Runs a future for at most so many milliseconds.
    pub async fn within<T>(&self, milliseconds: u64, future: impl Future<Output = T>) -> Result<T, Elapsed> {
        self.set(milliseconds);
        self.cut_off(future).await
    }

    /// Runs a future until the time is up.
    pub async fn cut_off<T>(&self, future: impl Future<Output = T>) -> Result<T, Elapsed> {
        let mut future = pin!(future);
        std::future::poll_fn(|context| match future.as_mut().poll(context) {
            Poll::Ready(value) => Poll::Ready(Ok(value)),
            Poll::Pending => match self.check(context) {
                Ok(()) => Poll::Pending,
                Err(elapsed) => Poll::Ready(Err(elapsed)),
            },
        })
        .await
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        let mut slots = self.all.slots.borrow_mut();
        let index = self.slot.index.get();
        slots.swap_remove(index);
        if let Some(moved) = slots.get(index) {
            moved.index.set(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_future_is_cut_off_and_slots_are_returned() {
        let local = tokio::task::LocalSet::new();
        local
            .run_until(async {
                let all = Deadlines::new();
                let (first, second) = (all.register(), all.register());
                drop(first);
                assert_eq!(all.slots.borrow().len(), 1);
                // The clock of the sweep is the real one, so this test moves it by hand.
                second.set(10);
                all.now_ms.set(10 + TICK_MS - 1);
                let mut context = Context::from_waker(Waker::noop());
                assert_eq!(second.check(&mut context), Ok(()));
                all.now_ms.set(10 + TICK_MS);
                assert_eq!(second.check(&mut context), Err(Elapsed));
                second.clear();
                assert_eq!(second.check(&mut context), Ok(()));
                assert_eq!(second.within(5, async { 7 }).await, Ok(7));
                all.hurry(1);
                assert_eq!(second.check(&mut context), Ok(()), "what has begun is not hurried");
                second.set_idle(1_000);
                all.hurry(20);
                all.now_ms.set(all.now_ms() + 20);
                assert_eq!(second.check(&mut context), Err(Elapsed));
            })
            .await;
    }
}
