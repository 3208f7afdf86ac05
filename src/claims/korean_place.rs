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

pub(super) fn spatial(core: &[&str]) -> Option<(Kind, Rule)> {
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
