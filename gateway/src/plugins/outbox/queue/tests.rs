use std::sync::atomic::AtomicUsize;

use futures_util::FutureExt;
use tokio::sync::Semaphore;

use super::super::totals::OutboxTotals;
use super::*;
use crate::plugins::testing::{NOW, eventually};

const OWNER: Uuid = Uuid::from_u128(1);

/// A collector that says what it is told to say and writes down what it got, and when.
#[derive(Clone)]
struct Bin(Arc<BinState>);

struct BinState {
    clock: Clock,
    start: Moment,
    got: Mutex<Vec<(u128, String)>>,
    /// How many of the next messages are refused.
    refuses: AtomicUsize,
    /// Answers are given out one by one, if held back.
    answers: Option<Semaphore>,
}

impl Deliver for Bin {
    fn pack(&self, entries: &[&[u8]]) -> Bytes {
        entries.join(&b' ').into()
    }

    fn deliver(&self, message: Bytes) -> BoxFuture<'_, Result<(), String>> {
        let at = self.0.clock.now().since(self.0.start).as_millis();
        self.0.got.lock().push((at, String::from_utf8(message.to_vec()).unwrap()));
        async {
            if let Some(answers) = &self.0.answers {
                answers.acquire().await.unwrap().forget();
            }
            let refuse = |left: usize| left.checked_sub(1);
            match self.0.refuses.fetch_update(Ordering::SeqCst, Ordering::SeqCst, refuse) {
                Ok(_) => Err("no".to_owned()),
                Err(_) => Ok(()),
            }
        }
        .boxed()
    }
}

impl Bin {
    fn got(&self) -> Vec<(u128, String)> {
        self.0.got.lock().clone()
    }

    fn texts(&self) -> Vec<String> {
        self.got().into_iter().map(|(_, text)| text).collect()
    }

    async fn has(&self, messages: usize) {
        eventually(&format!("{messages} messages"), || self.got().len() >= messages).await;
    }
}

struct Bench {
    clock: Clock,
    totals: Arc<Totals>,
    bin: Bin,
    queue: Arc<Queue>,
}

impl Bench {
    fn new(limits: Limits) -> Bench {
        Bench::with(limits, None)
    }

    /// The bin answers only when it is let.
    fn held_back(limits: Limits) -> Bench {
        Bench::with(limits, Some(Semaphore::new(0)))
    }

    fn with(limits: Limits, answers: Option<Semaphore>) -> Bench {
        let clock = Clock::held(NOW);
        let state = BinState {
            start: clock.now(),
            clock: clock.clone(),
            got: Mutex::default(),
            refuses: AtomicUsize::new(0),
            answers,
        };
        let bin = Bin(Arc::new(state));
        let totals = Arc::new(Totals::default());
        let queue = start(&bin, limits, &clock, &totals);
        Bench { clock, totals, bin, queue }
    }

    fn push(&self, text: impl std::fmt::Display) {
        self.totals.accepted(1);
        self.queue.push(OWNER, Bytes::from(text.to_string()), &Handle::current());
    }

    fn refuse(&self, messages: usize) {
        self.bin.0.refuses.store(messages, Ordering::SeqCst);
    }

    fn answer(&self, messages: usize) {
        self.bin.0.answers.as_ref().unwrap().add_permits(messages);
    }

    /// Lets time pass from one wait to the next, until something is so.
    async fn pass_until(&self, what: &str, so: impl Fn(&Bench) -> bool) {
        eventually(what, || {
            if !so(self)
                && let Some(next) = self.clock.next_wake()
            {
                self.clock.advance(next);
            }
            so(self)
        })
        .await;
    }

    async fn at_rest(&self) -> OutboxTotals {
        eventually("the queue to be at rest", || {
            let totals = self.totals.read();
            totals.waiting + totals.sending == 0
        })
        .await;
        let totals = self.totals.read();
        assert_eq!(totals.accepted, totals.sent + totals.lost(), "{totals:?}");
        totals
    }
}

fn start(bin: &Bin, limits: Limits, clock: &Clock, totals: &Arc<Totals>) -> Arc<Queue> {
    Queue::start(
        Goods { name: "entries", told_once: false },
        "bin".to_owned(),
        limits,
        Box::new(bin.clone()),
        clock.clone(),
        totals.clone(),
        &Handle::current(),
    )
}

