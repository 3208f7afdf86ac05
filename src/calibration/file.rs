//! A calibration as a file: for which weights it holds, what it was fitted to, how good it is.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::confidence::{Bin, Confidence};
use super::error::CalibrationError;
use super::fit::Fitted;
use super::map::{Contributions, Features, Fit};

/// The version of the file's form.
pub const FORMAT: u32 = 1;

/// Whose probabilities a calibration tells.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Of an answer's claims, from what witnesses say.
    Claims,
    /// Of a prompt before a picture, from its score.
    Prompts,
    /// Of a prompt before a frame of a stream, from its score.
    Verdicts,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Claims, Self::Prompts, Self::Verdicts];

    /// As it stands in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Claims => "claims",
            Self::Prompts => "prompts",
            Self::Verdicts => "verdicts",
        }
    }

    /// The file's name in a model's folder.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Claims => "claim_calibration.json",
            Self::Prompts => "prompt_calibration.json",
            Self::Verdicts => "verdict_calibration.json",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|kind| kind.name() == text);
        known.ok_or_else(|| format!("{text} is no kind; there are: claims, prompts, verdicts"))
    }
}

/// What answers tell of the calibration behind a probability.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    /// The kind and the beginning of the data's hash, such as `prompts-0123456789ab`.
    pub name: String,
    /// `logistic` or `isotonic`.
    pub method: &'static str,
    /// SHA-256 of the labelled rows, hexadecimal.
    pub data_sha256: String,
    /// Labelled rows it was fitted to.
    pub rows: u64,
    /// Expected calibration error on rows left out, 0 to 1.
    pub ece: f64,
}

/// A calibration, with all that an audit of it needs. Figures of goodness are of rows left out.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CalibrationFile {
    /// [`FORMAT`].
    pub format: u32,
    /// Whose probabilities it tells.
    pub kind: Kind,
    /// Name of the model that it was fitted for, for people; the checksum decides.
    pub model: String,
    /// SHA-256 of the weights it was fitted for, 64 lower-case hexadecimal digits: it holds for no
    /// others.
    pub checksum: String,
    /// SHA-256 of the labelled rows as they were read, hexadecimal.
    pub data_sha256: String,
    /// Labelled rows.
    pub rows: u64,
    /// Rows whose label is true.
    pub positives: u64,
    /// Groups of rows that were never both fitted on and measured on.
    pub groups: u64,
    /// Parts of cross-validation.
    pub folds: u32,
    /// Expected calibration error before, 0 to 1; see [`Fitted::before`].
    pub ece_before: f64,
    /// Expected calibration error after, 0 to 1.
    pub ece_after: f64,
    /// Area under the receiver operating characteristic, 0 to 1.
    pub auroc: f64,
    /// Brier score, 0 to 1.
    pub brier: f64,
    /// The reliability diagram.
    pub bins: Vec<Bin>,
    /// The map.
    pub fit: Fit,
}

impl CalibrationFile {
    /// The file of a fit, for the model `(name, checksum)`, to rows whose hash is `data_sha256`.
    pub fn new(
        kind: Kind,
        (model, checksum): (&str, &str),
        data_sha256: &str,
        fitted: &Fitted,
    ) -> Self {
        let Confidence { auroc, ece, brier, bins, .. } = fitted.after.clone();
        Self {
            format: FORMAT,
            kind,
            model: model.to_owned(),
            checksum: checksum.to_owned(),
            data_sha256: data_sha256.to_owned(),
            rows: fitted.rows as u64,
            positives: fitted.positives as u64,
            groups: fitted.groups as u64,
            folds: fitted.folds as u32,
            ece_before: fitted.before.ece,
            ece_after: ece,
            // Rows of both labels are a condition of the fit.
            auroc: auroc.unwrap_or(0.5),
            brier,
            bins,
            fit: fitted.fit.clone(),
        }
    }

    /// Reads a file of this kind; an error says what is wrong with it.
    pub fn parse(json: &str, kind: Kind) -> Result<Self, CalibrationError> {
        let read: Self = serde_json::from_str(json)
            .map_err(|error| CalibrationError::File(error.to_string()))?;
        match read.flaw(kind) {
            Some(flaw) => Err(CalibrationError::File(flaw)),
            None => Ok(read),
        }
    }

    fn flaw(&self, kind: Kind) -> Option<String> {
        if self.format != FORMAT {
            return Some(format!("format is {}, this version reads {FORMAT}", self.format));
        }
        if self.kind != kind {
            return Some(format!("kind is {}, must be {kind}", self.kind));
        }
        let digests = [("checksum", &self.checksum), ("data_sha256", &self.data_sha256)];
        for (field, digest) in digests {
            let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            if digest.len() != 64 || !digest.bytes().all(digit) {
                return Some(format!(
                    "{field} is {digest:?}, must be 64 lower-case hexadecimal digits"
                ));
            }
        }
        let shares = [
            ("ece_before", self.ece_before),
            ("ece_after", self.ece_after),
            ("auroc", self.auroc),
            ("brier", self.brier),
        ];
        for (field, share) in shares {
            if !(0.0..=1.0).contains(&share) {
                return Some(format!("{field} is {share}, must be 0 to 1"));
            }
        }
        self.fit.check().err().map(|reason| format!("fit {reason}"))
    }

