//! Whose turn it is: the urgent before the others, flows of one priority one after the other, the
//! earliest due first within a flow. Pure.
//!
//! Turns are counted in rounds. In each round every flow that waits has one turn, and those of one
//! round go by when they are due. A flow that comes anew joins the round after the present one: a
//! flood holds up a newcomer by two turns at most, and newcomers cannot hold up a flow that waits.
//! A flow is known only while it has somebody waiting.

use std::collections::{BTreeMap, BTreeSet, btree_set};
use std::time::Instant;

use super::{Flow, Place, Priority, Terms};

/// Somebody's turn; the smallest is next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Turn {
    priority: Priority,
    round: u64,
    due: Instant,
    pub(super) place: Place,
    flow: Flow,
}

/// Who waits, by account.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// None is empty.
    accounts: BTreeMap<Account, Share>,
    /// Every account's round.
    rounds: BTreeSet<(Priority, u64, Flow)>,
}

/// A flow's items of one priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Account {
    priority: Priority,
    flow: Flow,
}

/// What an account has in the line.
#[derive(Debug)]
struct Share {
    /// The round of its next turn.
    round: u64,
    /// Who waits, by when each is due.
    order: BTreeSet<(Instant, Place)>,
}

impl Turns {
    /// Somebody waits from now on.
    pub(super) fn add(&mut self, terms: &Terms, due: Instant, place: Place) {
        let account = Account::of(terms);
        let joining = self.joining(account.priority);
        let share = self.accounts.entry(account).or_insert_with(|| {
            self.rounds.insert((account.priority, joining, account.flow));
            Share { round: joining, order: BTreeSet::new() }
        });
        share.order.insert((due, place));
    }

    /// Somebody waits no longer.
    pub(super) fn remove(&mut self, terms: &Terms, due: Instant, place: Place) {
        let account = Account::of(terms);
        let Some(share) = self.accounts.get_mut(&account) else { return };
        share.order.remove(&(due, place));
        if share.order.is_empty() {
            self.rounds.remove(&(account.priority, share.round, account.flow));
            self.accounts.remove(&account);
        }
    }

    /// Moves the account of one whose turn it was on to the next round; before its removal.
    pub(super) fn had(&mut self, turn: Turn) {
        let Turn { priority, flow, .. } = turn;
        let Some(share) = self.accounts.get_mut(&Account { priority, flow }) else { return };
        self.rounds.remove(&(priority, share.round, flow));
        share.round = turn.round + 1;
        self.rounds.insert((priority, share.round, flow));
    }

    /// Those who ride, in the order of their turns.
    pub(super) fn order(&self, rides: impl Fn(Place) -> bool) -> impl Iterator<Item = Turn> {
        let next = move |order: &mut btree_set::Iter<'_, (Instant, Place)>| {
            order.find(|(_, place)| rides(*place)).copied()
        };
        let mut heads = BTreeMap::new();
        for (&Account { priority, flow }, share) in &self.accounts {
            let mut order = share.order.iter();
            if let Some((due, place)) = next(&mut order) {
                heads.insert(Turn { priority, round: share.round, due, place, flow }, order);
            }
        }
        std::iter::from_fn(move || {
            let (turn, mut order) = heads.pop_first()?;
            if let Some((due, place)) = next(&mut order) {
                heads.insert(Turn { round: turn.round + 1, due, place, ..turn }, order);
            }
            Some(turn)
        })
    }

    /// Those who have their turn before somebody who would come now, for sure.
    pub(super) fn ahead(&self, terms: &Terms, due: Instant) -> impl Iterator<Item = Place> {
        let account = Account::of(terms);
        let share = self.accounts.get(&account);
        let own = move |share: &Share| share.order.range(..=(due, Place(u64::MAX))).count();
        let own = share.map_or(0, own);
        let first = share.map_or_else(|| self.joining(account.priority), |share| share.round);
        let round = first + own as u64;
        let before = self.accounts.iter().take_while(move |(a, _)| a.priority <= account.priority);
        before.flat_map(move |(other, share)| {
            let turns = if *other == account {
                own
            } else if other.priority < account.priority {
                usize::MAX
            } else {
                round.saturating_sub(share.round) as usize
            };
            share.order.iter().take(turns).map(|(_, place)| *place)
        })
    }

    /// Who gives way to somebody of `terms` where there is no place: the last of the account that
    /// holds most, if it is less urgent, or as urgent and would still hold no fewer than the newcomer.
    pub(super) fn gives_way(&self, terms: &Terms) -> Option<Place> {
        let newcomer = Account::of(terms);
        let own = self.accounts.get(&newcomer).map_or(0, |share| share.order.len());
        let held = self.accounts.iter().map(|(account, share)| (account, share.order.len()));
        let (most, held) = held.max_by_key(|(account, held)| (account.priority, *held))?;
        let greedy = most.priority > newcomer.priority
            || (most.priority == newcomer.priority && held > own + 1);
        let share = greedy.then(|| self.accounts.get(most)).flatten()?;
        share.order.last().map(|(_, place)| *place)
    }

    /// The round that a flow joins with its first item: the one after the present.
    fn joining(&self, priority: Priority) -> u64 {
        let class = (priority, 0, Flow(0))..=(priority, u64::MAX, Flow(u64::MAX));
        self.rounds.range(class).next().map_or(0, |(_, present, _)| present + 1)
    }
}

