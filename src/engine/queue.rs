//! The waiting line: bounded by items and bytes, earliest deadline first, nobody starved. Pure:
//! time is passed in.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What the line holds at most, and how long one may be overtaken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) items: usize,
    pub(super) bytes: usize,
    pub(super) max_age: Duration,
}

/// Where an item stands in the line; the smallest is next. Stays the item's own for life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// The deadline, or the end of the time during which others may overtake, if that is earlier.
    due: Instant,
    /// Among equals, first come, first served.
    sequence: u64,
}

/// What the line needs to know of an item.
#[derive(Debug)]
pub(super) struct Pass<K> {
    pub(super) key: K,
    pub(super) bytes: usize,
    pub(super) arrived: Instant,
    pub(super) deadline: Option<Instant>,
    /// Was in a batch that failed as a whole, so it shares none again.
    pub(super) alone: bool,
}

/// One waiting item.
#[derive(Debug)]
pub(super) struct Waiting<K, T> {
    pub(super) pass: Pass<K>,
    pub(super) item: T,
}

/// Why an item was not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Every place is taken.
    Items { queued: usize },
    /// The item does not fit beside what waits.
    Bytes { queued: usize },
    /// The item would not even fit an empty queue.
    TooLarge,
}

/// The items that would form the next batch, seen from the head of the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outlook {
    /// How many could ride together; not capped by the batch limit.
    pub(super) size: usize,
    /// When the first of them came.
    pub(super) oldest: Instant,
    /// The earliest deadline among them.
    pub(super) deadline: Option<Instant>,
    /// The head of the line must run alone.
    pub(super) alone: bool,
    /// Somebody waits who cannot ride along.
    pub(super) others: bool,
}

#[derive(Debug)]
pub(super) struct Queue<K, T> {
    limits: Limits,
    line: BTreeMap<Place, Waiting<K, T>>,
    bytes: usize,
    next_sequence: u64,
}

impl<K: Eq, T> Queue<K, T> {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, line: BTreeMap::new(), bytes: 0, next_sequence: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.line.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether an item of this size may come in.
    pub(super) fn admits(&self, bytes: usize) -> Result<(), Refusal> {
        if bytes > self.limits.bytes {
            return Err(Refusal::TooLarge);
        }
        if self.line.len() >= self.limits.items {
            return Err(Refusal::Items { queued: self.line.len() });
        }
        if self.bytes + bytes > self.limits.bytes {
            return Err(Refusal::Bytes { queued: self.bytes });
        }
        Ok(())
    }

    /// Lets an admitted item in.
    pub(super) fn push(&mut self, waiting: Waiting<K, T>) -> Place {
        let latest = waiting.pass.arrived + self.limits.max_age;
        let due = waiting.pass.deadline.map_or(latest, |deadline| deadline.min(latest));
        let place = Place { due, sequence: self.next_sequence };
        self.next_sequence += 1;
        self.put_back(place, waiting);
        place
    }

    /// Returns an item to its old place. The limits do not stand in its way: it was let in once.
    pub(super) fn put_back(&mut self, place: Place, waiting: Waiting<K, T>) {
        self.bytes += waiting.pass.bytes;
        self.line.insert(place, waiting);
    }

    /// Takes one item out, if it still waits.
    pub(super) fn remove(&mut self, place: Place) -> Option<Waiting<K, T>> {
        let waiting = self.line.remove(&place)?;
        self.bytes -= waiting.pass.bytes;
        Some(waiting)
    }

    /// Takes out every item whose deadline is `now` or earlier.
    pub(super) fn take_expired(&mut self, now: Instant) -> Vec<Waiting<K, T>> {
        // No item's place is later than its deadline, so the expired stand before all others but
        // those that are merely old.
        let expired: Vec<Place> = self
            .line
            .iter()
            .take_while(|(place, _)| place.due <= now)
            .filter(|(_, waiting)| waiting.pass.deadline.is_some_and(|deadline| deadline <= now))
            .map(|(place, _)| *place)
            .collect();
        expired.into_iter().filter_map(|place| self.remove(place)).collect()
    }

    /// Takes out everything.
    pub(super) fn clear(&mut self) -> Vec<Waiting<K, T>> {
        self.bytes = 0;
        std::mem::take(&mut self.line).into_values().collect()
    }

    /// What the head of the line could run with; `None` when nobody waits.
    pub(super) fn outlook(&self) -> Option<Outlook> {
        let head = self.line.values().next()?;
        let mut outlook = Outlook {
            size: 0,
            oldest: head.pass.arrived,
            deadline: None,
            alone: head.pass.alone,
            others: false,
        };
        if head.pass.alone {
            outlook.others = self.line.len() > 1;
            return Some(Outlook { size: 1, deadline: head.pass.deadline, ..outlook });
        }
        for waiting in self.line.values() {
            if waiting.pass.alone || waiting.pass.key != head.pass.key {
                outlook.others = true;
                continue;
            }
            outlook.size += 1;
            outlook.oldest = outlook.oldest.min(waiting.pass.arrived);
            outlook.deadline = outlook.deadline.into_iter().chain(waiting.pass.deadline).min();
        }
        Some(outlook)
    }

