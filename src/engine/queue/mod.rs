//! The waiting line: bounded by items and bytes; everybody in turn, nobody starved. Pure: time is
//! passed in.

mod turns;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use turns::{Turn, Turns};

use super::{Flow, Priority, Terms};

/// What the line holds at most, and how long one may be overtaken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) items: usize,
    pub(super) bytes: usize,
    pub(super) max_age: Duration,
}

/// An item's number in the order of arrival; its own for life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place(u64);

/// What the line needs to know of an item.
#[derive(Debug)]
pub(super) struct Pass<K> {
    pub(super) key: K,
    pub(super) bytes: usize,
    pub(super) arrived: Instant,
    pub(super) terms: Terms,
    pub(super) chance: Chance,
}

/// How an item that was in a batch that failed is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chance {
    /// It was in none.
    First,
    /// Its batch was too large for the device's memory, so it rides in a smaller one.
    Smaller,
    /// It shares no batch again.
    Alone,
}

impl<K> Pass<K> {
    fn is_alone(&self) -> bool {
        self.chance == Chance::Alone
    }
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

/// The items that would form the next batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outlook {
    /// How many they are.
    pub(super) size: usize,
    /// When the first of them came.
    pub(super) oldest: Instant,
    /// The earliest deadline among them.
    pub(super) deadline: Option<Instant>,
    /// The one whose turn it is must run alone.
    pub(super) alone: bool,
    /// Somebody waits who cannot ride along.
    pub(super) others: bool,
}

#[derive(Debug)]
pub(super) struct Queue<K, T> {
    limits: Limits,
    /// Everybody, by arrival.
    line: BTreeMap<Place, Waiting<K, T>>,
    /// The same, by whose turn it is.
    turns: Turns,
    /// Those with a deadline, by it.
    deadlines: BTreeSet<(Instant, Place)>,
    bytes: usize,
    next: u64,
    /// The next batch is led by the one who has waited longest, if that is `max_age` or longer.
    elder_leads: bool,
}

/// One of the next batch.
#[derive(Debug, Clone, Copy)]
struct Seat {
    place: Place,
    /// The turn it takes; none where age gave the seat.
    turn: Option<Turn>,
}