impl Account {
    fn of(terms: &Terms) -> Self {
        Self { priority: terms.priority, flow: terms.flow }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A line of letters.
    struct Line {
        now: Instant,
        turns: Turns,
        who: BTreeMap<Place, (char, Terms, Instant)>,
        next: u64,
    }

    impl Line {
        fn new() -> Self {
            let turns = Turns::default();
            Self { now: Instant::now(), turns, who: BTreeMap::new(), next: 0 }
        }

        fn due(&self, due_ms: u64) -> Instant {
            self.now + Duration::from_millis(due_ms)
        }

        fn push(&mut self, letters: &str, (priority, flow): (Priority, u64), due_ms: u64) {
            for letter in letters.chars() {
                let terms = Terms { priority, flow: Flow(flow), deadline: None };
                let (place, due) = (Place(self.next), self.due(due_ms));
                self.next += 1;
                self.turns.add(&terms, due, place);
                self.who.insert(place, (letter, terms, due));
            }
        }

        fn serve(&mut self, most: usize) -> String {
            let turns: Vec<Turn> = self.turns.order(|_| true).take(most).collect();
            let served = turns.into_iter().map(|turn| {
                self.turns.had(turn);
                let (letter, terms, due) = self.who.remove(&turn.place).unwrap();
                self.turns.remove(&terms, due, turn.place);
                letter
            });
            served.collect()
        }
    }

    #[test]
    fn the_urgent_go_first_and_within_a_class_the_flows_take_turns() {
        let mut line = Line::new();
        line.push("lm", (Priority::Low, 0), 0);
        line.push("aaaa", (Priority::Normal, 1), 0);
        line.push("bbb", (Priority::Normal, 2), 0);
        line.push("cc", (Priority::Normal, 0), 0);
        line.push("hi", (Priority::High, 7), 0);
        let served: String = std::iter::repeat_with(|| line.serve(4)).take(4).collect();
        assert_eq!(served, "hiaabcabcablm");
        assert!(line.turns.accounts.is_empty() && line.turns.rounds.is_empty());
    }

    #[test]
    fn the_earliest_due_goes_first_within_a_flow_and_among_flows_of_one_round() {
        let mut line = Line::new();
        line.push("a", (Priority::Normal, 1), 50);
        line.push("b", (Priority::Normal, 1), 20);
        line.push("c", (Priority::Normal, 2), 30);
        line.push("d", (Priority::Normal, 2), 40);
        line.push("e", (Priority::Normal, 2), 30);
        assert_eq!(line.serve(9), "bcaed");
    }

    #[test]
    fn a_flood_delays_a_newcomer_by_two_turns() {
        let mut line = Line::new();
        line.push(&"f".repeat(100), (Priority::Normal, 1), 0);
        for _ in 0..5 {
            assert_eq!(line.serve(8), "ffffffff");
        }
        line.push("n", (Priority::Normal, 2), 0);
        assert_eq!(line.serve(8), "ffnfffff");
    }

    #[test]
    fn newcomers_do_not_hold_up_one_who_has_waited() {
        let mut line = Line::new();
        line.push("wv", (Priority::Normal, 1), 1000);
        let mut served = String::new();
        // A flow that is gone after each turn and comes back at once, always more urgent.
        for _ in 0..6 {
            line.push("n", (Priority::Normal, 2), 10);
            served += &line.serve(1);
        }
        assert_eq!(served, "wnvnnn");
    }

    #[test]
    fn what_is_ahead_of_a_newcomer_runs_before_it() {
        let fill = || {
            let mut line = Line::new();
            line.push("xx", (Priority::High, 1), 500);
            line.push("xxxxx", (Priority::Normal, 1), 500);
            line.push("x", (Priority::Normal, 2), 500);
            line.push("xxx", (Priority::Normal, 0), 500);
            line.push("xxxx", (Priority::Low, 3), 500);
            line
        };
        for (priority, flow, due_ms, expected) in [
            (Priority::High, 1, 500, 2),
            (Priority::High, 9, 500, 1),
            (Priority::Normal, 1, 500, 11),
            (Priority::Normal, 2, 500, 6),
            (Priority::Normal, 0, 500, 10),
            (Priority::Normal, 0, 100, 3),
            (Priority::Normal, 9, 500, 3),
            (Priority::Low, 0, 500, 12),
        ] {
            let mut line = fill();
            let terms = Terms { priority, flow: Flow(flow), deadline: None };
            let ahead = line.turns.ahead(&terms, line.due(due_ms)).count();
            line.push("n", (priority, flow), due_ms);
            let before = line.serve(99).find('n').unwrap();
            // Those of its own round may go first too.
            assert!((ahead..=ahead + 3).contains(&before), "{terms:?}: {ahead}, {before}");
            assert_eq!(ahead, expected, "{terms:?}");
        }
    }
}