    /// As it is written: JSON with an end of line.
    pub fn json(&self) -> String {
        let json = serde_json::to_string_pretty(self);
        json.expect("numbers, texts and lists always have a JSON form") + "\n"
    }

    /// Whether it was fitted for the weights of this SHA-256.
    pub fn holds_for(&self, checksum: &str) -> bool {
        self.checksum == checksum
    }

    /// What answers tell of it.
    pub fn identity(&self) -> Identity {
        let hash = self.data_sha256.get(..12).unwrap_or(&self.data_sha256);
        Identity {
            name: format!("{}-{hash}", self.kind),
            method: self.method(),
            data_sha256: self.data_sha256.clone(),
            rows: self.rows,
            ece: self.ece_after,
        }
    }

    /// `logistic` or `isotonic`.
    pub fn method(&self) -> &'static str {
        self.fit.method()
    }

    /// The probability, 0 to 1, from finite figures; see [`Fit::probability`].
    pub fn probability(&self, figures: &Features) -> f64 {
        self.fit.probability(figures)
    }

    /// What each figure adds to the log-odds of a logistic fit; see [`Fit::contributions`].
    pub fn contributions(&self, figures: &Features) -> Option<Contributions> {
        self.fit.contributions(figures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibration::{Dataset, FitOptions, Method, RowLimits, fit};

    fn file(method: Method) -> CalibrationFile {
        let line = |at: u32| {
            let (x, label) = (f64::from(at % 20), at % 20 + at % 7 > 12);
            format!(r#"{{"features":{{"contrast":{x}}},"label":{label},"group":"g{}"}}"#, at / 3)
        };
        let text = (0..300).map(line).collect::<Vec<_>>().join("\n");
        let data = Dataset::read(text.as_bytes(), RowLimits::default()).unwrap();
        let options = FitOptions { method, ..FitOptions::default() };
        let fitted = fit(&data.rows, &options).unwrap();
        CalibrationFile::new(Kind::Prompts, ("demo", &"a".repeat(64)), &data.sha256, &fitted)
    }

    #[test]
    fn a_file_comes_back_as_it_was_written() {
        for method in [Method::Logistic, Method::Isotonic, Method::IsotonicOf("contrast".into())] {
            let written = file(method);
            let read = CalibrationFile::parse(&written.json(), Kind::Prompts).unwrap();
            // A number may come back as its neighbour.
            assert_eq!((&read.bins.len(), read.method()), (&written.bins.len(), written.method()));
            assert!((read.brier - written.brier).abs() < 1e-12);
            assert_eq!(read.data_sha256, written.data_sha256);
            let figures = Features::from([("contrast".to_owned(), 9.5)]);
            let (a, b) = (read.probability(&figures), written.probability(&figures));
            assert!((a - b).abs() < 1e-12 && (0.0..=1.0).contains(&a), "{a} {b}");
        }
    }

    #[test]
    fn it_holds_for_the_weights_it_was_fitted_for_alone() {
        let file = file(Method::Auto);
        assert!(file.holds_for(&"a".repeat(64)) && !file.holds_for(&"b".repeat(64)));
        let Identity { name, rows, .. } = file.identity();
        assert_eq!((name, rows), (format!("prompts-{}", &file.data_sha256[..12]), 300));
        assert_eq!((file.rows, file.groups, file.folds), (300, 100, 5));
    }

    #[test]
    fn what_is_no_such_file_is_refused() {
        let sound = file(Method::Logistic);
        let check = |broken: &CalibrationFile, expected: &str| {
            let error = CalibrationFile::parse(&broken.json(), Kind::Prompts).unwrap_err();
            assert_eq!(error.to_string(), expected);
        };
        check(&CalibrationFile { format: 2, ..sound.clone() }, "format is 2, this version reads 1");
        let kind = Kind::Claims;
        check(&CalibrationFile { kind, ..sound.clone() }, "kind is claims, must be prompts");
        check(
            &CalibrationFile { checksum: "ABC".into(), ..sound.clone() },
            "checksum is \"ABC\", must be 64 lower-case hexadecimal digits",
        );
        check(&CalibrationFile { brier: 1.5, ..sound.clone() }, "brier is 1.5, must be 0 to 1");
        let Fit::Logistic { logistic, .. } = sound.fit.clone() else { panic!("{sound:?}") };
        let fit = Fit::Logistic { features: vec!["a".into(), "b".into()], logistic };
        let said = "fit logistic has [1, 1, 1] numbers, needs 2 each";
        check(&CalibrationFile { fit, ..sound.clone() }, said);
        let more = sound.json().replacen('{', "{\"extra\": 1,", 1);
        let error = CalibrationFile::parse(&more, Kind::Prompts).unwrap_err().to_string();
        assert!(error.starts_with("unknown field `extra`"), "{error}");
        let in_fit = sound.json().replacen("\"bias\"", "\"extra\": 1, \"bias\"", 1);
        let error = CalibrationFile::parse(&in_fit, Kind::Prompts).unwrap_err().to_string();
        assert!(error.contains("unknown field `extra`"), "{error}");
    }

    #[test]
    fn kinds_are_read_by_their_names() {
        for kind in Kind::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
        }
        let error = "faces".parse::<Kind>().unwrap_err();
        assert_eq!(error, "faces is no kind; there are: claims, prompts, verdicts");
    }
}
