//! Work on a sequence by several threads, whose results are taken in order.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::{WorkError, on_threads};

/// Work on the items of a sequence by several threads, whose results are taken one by one, in the order of
/// the items, with bounded memory.
///
/// No thread is set apart: whichever is free takes the next result if that is ready, else begins the next
/// item. So the path of an item has no hand-over but the one from who worked on it to who takes it, and
/// with one thread none.
///
/// ```
/// use slaf::parallel::{OrderedWork, WorkerFault};
///
/// let mut squares = Vec::new();
/// let items = (0..10u64).map(Ok::<_, WorkerFault>);
/// OrderedWork::new("squares", 4).run(
///     items,
///     |item| Ok(item * item),
///     |square| {
///         squares.push(square);
///         Ok(())
///     },
/// )?;
/// assert_eq!(squares[..4], [0, 1, 4, 9]);
/// # Ok::<(), WorkerFault>(())
/// ```
#[derive(Debug, Clone)]
pub struct OrderedWork {
    name: &'static str,
    threads: usize,
    window: usize,
}

impl OrderedWork {
    /// Work on this many threads, of which the caller's is one; `name` is what the others are called. At
    /// most two items for each thread are in memory: one that is worked on, and one that waits.
    #[must_use]
    pub fn new(name: &'static str, threads: usize) -> Self {
        let threads = threads.max(1);
        OrderedWork {
            name,
            threads,
            window: threads.saturating_mul(2),
        }
    }

    /// Sets how many items, at least one, may be in memory at the same time: begun, and their results not
    /// taken to the end. Results that take no memory need no bound; one that is smaller than the number
    /// of threads leaves some of these idle.
    #[must_use]
    pub fn window(mut self, items: usize) -> Self {
        self.window = items.max(1);
        self
    }

    /// Passes each item to `work` on any thread, and the results to `take` in the order of the items.
    /// Items are drawn one at a time; so `items` should do no more than say what is to be done.
    ///
    /// # Errors
    /// The failure of the first item in order that cannot be drawn, worked on or taken, whichever thread
    /// was faster: what comes before it was taken, what comes after it is not, and is not begun once the
    /// failure is known. A [`WorkerFault`](super::WorkerFault) if a thread panicked, which ends the work at once, or could
    /// not be started.
    pub fn run<I, R, E>(
        &self,
        items: impl Iterator<Item = Result<I, E>> + Send,
        work: impl Fn(I) -> Result<R, E> + Sync,
        take: impl FnMut(R) -> Result<(), E> + Send,
    ) -> Result<(), E>
    where
        R: Send,
        E: WorkError,
    {
        let steps = Steps {
            work,
            place: Ok,
            finish: Ok,
            take,
        };
        self.run_steps(items, steps)
    }

    /// Takes each item through all steps. Whoever has placed an item goes on to finish it.
    ///
    /// # Errors
    /// As those of [`OrderedWork::run`].
    pub fn run_steps<I, R, S, D, E>(
        &self,
        items: impl Iterator<Item = Result<I, E>> + Send,
        steps: Steps<
            impl Fn(I) -> Result<R, E> + Sync,
            impl FnMut(R) -> Result<S, E> + Send,
            impl Fn(S) -> Result<D, E> + Sync,
            impl FnMut(D) -> Result<(), E> + Send,
        >,
    ) -> Result<(), E>
    where
        R: Send,
        D: Send,
        E: WorkError,
    {
        let Steps {
            work,
            place,
            finish,
            take,
        } = steps;
        let shared = Shared {
            state: Mutex::new(State {
                items: Some(items),
                ended: false,
                begun: 0,
                placing: Stage::new(place),
                taking: Stage::new(take),
                failure: None,
            }),
            changed: Condvar::new(),
            window: self.window as u64,
        };
        on_threads(
            self.threads,
            self.name,
            || shared.serve(&work, &finish),
            |fault| shared.update(|state| state.fail(E::of_fault(fault))),
        );
        let state = shared.state.into_inner();
        match state.unwrap_or_else(PoisonError::into_inner).failure {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }
}

/// The steps of an item, two of which are taken in order.
#[derive(Debug)]
pub struct Steps<W, P, F, T> {
    /// On any thread.
    pub work: W,
    /// In order, one at a time: what must be known of all items before, such as where the item comes to
    /// lie. It holds up all others, so it should be quick.
    pub place: P,
    /// On any thread.
    pub finish: F,
    /// In order, one at a time.
    pub take: T,
}

/// What is done in order, one at a time.
struct Stage<F, R> {
    /// `None` while a thread does it.
    step: Option<F>,
    /// Items of which it is done.
    done: u64,
    /// What waits for it, by the number of the item.
    ready: BTreeMap<u64, R>,
}

impl<F, R> Stage<F, R> {
    fn new(step: F) -> Self {
        Stage {
            step: Some(step),
            done: 0,
            ready: BTreeMap::new(),
        }
    }

