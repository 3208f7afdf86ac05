//! The demo world's dossiers against the rules that split answers.

use veriframe::claims::{KindName, Limits, split};
use veriframe::scenes::HELD_OUT;
use veriframe::scenes::dossier::{About, Dossier};

/// Labels that the rules cannot find again would measure the rules, not the witnesses.
#[test]
fn answers_split_into_the_claims_that_are_labelled() {
    let mut wrong = Vec::new();
    for answer in (HELD_OUT..HELD_OUT + 2000).flat_map(|seed| Dossier::of(seed).answers) {
        let claims = split(&answer.text, &Limits::default()).unwrap();
        let found: Vec<_> = claims.iter().map(|claim| claim.span.clone()).collect();
        let labelled: Vec<_> = answer.claims.iter().map(|claim| claim.span.clone()).collect();
        if found != labelled {
            wrong.push(answer.text.clone());
            continue;
        }
        for (claim, label) in claims.iter().zip(&answer.claims) {
            let expected = match label.about {
                About::Count => Some(KindName::Count),
                About::Place => Some(KindName::Spatial),
                About::Opinion => Some(KindName::Opinion),
                About::Topic(_) | About::Hair => None,
            };
            let kind = claim.kind.name();
            let fits = expected.map_or(kind != KindName::Opinion, |expected| kind == expected);
            if !fits {
                wrong.push(format!("{kind:?}: {}", claim.text));
            }
        }
    }
    wrong.sort();
    wrong.dedup();
    assert!(wrong.is_empty(), "{} are split otherwise:\n{}", wrong.len(), wrong.join("\n"));
}
