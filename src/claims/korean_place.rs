//! Claims of a place, in Korean.

use super::korean::{PICTURES, bare};
use super::korean_clause::{is_predicate, is_subject};
use super::{Kind, Relation, Rule};

/// Words of place, with a particle behind them.
const PLACES: &[(&str, Relation)] = &[
    ("왼쪽", Relation::LeftOf),
    ("왼편", Relation::LeftOf),
    ("좌측", Relation::LeftOf),
    ("오른쪽", Relation::RightOf),
    ("오른편", Relation::RightOf),
    ("우측", Relation::RightOf),
    ("위", Relation::Above),
    ("위쪽", Relation::Above),
    ("아래", Relation::Below),
    ("밑", Relation::Below),
    ("아래쪽", Relation::Below),
    ("안", Relation::Inside),
    ("속", Relation::Inside),
    ("내부", Relation::Inside),
    ("안쪽", Relation::Inside),
    ("옆", Relation::NextTo),
    ("곁", Relation::NextTo),
    ("근처", Relation::NextTo),
    ("앞", Relation::InFrontOf),
    ("뒤", Relation::Behind),
    ("뒤쪽", Relation::Behind),
    ("앞쪽", Relation::InFrontOf),
];

/// What holds a thing at a place that 에 marks, as it ends a sentence or stands before a noun.
const HELD: &[(&str, Relation)] = &[
    ("걸려", Relation::On),
    ("걸린", Relation::On),
    ("놓여", Relation::On),
    ("놓인", Relation::On),
    ("붙어", Relation::On),
    ("붙은", Relation::On),
    ("매달려", Relation::On),
    ("매달린", Relation::On),
    ("얹혀", Relation::On),
    ("얹힌", Relation::On),
    ("앉아", Relation::On),
    ("앉은", Relation::On),
    ("누워", Relation::On),
    ("누운", Relation::On),
    ("담겨", Relation::Inside),
    ("담긴", Relation::Inside),
];

/// A word of place, or what holds a thing at a place.
pub(super) fn spatial(core: &[&str]) -> Option<(Kind, Rule)> {
    by_place(core).or_else(|| by_holding(core))
}

/// "시계가 벽에 걸려 있다", "벽에 시계가 걸려 있다", "벽에 걸린 시계".
fn by_holding(core: &[&str]) -> Option<(Kind, Rule)> {
    let (held, relation) = (0..core.len()).find_map(|at| {
        HELD.iter().find(|(verb, _)| *verb == core[at]).map(|(_, relation)| (at, *relation))
    })?;
    let at =
        core[..held].iter().rposition(|word| word.ends_with('에') || word.ends_with("에는"))?;
    let subject = |words: &[&str]| words.iter().position(|word| is_subject(word));
    let before = subject(&core[..at]);
    let from = before.map_or(0, |subject| subject + 1);
    let place = core[from..=at].join(" ");
    let b = place.trim_end_matches("에는").trim_end_matches('에').to_owned();
    let a = if let Some(subject) = before {
        noun_phrase(&core[..=subject])
    } else if let Some(end) = subject(&core[at + 1..held]) {
        noun_phrase(&core[at + 1..=at + 1 + end])
    } else {
        let behind = &core[held + 1..];
        let said = |word: &&str| is_subject(word) || is_predicate(word);
        let end = behind.iter().position(said).unwrap_or(behind.len());
        let marked = behind.get(end).is_some_and(|word| is_subject(word));
        noun_phrase(&behind[..end + usize::from(marked)])
    };
    let known = !a.is_empty() && !b.is_empty() && !PICTURES.contains(&bare(&b));
    known.then_some((Kind::Spatial { a, relation, b }, Rule::RelationWord))
}

fn by_place(core: &[&str]) -> Option<(Kind, Rule)> {
    let (at, relation) = (0..core.len()).find_map(|at| {
        let place = ["에는", "에서", "에", "의", "으로"]
            .iter()
            .find_map(|end| core[at].strip_suffix(end))?;
        PLACES.iter().find(|(name, _)| *name == place).map(|(_, relation)| (at, *relation))
    })?;
    let subject = core[..at].iter().position(|word| is_subject(word));
    let from = subject.map_or(0, |subject| subject + 1);
    let other = core[from..at].join(" ");
    let other = other.strip_suffix('의').unwrap_or(&other).to_owned();
    let picture = PICTURES.contains(&bare(&other));
    let b = if other.is_empty() || picture { "image".to_owned() } else { other };
    let behind = &core[at + 1..];
    let a = if let Some(subject) = subject {
        noun_phrase(&core[..=subject])
    } else {
        let marked = behind.iter().position(|word| is_subject(word));
        let said = behind.iter().position(|word| is_predicate(word));
        let end = marked.map_or(said.unwrap_or(behind.len()), |at| at + 1);
        noun_phrase(&behind[..end])
    };
    if a.is_empty() {
        return Some((Kind::Opinion, Rule::OtherRelation));
    }
    Some((Kind::Spatial { a, relation, b }, Rule::RelationWord))
}

fn noun_phrase(words: &[&str]) -> String {
    let Some((last, first)) = words.split_last() else { return String::new() };
    let last = if is_subject(last) { bare(last) } else { last };
    let mut kept = first.to_vec();
    kept.push(last);
    kept.join(" ")
}