impl<K: Eq, T> Queue<K, T> {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            line: BTreeMap::new(),
            turns: Turns::default(),
            deadlines: BTreeSet::new(),
            bytes: 0,
            next: 0,
            elder_leads: false,
        }
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
        if self.bytes + bytes > self.limits.bytes {
            return Err(Refusal::Bytes { queued: self.bytes });
        }
        // Last, so that one place more is all that such an item lacks.
        if self.line.len() >= self.limits.items {
            return Err(Refusal::Items { queued: self.line.len() });
        }
        Ok(())
    }

    /// Takes out one who gives way to an item on `terms`, where every place is taken: without this
    /// a few flows that keep the line full would leave no place for the others.
    pub(super) fn take_greediest(&mut self, terms: &Terms) -> Option<Waiting<K, T>> {
        let place = self.turns.gives_way(terms)?;
        self.remove(place)
    }

    /// Those who have their turn before an item that comes at `now` on `terms`, for sure.
    pub(super) fn ahead(&self, terms: &Terms, now: Instant) -> impl Iterator<Item = &Pass<K>> {
        let places = self.turns.ahead(terms, self.due(terms, now));
        places.filter_map(|place| Some(&self.line.get(&place)?.pass))
    }

    /// Lets an admitted item in.
    pub(super) fn push(&mut self, waiting: Waiting<K, T>) -> Place {
        let place = Place(self.next);
        self.next += 1;
        self.put_back(place, waiting);
        place
    }

    /// Returns an item to the line. The limits do not stand in its way: it was let in once.
    pub(super) fn put_back(&mut self, place: Place, waiting: Waiting<K, T>) {
        let terms = waiting.pass.terms;
        self.turns.add(&terms, self.due(&terms, waiting.pass.arrived), place);
        self.deadlines.extend(terms.deadline.map(|deadline| (deadline, place)));
        self.bytes += waiting.pass.bytes;
        self.line.insert(place, waiting);
    }

    /// Takes one item out, if it still waits.
    pub(super) fn remove(&mut self, place: Place) -> Option<Waiting<K, T>> {
        let waiting = self.line.remove(&place)?;
        let terms = waiting.pass.terms;
        self.turns.remove(&terms, self.due(&terms, waiting.pass.arrived), place);
        if let Some(deadline) = terms.deadline {
            self.deadlines.remove(&(deadline, place));
        }
        self.bytes -= waiting.pass.bytes;
        Some(waiting)
    }

    /// Takes out every item whose deadline is `now` or earlier.
    pub(super) fn take_expired(&mut self, now: Instant) -> Vec<Waiting<K, T>> {
        let mut expired = Vec::new();
        while let Some(&(deadline, place)) = self.deadlines.first()
            && deadline <= now
        {
            expired.extend(self.remove(place));
        }
        expired
    }

    /// Takes out those of the next batch's key who would hardly be answered in time if they ran now,
    /// in a batch that runs as long as `run` says of its key: the earliest deadlines first, and only
    /// as many as others of that key fill the batch without them.
    pub(super) fn take_hopeless(
        &mut self,
        most: usize,
        now: Instant,
        run: impl FnOnce(&K) -> Duration,
    ) -> Vec<Waiting<K, T>> {
        let lead = self.choose(1, now).pop().and_then(|seat| self.line.get(&seat.place));
        let Some(Waiting { pass: Pass { key, .. }, .. }) = lead else { return Vec::new() };
        let alike = |place: &Place| self.line.get(place).is_some_and(|next| next.pass.key == *key);
        let near = self.deadlines.range(..(now + run(key), Place(0)));
        let mut hopeless: Vec<Place> = near.map(|(_, place)| *place).filter(alike).collect();
        if !hopeless.is_empty() {
            let alike = self.line.keys().filter(|place| alike(place)).count();
            hopeless.truncate(alike.saturating_sub(most));
        }
        hopeless.into_iter().filter_map(|place| self.remove(place)).collect()
    }

    /// Takes out everything.
    pub(super) fn clear(&mut self) -> Vec<Waiting<K, T>> {
        let line = std::mem::take(&mut self.line);
        let (next, elder_leads) = (self.next, self.elder_leads);
        *self = Self { next, elder_leads, ..Self::new(self.limits) };
        line.into_values().collect()
    }

    /// What a batch of up to `most` items would be; `None` when nobody waits.
    pub(super) fn outlook(&self, most: usize, now: Instant) -> Option<Outlook> {
        let seats = self.choose(most, now);
        let passes = || seats.iter().filter_map(|seat| Some(&self.line.get(&seat.place)?.pass));
        Some(Outlook {
            size: seats.len(),
            oldest: passes().map(|pass| pass.arrived).min()?,
            deadline: passes().filter_map(|pass| pass.terms.deadline).min(),
            alone: passes().any(Pass::is_alone),
            others: self.line.len() > seats.len(),
        })
    }

    /// Takes the next batch of up to `most` items, in the order of their turns.
    pub(super) fn take_batch(&mut self, most: usize, now: Instant) -> Vec<(Place, Waiting<K, T>)> {
        let seats = self.choose(most, now);
        self.elder_leads = !self.elder_leads;
        let mut batch = Vec::with_capacity(seats.len());
        for Seat { place, turn } in seats {
            if let Some(turn) = turn {
                self.turns.had(turn);
            }
            batch.extend(self.remove(place).map(|waiting| (place, waiting)));
        }
        batch
    }

    /// The next batch: the one whose turn it is and those after it that may ride along. While there
    /// are elders, every second seat is theirs, by age.
    fn choose(&self, most: usize, now: Instant) -> Vec<Seat> {
        let old = |waiting: &Waiting<K, T>| waiting.pass.arrived + self.limits.max_age <= now;
        let eldest =
            self.line.iter().next().filter(|(_, waiting)| self.elder_leads && old(waiting));
        let next =
            self.turns.order(|_| true).next().and_then(|turn| self.line.get_key_value(&turn.place));
        let Some((&lead, Waiting { pass: lead_pass, .. })) = eldest.or(next) else {
            return Vec::new();
        };
        let rides = |place: Place| {
            let along = |pass: &Pass<K>| !pass.is_alone() && pass.key == lead_pass.key;
            let other = || self.line.get(&place).is_some_and(|next| along(&next.pass));
            place == lead || (!lead_pass.is_alone() && other())
        };
        let elders = self.line.iter().take_while(|(_, waiting)| old(waiting));
        let elders = elders.map(|(&place, _)| place).filter(|place| rides(*place));
        let mut elders = elders.map(|place| Seat { place, turn: None });
        let turns = self.turns.order(rides);
        let mut turns = turns.map(|turn| Seat { place: turn.place, turn: Some(turn) });
        let mut seats: Vec<Seat> = Vec::new();
        let mut seated = BTreeSet::new();
        let mut elder = self.elder_leads;
        while seats.len() < most {
            let free = |seat: &Seat| !seated.contains(&seat.place);
            let by_age = if elder { elders.find(free) } else { None };
            let Some(seat) = by_age.or_else(|| turns.find(free)) else { break };
            seated.insert(seat.place);
            seats.push(seat);
            elder = !elder;
        }
        seats
    }

    /// When an item is due among those of its flow: at its deadline, or when it is old, if that is
    /// earlier.
    fn due(&self, terms: &Terms, arrived: Instant) -> Instant {
        let latest = arrived + self.limits.max_age;
        terms.deadline.map_or(latest, |deadline| deadline.min(latest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { items: 4, bytes: 100, max_age: Duration::from_secs(2) };
    const WIDE: Limits = Limits { items: 1000, bytes: 100_000, max_age: Duration::from_secs(2) };

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    fn waiting(item: char, key: u8, arrived: Instant, terms: Terms) -> Waiting<u8, char> {
        Waiting { pass: Pass { key, bytes: 10, arrived, terms, chance: Chance::First }, item }
    }

    /// Terms with a deadline so many milliseconds after `from`.
    fn due(from: Instant, deadline_ms: u64) -> Terms {
        Terms::until(Some(from + ms(deadline_ms)))
    }

    fn letters(batch: Vec<(Place, Waiting<u8, char>)>) -> String {
        batch.into_iter().map(|(_, waiting)| waiting.item).collect()
    }

    /// Who comes in which order, in batches of `most`.
    fn order(queue: &mut Queue<u8, char>, most: usize, now: Instant) -> String {
        let mut all = String::new();
        while queue.len() > 0 {
            all += &letters(queue.take_batch(most, now));
        }
        assert!(queue.deadlines.is_empty() && queue.bytes() == 0);
        all
    }

    #[test]
    fn the_earliest_deadline_goes_first_and_equals_keep_their_order() {
        let now = Instant::now();
        let mut queue = Queue::new(LIMITS);
        queue.push(waiting('a', 0, now, due(now, 900)));
        queue.push(waiting('b', 0, now, due(now, 100)));
        queue.push(waiting('c', 0, now, Terms::default()));
        queue.push(waiting('d', 0, now, due(now, 100)));
        assert_eq!(letters(queue.take_batch(3, now)), "bda");
        assert_eq!(order(&mut queue, 3, now), "c");
    }

    #[test]
    fn the_old_have_every_second_seat_whatever_the_others_are() {
        let start = Instant::now();
        let now = start + ms(2000);
        let high = |now: Instant| Terms { priority: Priority::High, ..due(now, 5) };
        let low = Terms { priority: Priority::Low, ..Terms::default() };
        let fill = |queue: &mut Queue<u8, char>| {
            for item in ['a', 'b', 'c'] {
                queue.push(waiting(item, 0, start, low));
            }
            queue.push(waiting('y', 0, start + ms(1), low));
            for _ in 0..9 {
                queue.push(waiting('h', 0, now, high(now)));
            }
        };
        let mut queue = Queue::new(WIDE);
        fill(&mut queue);
        assert_eq!(order(&mut queue, 1, now), "hahbhchhhhhhy");
        fill(&mut queue);
        assert_eq!(letters(queue.take_batch(4, now)), "ahbh");
        assert_eq!(letters(queue.take_batch(4, now)), "hchh");
        // One that grew old meanwhile.
        assert_eq!(letters(queue.take_batch(4, now + ms(1))), "yhhh");
    }

    #[test]
    fn where_every_place_is_taken_the_greediest_flow_gives_way_to_one_with_fewer() {
        let now = Instant::now();
        let on = |priority, flow| Terms { priority, flow: Flow(flow), deadline: None };
        let (low, normal, high) = (Priority::Low, Priority::Normal, Priority::High);
        let check = |line: &[(char, Terms)], newcomer: Terms, expected: Option<char>| {
            let mut queue = Queue::new(LIMITS);
            for (item, terms) in line {
                queue.push(waiting(*item, 0, now, *terms));
            }
            let gone = queue.take_greediest(&newcomer).map(|waiting| waiting.item);
            assert_eq!(gone, expected, "{line:?} {newcomer:?}");
        };
        let flood = ['a', 'b', 'c'].map(|item| (item, on(normal, 1)));
        check(&flood, on(normal, 2), Some('c'));
        check(&flood, on(high, 2), Some('c'));
        check(&flood, on(low, 2), None);
        check(&flood, on(normal, 1), None);
        let shared = [('a', on(normal, 1)), ('b', on(normal, 2)), ('c', on(normal, 1))];
        check(&shared, on(normal, 3), Some('c'));
        // One more would only turn the tables.
        check(&shared, on(normal, 2), None);
        let mixed = [('a', on(low, 1)), ('b', on(normal, 2)), ('c', on(normal, 2))];
        check(&mixed, on(normal, 3), Some('a'));
        check(&[], on(normal, 3), None);
    }

    #[test]
    fn the_line_is_bounded_by_items_and_by_bytes() {
        let now = Instant::now();
        let mut queue = Queue::new(LIMITS);
        assert_eq!(queue.admits(101), Err(Refusal::TooLarge));
        for item in ['a', 'b', 'c'] {
            queue.push(waiting(item, 0, now, Terms::default()));
        }
        assert_eq!(queue.admits(70), Ok(()));
        assert_eq!(queue.admits(71), Err(Refusal::Bytes { queued: 30 }));
        let place = queue.push(waiting('d', 0, now, Terms::default()));
        assert_eq!(queue.admits(1), Err(Refusal::Items { queued: 4 }));
        assert_eq!(queue.remove(place).unwrap().item, 'd');
        assert!(queue.remove(place).is_none());
        assert_eq!(queue.admits(1), Ok(()));
    }

    #[test]
    fn only_the_expired_are_taken_out() {
        let now = Instant::now();
        let mut queue = Queue::new(LIMITS);
        queue.push(waiting('a', 0, now, due(now, 10)));
        queue.push(waiting('b', 0, now, due(now, 5000)));
        queue.push(waiting('c', 0, now, Terms::default()));
        queue.push(waiting('d', 0, now, Terms { flow: Flow(1), ..due(now, 3000) }));
        let later = now + Duration::from_secs(3);
        let expired: Vec<char> = queue.take_expired(later).into_iter().map(|w| w.item).collect();
        assert_eq!(expired, ['a', 'd']);
        assert_eq!(order(&mut queue, 9, now), "bc");
    }

    #[test]
    fn who_would_be_late_makes_room_for_those_who_would_not() {
        let now = Instant::now();
        let run = |key: &u8| if *key == 0 { ms(100) } else { ms(900) };
        let mut queue = Queue::new(LIMITS);
        queue.push(waiting('a', 0, now, due(now, 90)));
        queue.push(waiting('b', 0, now, due(now, 99)));
        queue.push(waiting('c', 0, now, due(now, 100)));
        queue.push(waiting('d', 1, now, due(now, 500)));
        let hopeless = |queue: &mut Queue<u8, char>, most| {
            let taken = queue.take_hopeless(most, now, run);
            taken.into_iter().map(|waiting| waiting.item).collect::<String>()
        };
        assert_eq!(hopeless(&mut queue, 3), "", "nobody could take their seats");
        assert_eq!(hopeless(&mut queue, 2), "a");
        assert_eq!(hopeless(&mut queue, 1), "b");
        assert_eq!(hopeless(&mut queue, 1), "");
        assert_eq!(order(&mut queue, 2, now), "cd");
    }

    #[test]
    fn a_batch_holds_one_key_and_an_item_that_must_run_alone_does() {
        let now = Instant::now();
        let mut queue = Queue::new(LIMITS);
        queue.push(waiting('a', 1, now, due(now, 50)));
        queue.push(waiting('b', 2, now, due(now, 60)));
        queue.push(waiting('c', 1, now + ms(3), Terms::default()));
        let outlook = queue.outlook(8, now).unwrap();
        assert_eq!((outlook.size, outlook.others, outlook.alone), (2, true, false));
        assert_eq!((outlook.oldest, outlook.deadline), (now, Some(now + ms(50))));
        let mut batch = queue.take_batch(8, now);
        assert_eq!(batch.len(), 2);
        let (place, mut again) = batch.remove(0);
        again.pass.chance = Chance::Alone;
        queue.put_back(place, again);
        assert!(queue.outlook(8, now).unwrap().alone);
        assert_eq!(letters(queue.take_batch(8, now)), "a");
        assert_eq!(letters(queue.take_batch(8, now)), "b");
        assert_eq!(queue.outlook(8, now), None);
    }

    #[test]
    fn clearing_frees_everything() {
        let now = Instant::now();
        let mut queue = Queue::new(LIMITS);
        queue.push(waiting('a', 1, now, due(now, 9)));
        assert_eq!(queue.clear().len(), 1);
        assert_eq!((queue.len(), queue.bytes()), (0, 0));
        assert_eq!(order(&mut queue, 1, now), "");
    }
}