/// Kong's defaults.
fn limits() -> Limits {
    Limits {
        max_batch_size: 1,
        max_coalescing_delay: Duration::from_secs(1),
        max_entries: 10_000,
        max_bytes: None,
        max_retry_time: Some(Duration::from_mins(1)),
        initial_retry_delay: Duration::from_millis(10),
        max_retry_delay: Duration::from_mins(1),
        unlimited: false,
    }
}

#[tokio::test]
async fn single_entries_leave_at_once_and_in_order() {
    let bench = Bench::new(limits());
    for number in 0..100 {
        bench.push(number);
    }
    bench.bin.has(100).await;
    let wanted: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    assert_eq!(bench.bin.texts(), wanted);
    assert_eq!(bench.at_rest().await.sent, 100);
}

#[tokio::test]
async fn a_batch_leaves_when_it_is_full_or_its_first_entry_has_waited() {
    let bench = Bench::new(Limits { max_batch_size: 3, ..limits() });
    bench.push("a");
    eventually("the sender to wait", || bench.clock.next_wake().is_some()).await;
    bench.clock.advance(Duration::from_millis(400));
    bench.push("b");
    bench.clock.advance(Duration::from_millis(599));
    assert_eq!(bench.bin.got(), []);
    bench.clock.advance(Duration::from_millis(1));
    bench.bin.has(1).await;
    assert_eq!(bench.bin.got(), [(1_000, "a b".to_owned())]);
    for text in ["c", "d", "e", "f"] {
        bench.push(text);
    }
    bench.bin.has(2).await;
    assert_eq!(bench.bin.got()[1], (1_000, "c d e".to_owned()));
    bench.pass_until("the rest", |bench| bench.bin.got().len() == 3).await;
    assert_eq!(bench.bin.got()[2], (2_000, "f".to_owned()));
}

#[tokio::test]
async fn entries_that_waited_for_the_sender_do_not_wait_again() {
    let bench = Bench::held_back(Limits { max_batch_size: 5, ..limits() });
    bench.push("a");
    bench.pass_until("the first message", |bench| bench.bin.got().len() == 1).await;
    bench.push("b");
    bench.push("c");
    bench.clock.advance(Duration::from_secs(3));
    bench.answer(1);
    bench.bin.has(2).await;
    assert_eq!(bench.bin.got()[1], (4_000, "b c".to_owned()));
}

#[tokio::test]
async fn retries_double_their_wait_up_to_the_longest() {
    let bench = Bench::new(Limits {
        initial_retry_delay: Duration::from_millis(100),
        max_retry_delay: Duration::from_millis(500),
        ..limits()
    });
    bench.refuse(5);
    bench.push("a");
    bench.pass_until("the retries", |bench| bench.bin.got().len() == 6).await;
    let times: Vec<u128> = bench.bin.got().into_iter().map(|(at, _)| at).collect();
    assert_eq!(times, [0, 100, 300, 700, 1_200, 1_700]);
    let totals = bench.at_rest().await;
    assert_eq!((totals.sent, totals.failed_attempts), (1, 5));
}

#[tokio::test]
async fn a_batch_is_given_up_after_the_first_failure_beyond_its_time() {
    let bench = Bench::new(Limits {
        initial_retry_delay: Duration::from_millis(100),
        max_retry_time: Some(Duration::from_secs(1)),
        ..limits()
    });
    bench.refuse(5);
    bench.push("a");
    bench.pass_until("the retries", |bench| bench.bin.got().len() == 5).await;
    let times: Vec<u128> = bench.bin.got().into_iter().map(|(at, _)| at).collect();
    assert_eq!(times, [0, 100, 300, 700, 1_500]);
    assert_eq!(bench.at_rest().await.lost_given_up, 1);
    bench.push("b");
    bench.bin.has(6).await;
    assert_eq!(bench.at_rest().await.sent, 1);
}

#[tokio::test]
async fn without_retry_time_there_is_one_attempt() {
    let bench = Bench::new(Limits { max_retry_time: None, ..limits() });
    bench.refuse(1);
    bench.push("a");
    bench.push("b");
    bench.bin.has(2).await;
    assert_eq!(bench.bin.texts(), ["a", "b"]);
    let totals = bench.at_rest().await;
    assert_eq!((totals.sent, totals.lost_given_up), (1, 1));
}