    /// Takes the next batch: the head of the line and, in line order, up to `most - 1` that may
    /// ride along.
    pub(super) fn take_batch(&mut self, most: usize) -> Vec<(Place, Waiting<K, T>)> {
        let Some(head) = self.line.values().next() else { return Vec::new() };
        let most = if head.pass.alone { 1 } else { most };
        let places: Vec<Place> = self
            .line
            .iter()
            .filter(|(_, waiting)| {
                waiting.pass.alone == head.pass.alone && waiting.pass.key == head.pass.key
            })
            .map(|(place, _)| *place)
            .take(most)
            .collect();
        places
            .into_iter()
            .filter_map(|place| self.remove(place).map(|waiting| (place, waiting)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { items: 4, bytes: 100, max_age: Duration::from_secs(2) };

    fn waiting(
        item: char,
        key: u8,
        arrived: Instant,
        deadline_ms: Option<u64>,
    ) -> Waiting<u8, char> {
        let deadline = deadline_ms.map(|ms| arrived + Duration::from_millis(ms));
        Waiting { pass: Pass { key, bytes: 10, arrived, deadline, alone: false }, item }
    }

    fn letters(batch: Vec<(Place, Waiting<u8, char>)>) -> String {
        batch.into_iter().map(|(_, waiting)| waiting.item).collect()
    }

    #[test]
    fn the_earliest_deadline_goes_first_and_equals_keep_their_order() {
        let now = Instant::now();
        let mut queue = Queue::new(LIMITS);
        queue.push(waiting('a', 0, now, Some(900)));
        queue.push(waiting('b', 0, now, Some(100)));
        queue.push(waiting('c', 0, now, None));
        queue.push(waiting('d', 0, now, Some(100)));
        assert_eq!(letters(queue.take_batch(3)), "bda");
        assert_eq!(letters(queue.take_batch(3)), "c");
        assert_eq!((queue.len(), queue.bytes()), (0, 0));
    }

    #[test]
    fn nobody_is_overtaken_for_longer_than_the_starvation_bound() {
        let start = Instant::now();
        let mut queue = Queue::new(LIMITS);
        queue.push(waiting('a', 0, start, None));
        // Urgent, but it came more than two seconds later.
        queue.push(waiting('b', 0, start + Duration::from_millis(2001), Some(1)));
        // Urgent, and in time to overtake.
        queue.push(waiting('c', 0, start + Duration::from_millis(1500), Some(400)));
        assert_eq!(letters(queue.take_batch(3)), "cab");
    }

    #[test]
    fn the_line_is_bounded_by_items_and_by_bytes() {
        let now = Instant::now();
        let mut queue = Queue::new(LIMITS);
        assert_eq!(queue.admits(101), Err(Refusal::TooLarge));
        for item in ['a', 'b', 'c'] {
            queue.push(waiting(item, 0, now, None));
        }
        assert_eq!(queue.admits(70), Ok(()));
        assert_eq!(queue.admits(71), Err(Refusal::Bytes { queued: 30 }));
        let place = queue.push(waiting('d', 0, now, None));
        assert_eq!(queue.admits(1), Err(Refusal::Items { queued: 4 }));
        assert_eq!(queue.remove(place).unwrap().item, 'd');
        assert!(queue.remove(place).is_none());
        assert_eq!(queue.admits(1), Ok(()));
    }

    #[test]
    fn only_the_expired_are_taken_out() {
        let now = Instant::now();
        let mut queue = Queue::new(LIMITS);
        queue.push(waiting('a', 0, now, Some(10)));
        queue.push(waiting('b', 0, now, Some(5000)));
        queue.push(waiting('c', 0, now, None));
        let later = now + Duration::from_secs(3);
        let expired: Vec<char> = queue.take_expired(later).into_iter().map(|w| w.item).collect();
        assert_eq!(expired, ['a']);
        assert_eq!(letters(queue.take_batch(9)), "bc");
    }

    #[test]
    fn a_batch_holds_one_key_and_an_item_that_must_run_alone_does() {
        let now = Instant::now();
        let mut queue = Queue::new(LIMITS);
        queue.push(waiting('a', 1, now, Some(50)));
        queue.push(waiting('b', 2, now, Some(60)));
        queue.push(waiting('c', 1, now + Duration::from_millis(3), None));
        let outlook = queue.outlook().unwrap();
        assert_eq!((outlook.size, outlook.others, outlook.alone), (2, true, false));
        assert_eq!(outlook.deadline, Some(now + Duration::from_millis(50)));
        let mut batch = queue.take_batch(8);
        assert_eq!(batch.len(), 2);
        let (place, mut again) = batch.remove(0);
        again.pass.alone = true;
        queue.put_back(place, again);
        assert!(queue.outlook().unwrap().alone);
        assert_eq!(letters(queue.take_batch(8)), "a");
        assert_eq!(letters(queue.take_batch(8)), "b");
        assert_eq!(queue.outlook(), None);
    }

    #[test]
    fn clearing_frees_everything() {
        let mut queue = Queue::new(LIMITS);
        queue.push(waiting('a', 1, Instant::now(), None));
        assert_eq!(queue.clear().len(), 1);
        assert_eq!((queue.len(), queue.bytes()), (0, 0));
    }
}
