//! A checked answer: the text with its claims marked, what is known of each, and the sources.

use serde::Serialize;

use super::Picture;

/// An answer with its claims marked and its sources beside it.
#[derive(Clone, Debug, Serialize)]
pub struct Answer {
    /// What it is about; may be none.
    pub picture: Option<Picture>,
    /// The answer, piece by piece: claims and what stands between them.
    pub pieces: Vec<Piece>,
    /// What follows for the whole, in a sentence.
    pub verdict: String,
    /// Its claims, in order.
    pub claims: Vec<Claim>,
    /// What is cited, numbered from 1.
    pub sources: Vec<String>,
}

/// Some bytes of the answer.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Piece {
    /// The words.
    pub text: String,
    /// The number of the claim that they make, from 1; none between claims.
    pub claim: Option<usize>,
    /// What follows for it; none between claims.
    pub status: Option<Status>,
}

/// What follows for a claim, at a glance.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It is likely true.
    Supported,
    /// It is likely false.
    Contradicted,
    /// What was said does not suffice, or does not agree.
    Open,
    /// Nobody can tell.
    Unchecked,
}

/// One claim.
#[derive(Clone, Debug, Serialize)]
pub struct Claim {
    /// What it says when it stands alone.
    pub text: String,
    /// At a glance.
    pub status: Status,
    /// In words, with the probability: `contradicted, P(true) 0.02`.
    pub verdict: String,
    /// What each witness said, one line each.
    pub said: Vec<String>,
    /// Numbers of its sources.
    pub sources: Vec<usize>,
}

/// The answer cut at the bounds of its claims: `(first byte, byte after the last, status)` of each, in
/// order. Claims that overlap or do not fit the text are left out.
pub fn pieces(answer: &str, claims: &[(usize, usize, Status)]) -> Vec<Piece> {
    let between = |text: &str| Piece { text: text.to_owned(), claim: None, status: None };
    let (mut pieces, mut done) = (Vec::new(), 0);
    for (at, &(start, end, status)) in claims.iter().enumerate() {
        let (Some(before), Some(claim)) = (answer.get(done..start), answer.get(start..end)) else {
            continue;
        };
        if !before.is_empty() {
            pieces.push(between(before));
        }
        let text = claim.to_owned();
        pieces.push(Piece { text, claim: Some(at + 1), status: Some(status) });
        done = end;
    }
    if let Some(rest) = answer.get(done..).filter(|rest| !rest.is_empty()) {
        pieces.push(between(rest));
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_the_answer_again() {
        let answer = "치아가 고르다. And blue eyes!";
        let claims = [(0, 19, Status::Supported), (25, 34, Status::Contradicted)];
        let cut = pieces(answer, &claims);
        assert_eq!(cut.iter().map(|piece| piece.text.as_str()).collect::<String>(), answer);
        let marked: Vec<(&str, Option<usize>)> =
            cut.iter().map(|piece| (piece.text.as_str(), piece.claim)).collect();
        assert_eq!(
            marked,
            [("치아가 고르다", Some(1)), (". And ", None), ("blue eyes", Some(2)), ("!", None)]
        );
    }

    #[test]
    fn claims_that_do_not_fit_are_left_out() {
        let claims = [(1, 4, Status::Open), (0, 3, Status::Open), (2, 99, Status::Open)];
        let cut = pieces("abcdef", &claims);
        assert_eq!(cut.iter().map(|piece| piece.text.as_str()).collect::<String>(), "abcdef");
        assert_eq!(cut.iter().filter(|piece| piece.claim.is_some()).count(), 1);
    }
}