#[tokio::test]
async fn a_full_queue_drops_the_oldest_but_not_what_is_under_way() {
    let bench = Bench::held_back(Limits { max_entries: 3, ..limits() });
    bench.push(0);
    bench.bin.has(1).await;
    for number in 1..8 {
        bench.push(number);
    }
    bench.answer(4);
    bench.bin.has(4).await;
    assert_eq!(bench.bin.texts(), ["0", "5", "6", "7"]);
    assert_eq!(bench.at_rest().await.lost_full, 4);
}

#[tokio::test]
async fn bytes_are_bounded_too_also_while_a_batch_is_gathered() {
    let bench = Bench::new(Limits { max_bytes: Some(10), max_batch_size: 5, ..limits() });
    for text in ["aaaa", "bbbb", "cccc", "twelve bytes"] {
        bench.push(text);
    }
    bench.pass_until("the message", |bench| bench.bin.got().len() == 1).await;
    assert_eq!(bench.bin.texts(), ["bbbb cccc"]);
    let totals = bench.at_rest().await;
    assert_eq!((totals.lost_full, totals.lost_too_large), (1, 1));
}

#[tokio::test]
async fn with_unlimited_concurrency_nobody_waits_for_anybody() {
    let bench = Bench::held_back(Limits { unlimited: true, max_entries: 4, ..limits() });
    for number in 0..6 {
        bench.push(number);
    }
    bench.bin.has(4).await;
    bench.answer(4);
    let totals = bench.at_rest().await;
    assert_eq!((totals.sent, totals.lost_full), (4, 2));
    bench.push(6);
    bench.bin.has(5).await;
}

#[tokio::test]
async fn a_closed_queue_sends_what_it_has_at_once_and_ends() {
    let bench = Bench::new(Limits { max_batch_size: 10, ..limits() });
    bench.refuse(2);
    bench.push("a");
    bench.queue.close();
    bench.bin.has(1).await;
    bench.pass_until("the retries", |bench| bench.bin.got().len() == 3).await;
    assert_eq!(bench.at_rest().await.sent, 1);
    let queue = Arc::downgrade(&bench.queue);
    drop(bench);
    eventually("the sender to end", || queue.strong_count() == 0).await;
}

#[tokio::test]
async fn a_hurried_queue_waits_no_longer_between_retries() {
    let bench = Bench::new(Limits { initial_retry_delay: Duration::from_secs(30), ..limits() });
    bench.refuse(3);
    bench.push("a");
    eventually("the long wait", || bench.clock.next_wake() == Some(Duration::from_secs(30))).await;
    bench.queue.hurry();
    bench.bin.has(2).await;
    bench.pass_until("the retries", |bench| bench.bin.got().len() == 4).await;
    let times: Vec<u128> = bench.bin.got().into_iter().map(|(at, _)| at).collect();
    assert_eq!(times, [0, 0, 200, 400]);
}

#[tokio::test]
async fn entries_of_an_owner_move_to_its_new_queue_and_others_stay() {
    let old = Bench::held_back(Limits { initial_retry_delay: Duration::from_secs(1), ..limits() });
    let new = Bench::new(limits());
    // One accounting for both, as in a process.
    let queue = start(&new.bin, limits(), &old.clock, &old.totals);
    let other = Uuid::from_u128(2);
    let push = |owner, text: &'static str| {
        old.totals.accepted(1);
        old.queue.push(owner, Bytes::from(text), &Handle::current());
    };
    old.refuse(1);
    push(OWNER, "a");
    old.bin.has(1).await;
    push(OWNER, "b");
    push(other, "x");
    push(OWNER, "c");
    old.queue.hand_over(OWNER, &queue);
    // A worker that still has the plugin of the previous generation.
    push(OWNER, "d");
    new.bin.has(3).await;
    old.answer(10);
    new.bin.has(4).await;
    old.bin.has(2).await;
    // The message under way failed, and its retry goes where its owner has gone.
    assert_eq!(new.bin.texts(), ["b", "c", "d", "a"]);
    assert_eq!(old.bin.texts(), ["a", "x"]);
    assert_eq!(old.at_rest().await.sent, 5);

    // Back again.
    queue.hand_over(OWNER, &old.queue);
    old.queue.take_back(OWNER);
    push(OWNER, "e");
    old.bin.has(3).await;
    assert_eq!(old.bin.texts()[2], "e");
}