    /// The next of those that wait, if it is its turn and no thread is at it.
    fn next(&mut self) -> Option<(F, R)> {
        self.step.as_ref()?;
        let ready = self.ready.remove(&self.done)?;
        Some((self.step.take()?, ready))
    }

    fn done(&mut self, step: F) {
        self.step = Some(step);
        self.done += 1;
    }
}

/// What all threads share.
struct Shared<N, P, T, R, D, E> {
    state: Mutex<State<N, P, T, R, D, E>>,
    changed: Condvar,
    window: u64,
}

struct State<N, P, T, R, D, E> {
    /// `None` while a thread draws the next item.
    items: Option<N>,
    /// Whether no more items are begun: there are none, or one has failed.
    ended: bool,
    /// Items drawn. Those that are not taken yet are in memory.
    begun: u64,
    placing: Stage<P, Result<R, E>>,
    taking: Stage<T, Result<D, E>>,
    failure: Option<E>,
}

enum Task<N, P, T, R, D, E> {
    Take { take: T, done: Result<D, E> },
    Place { place: P, result: Result<R, E> },
    Begin { items: N, number: u64 },
}

impl<N, P, T, R, D, E> State<N, P, T, R, D, E> {
    fn is_done(&self) -> bool {
        self.failure.is_some() || (self.ended && self.taking.done == self.begun)
    }

    /// What can be done now. To take a result has precedence, because that frees memory, and then what
    /// others wait for.
    fn task(&mut self, window: u64) -> Option<Task<N, P, T, R, D, E>> {
        if let Some((take, done)) = self.taking.next() {
            return Some(Task::Take { take, done });
        }
        if let Some((place, result)) = self.placing.next() {
            return Some(Task::Place { place, result });
        }
        if !self.ended
            && self.begun - self.taking.done < window
            && let Some(items) = self.items.take()
        {
            let number = self.begun;
            self.begun += 1;
            return Some(Task::Begin { items, number });
        }
        None
    }

    /// The first failure is kept.
    fn fail(&mut self, failure: E) {
        self.failure.get_or_insert(failure);
    }
}

impl<I, N, P, T, R, S, D, E> Shared<N, P, T, R, D, E>
where
    N: Iterator<Item = Result<I, E>>,
    P: FnMut(R) -> Result<S, E>,
    T: FnMut(D) -> Result<(), E>,
{
    fn lock(&self) -> MutexGuard<'_, State<N, P, T, R, D, E>> {
        // No code of others runs while it is held, so that it is whole at any time.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update(&self, change: impl FnOnce(&mut State<N, P, T, R, D, E>)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    /// Waits for a task; `None` when all is done or something failed.
    fn next(&self) -> Option<Task<N, P, T, R, D, E>> {
        let mut state = self.lock();
        loop {
            if state.is_done() {
                return None;
            }
            if let Some(task) = state.task(self.window) {
                return Some(task);
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// What one thread does.
    fn serve(&self, work: &impl Fn(I) -> Result<R, E>, finish: &impl Fn(S) -> Result<D, E>) {
        while let Some(task) = self.next() {
            match task {
                Task::Take { mut take, done } => match done.and_then(&mut take) {
                    Ok(()) => self.update(|state| state.taking.done(take)),
                    Err(failure) => self.update(|state| state.fail(failure)),
                },
                Task::Place { mut place, result } => {
                    let placed = result.and_then(&mut place);
                    let mut number = 0;
                    self.update(|state| {
                        number = state.placing.done;
                        // After one that failed, none is placed.
                        match &placed {
                            Ok(_) => state.placing.done(place),
                            Err(_) => state.ended = true,
                        }
                    });
                    let done = placed.and_then(finish);
                    self.update(|state| {
                        state.ended |= done.is_err();
                        state.taking.ready.insert(number, done);
                    });
                }
                Task::Begin { mut items, number } => {
                    let drawn = items.next();
                    let goes_on = matches!(drawn, Some(Ok(_)));
                    self.update(|state| {
                        state.items = Some(items);
                        state.ended |= !goes_on;
                        // Nothing was drawn.
                        state.begun -= u64::from(drawn.is_none());
                    });
                    let Some(drawn) = drawn else { continue };
                    let result = drawn.and_then(work);
                    self.update(|state| {
                        state.ended |= result.is_err();
                        state.placing.ready.insert(number, result);
                    });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use proptest::prelude::*;

    use super::super::WorkerFault;
    use super::*;

    #[derive(Debug, PartialEq, Eq)]
    enum Failure {
        At(Step, usize),
        Died,
        NotStarted,
    }

    impl WorkError for Failure {
        fn of_fault(fault: WorkerFault) -> Self {
            match fault {
                WorkerFault::Died => Failure::Died,
                WorkerFault::Start { .. } => Failure::NotStarted,
            }
        }
    }

    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    enum Step {
        Draw,
        Work,
        Place,
        Finish,
        Take,
    }

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum How {
        Fails,
        Panics,
    }

    #[derive(Debug, Clone)]
    struct Case {
        items: usize,
        threads: usize,
        window: usize,
        in_steps: bool,
        /// Where something goes wrong.
        wrong: Vec<(usize, Step, How)>,
    }

    struct Seen {
        result: Result<(), Failure>,
        taken: Vec<usize>,
        drawn: usize,
        most_in_memory: usize,
    }

    fn run(case: &Case) -> Seen {
        let wrong = |step, item| -> Result<usize, Failure> {
            let found = case
                .wrong
                .iter()
                .find(|wrong| (wrong.0, wrong.1) == (item, step));
            match found.map(|wrong| wrong.2) {
                None => Ok(item),
                Some(How::Fails) => Err(Failure::At(step, item)),
                Some(How::Panics) => panic!("on purpose"),
            }
        };
        let (drawn, in_memory) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let (most, taking) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let (mut taken, mut placed) = (Vec::new(), 0);
        let items = (0..case.items).map(|item| {
            drawn.fetch_add(1, SeqCst);
            most.fetch_max(in_memory.fetch_add(1, SeqCst) + 1, SeqCst);
            wrong(Step::Draw, item)
        });
        let work = |item: usize| {
            // Later items overtake earlier ones.
            (0..(item * 7) % 5).for_each(|_| std::thread::yield_now());
            wrong(Step::Work, item)
        };
        let take = |item| {
            assert_eq!(taking.fetch_add(1, SeqCst), 0, "two are taken at once");
            let item = wrong(Step::Take, item)?;
            taken.push(item);
            taking.fetch_sub(1, SeqCst);
            in_memory.fetch_sub(1, SeqCst);
            Ok(())
        };
        let ordered = OrderedWork::new("test", case.threads).window(case.window);
        let result = if case.in_steps {
            let steps = Steps {
                work,
                place: |item| {
                    assert_eq!(item, placed, "out of order");
                    placed += 1;
                    wrong(Step::Place, item)
                },
                finish: |item| {
                    (0..(item * 3) % 4).for_each(|_| std::thread::yield_now());
                    wrong(Step::Finish, item)
                },
                take,
            };
            ordered.run_steps(items, steps)
        } else {
            ordered.run(items, work, take)
        };
        Seen {
            result,
            taken,
            drawn: drawn.into_inner(),
            most_in_memory: most.into_inner(),
        }
    }

    fn cases(how: &'static [How]) -> impl Strategy<Value = Case> {
        use Step::{Draw, Finish, Place, Take, Work};
        let step = prop::sample::select(vec![Draw, Work, Place, Finish, Take]);
        let wrong = (0..60usize, step, prop::sample::select(how));
        let wrong = prop::collection::vec(wrong, 0..4);
        let sizes = (0..60usize, 0..6usize, 0..9usize);
        (sizes, any::<bool>(), wrong).prop_map(|(sizes, in_steps, mut wrong)| {
            if !in_steps {
                wrong.retain(|wrong| !matches!(wrong.1, Place | Finish));
            }
            let (items, threads, window) = sizes;
            Case {
                items,
                threads,
                window,
                in_steps,
                wrong,
            }
        })
    }

    proptest! {
        #[test]
        fn results_are_taken_in_order_up_to_the_first_failure(case in cases(&[How::Fails])) {
            let seen = run(&case);
            let first = case.wrong.iter().filter(|wrong| wrong.0 < case.items);
            let first = first.map(|&(item, step, _)| (item, step)).min();
            let end = first.map_or(case.items, |first| first.0);
            prop_assert_eq!(&seen.taken, &(0..end).collect::<Vec<_>>());
            let wanted = first.map_or(Ok(()), |(item, step)| Err(Failure::At(step, item)));
            prop_assert_eq!(seen.result, wanted);
            let window = case.window.max(1);
            prop_assert!(seen.most_in_memory <= window);
            // Not more is begun than what was in memory when it failed.
            prop_assert!(seen.drawn <= (end + window).min(case.items));
        }

        #[test]
        fn a_panic_ends_the_work_and_is_told(case in cases(&[How::Fails, How::Panics])) {
            let seen = run(&case);
            prop_assert!(seen.most_in_memory <= case.window.max(1));
            let in_order = seen.taken.iter().copied().eq(0..seen.taken.len());
            prop_assert!(in_order);
            match seen.result {
                Ok(()) => prop_assert_eq!(seen.taken.len(), case.items),
                Err(Failure::Died) => {
                    let panics = case.wrong.iter().any(|wrong| wrong.2 == How::Panics);
                    prop_assert!(panics && seen.taken.len() < case.items);
                }
                Err(Failure::At(step, item)) => {
                    prop_assert!(case.wrong.contains(&(item, step, How::Fails)));
                    prop_assert_eq!(seen.taken.len(), item);
                }
                Err(Failure::NotStarted) => prop_assert!(false, "threads were not started"),
            }
        }
    }

    #[test]
    fn all_threads_work_at_the_same_time() {
        // None comes to an end before all have begun.
        let all = Barrier::new(4);
        let items = (0..4).map(Ok::<i32, Failure>);
        let work = |item| {
            all.wait();
            Ok(item)
        };
        let mut sum = 0;
        let take = |item| {
            sum += item;
            Ok(())
        };
        let run = OrderedWork::new("test", 4).window(4).run(items, work, take);
        assert_eq!((run, sum), (Ok(()), 6));
    }

    #[test]
    fn a_sequence_without_end_can_be_left() {
        let mut left = 100;
        let run = OrderedWork::new("test", 3).run((0..).map(Ok), Ok, |item: u64| {
            left -= 1;
            if left == 0 {
                return Err(Failure::At(Step::Take, item as usize));
            }
            Ok(())
        });
        assert_eq!(run, Err(Failure::At(Step::Take, 99)));
    }
}
