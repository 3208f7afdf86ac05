//! Parameters of a request: those of the protocol, and a model's own.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::proto::inference::InferParameter;
use crate::proto::inference::infer_parameter::ParameterChoice;
use crate::server::deadline::earlier;
use crate::serving::{Priority, ServingError, Terms};

/// What a request says beside its tensors.
#[derive(Debug)]
pub(super) struct Parameters {
    /// Deadline and priority.
    pub(super) terms: Terms,
    /// Outputs as typed contents rather than raw.
    pub(super) typed_outputs: bool,
    /// On a stream: say of each response that it is its request's last.
    own: HashMap<String, InferParameter>,
}

impl Parameters {
    /// Reads the parameters of a request to a model that knows those `known` beside the protocol's.
    /// `terms` are the call's; a deadline only ever becomes earlier.
    pub(super) fn read(
        parameters: HashMap<String, InferParameter>,
        known: &[&str],
        mut terms: Terms,
        now: Instant,
    ) -> Result<Self, ServingError> {
        let mut read = Self { terms: Terms::default(), typed_outputs: false, own: HashMap::new() };
        for (name, value) in parameters {
            match name.as_str() {
                "priority" => terms.priority = priority(whole(&name, &value)?),
                "timeout" => {
                    let limit = Duration::from_micros(whole(&name, &value)?);
                    let deadline = (!limit.is_zero()).then(|| now.checked_add(limit)).flatten();
                    terms.deadline = earlier(terms.deadline, deadline);
                }
                "binary_data_output" => read.typed_outputs = !flag(&name, &value)?,
                // Every response on a stream is its request's last one and says so.
                "triton_enable_empty_final_response" => drop(flag(&name, &value)?),
                "sequence_id" => no_sequence(&value)?,
                // Of a sequence without an id they say nothing; the others are hints between
                // clients and servers of other makes.
                "sequence_start" | "sequence_end" | "headers" | "content_type" => {}
                own if known.contains(&own) => drop(read.own.insert(name, value)),
                triton if triton.starts_with("triton_") => {}
                unknown => {
                    let mut all = vec!["priority", "timeout", "binary_data_output"];
                    all.extend(known);
                    let shown: String = unknown.chars().take(64).collect();
                    let reason = format!("'{shown}' is unknown; known are {}", all.join(", "));
                    return Err(ServingError::invalid("parameters", reason));
                }
            }
        }
        Ok(Self { terms, ..read })
    }

    /// A share of the model's own, 0 to 1.
    pub(super) fn share(&self, name: &str) -> Result<Option<f32>, ServingError> {
        let Some(value) = self.own.get(name) else { return Ok(None) };
        let value = number(name, value)?;
        if !(0.0..=1.0).contains(&value) {
            return Err(wrong(name, &format!("is {value}, must be 0 to 1")));
        }
        Ok(Some(value as f32))
    }

    /// A count of the model's own, 1 to `limit`.
    pub(super) fn count(&self, name: &str, limit: usize) -> Result<Option<usize>, ServingError> {
        let Some(value) = self.own.get(name) else { return Ok(None) };
        let value = whole(name, value)?;
        match usize::try_from(value) {
            Ok(count @ 1..) if count <= limit => Ok(Some(count)),
            _ => Err(wrong(name, &format!("is {value}, must be 1 to {limit}"))),
        }
    }

    /// A text of the model's own.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, ServingError> {
        match self.own.get(name).map(|value| &value.parameter_choice) {
            None => Ok(None),
            Some(Some(ParameterChoice::StringParam(text))) => Ok(Some(text)),
            Some(
                Some(
                    ParameterChoice::BoolParam(_)
                    | ParameterChoice::Int64Param(_)
                    | ParameterChoice::Uint64Param(_)
                    | ParameterChoice::DoubleParam(_),
                )
                | None,
            ) => Err(wrong(name, "must be a text")),
        }
    }

    /// Whole numbers of the model's own, `limit` at most: a text of them with commas between, or one
    /// number. An empty text is no number at all.
    pub(super) fn list(
        &self,
        name: &str,
        limit: usize,
    ) -> Result<Option<Vec<usize>>, ServingError> {
        let Some(value) = self.own.get(name) else { return Ok(None) };
        let refused = || wrong(name, "must be whole numbers with commas between, such as '3,7,11'");
        let Some(ParameterChoice::StringParam(text)) = &value.parameter_choice else {
            let number = whole(name, value)?;
            return Ok(Some(vec![usize::try_from(number).map_err(|_| refused())?]));
        };
        let count = if text.is_empty() { 0 } else { text.split(',').count() };
        if count > limit {
            return Err(wrong(name, &format!("has {count} numbers, limit {limit}")));
        }
        let numbers = text.split(',').take(count).map(|number| number.trim().parse());
        numbers.collect::<Result<Vec<usize>, _>>().map(Some).map_err(|_| refused())
    }
}

/// Triton's levels: 1 is the most urgent, 0 the default.
fn priority(level: u64) -> Priority {
    match level {
        1 => Priority::High,
        0 | 2 => Priority::Normal,
        3.. => Priority::Low,
    }
}

fn no_sequence(value: &InferParameter) -> Result<(), ServingError> {
    let id = match &value.parameter_choice {
        Some(ParameterChoice::Int64Param(0) | ParameterChoice::Uint64Param(0)) | None => {
            return Ok(());
        }
        Some(ParameterChoice::StringParam(id)) if id.is_empty() => return Ok(()),
        Some(ParameterChoice::Int64Param(id)) => id.to_string(),
        Some(ParameterChoice::Uint64Param(id)) => id.to_string(),
        Some(ParameterChoice::StringParam(id)) => id.chars().take(64).collect(),
        Some(ParameterChoice::BoolParam(_) | ParameterChoice::DoubleParam(_)) => {
            return Err(wrong("sequence_id", "must be a whole number or a text"));
        }
    };
    Err(wrong("sequence_id", &format!("is '{id}', but no model keeps state between requests")))
}

fn whole(name: &str, value: &InferParameter) -> Result<u64, ServingError> {
    match value.parameter_choice {
        Some(ParameterChoice::Uint64Param(value)) => Ok(value),
        Some(ParameterChoice::Int64Param(value)) => {
            u64::try_from(value).map_err(|_| wrong(name, &format!("is {value}, must be 0 or more")))
        }
        Some(ParameterChoice::DoubleParam(value))
            if value.fract() == 0.0 && (0.0..=2e15).contains(&value) =>
        {
            Ok(value as u64)
        }
        Some(
            ParameterChoice::DoubleParam(_)
            | ParameterChoice::BoolParam(_)
            | ParameterChoice::StringParam(_),
        )
        | None => Err(wrong(name, "must be a whole number, 0 or more")),
    }
}

fn number(name: &str, value: &InferParameter) -> Result<f64, ServingError> {
    match value.parameter_choice {
        Some(ParameterChoice::DoubleParam(value)) => Ok(value),
        Some(ParameterChoice::Int64Param(value)) => Ok(value as f64),
        Some(ParameterChoice::Uint64Param(value)) => Ok(value as f64),
        Some(ParameterChoice::BoolParam(_) | ParameterChoice::StringParam(_)) | None => {
            Err(wrong(name, "must be a number"))
        }
    }
}

fn flag(name: &str, value: &InferParameter) -> Result<bool, ServingError> {
    match value.parameter_choice {
        Some(ParameterChoice::BoolParam(value)) => Ok(value),
        Some(
            ParameterChoice::Int64Param(_)
            | ParameterChoice::Uint64Param(_)
            | ParameterChoice::DoubleParam(_)
            | ParameterChoice::StringParam(_),
        )
        | None => Err(wrong(name, "must be true or false")),
    }
}

fn wrong(name: &str, reason: &str) -> ServingError {
    ServingError::invalid(format!("parameters.{name}"), reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(
        parameters: &[(&str, ParameterChoice)],
        deadline: Option<Instant>,
        now: Instant,
    ) -> Result<Parameters, String> {
        let parameters = parameters.iter().map(|(name, choice)| {
            let value = InferParameter { parameter_choice: Some(choice.clone()) };
            ((*name).to_owned(), value)
        });
        let known = ["min_confidence", "max_detections"];
        let terms = Terms::until(deadline);
        Parameters::read(parameters.collect(), &known, terms, now).map_err(|e| e.to_string())
    }

    #[test]
    fn priority_and_timeout_become_terms() {
        let now = Instant::now();
        let check = |name, choice, deadline: Option<Duration>, expected: Terms| {
            let deadline = deadline.map(|after| now + after);
            let parameters = read(&[(name, choice)], deadline, now).unwrap();
            assert_eq!(parameters.terms, expected);
        };
        let level = |priority| Terms { priority, ..Terms::default() };
        check("priority", ParameterChoice::Uint64Param(1), None, level(Priority::High));
        check("priority", ParameterChoice::Int64Param(0), None, Terms::default());
        check("priority", ParameterChoice::Uint64Param(9), None, level(Priority::Low));
        let ms = Duration::from_millis;
        let until = |after| Terms::until(Some(now + after));
        check("timeout", ParameterChoice::Int64Param(2_000), None, until(ms(2)));
        check("timeout", ParameterChoice::Int64Param(2_000), Some(ms(1)), until(ms(1)));
        check("timeout", ParameterChoice::Int64Param(0), None, Terms::default());
        check("timeout", ParameterChoice::Uint64Param(u64::MAX), Some(ms(1)), until(ms(1)));
    }

    #[test]
    fn a_models_own_parameters_are_checked_when_they_are_read() {
        let now = Instant::now();
        let given = [
            ("min_confidence", ParameterChoice::DoubleParam(0.5)),
            ("max_detections", ParameterChoice::Int64Param(7)),
        ];
        let parameters = read(&given, None, now).unwrap();
        assert_eq!(parameters.share("min_confidence").unwrap(), Some(0.5));
        assert_eq!(parameters.share("iou_threshold").unwrap(), None);
        assert_eq!(parameters.count("max_detections", 7).unwrap(), Some(7));
        let error = parameters.count("max_detections", 6).unwrap_err().to_string();
        assert_eq!(error, "parameters.max_detections: is 7, must be 1 to 6");
    }

    #[test]
    fn texts_and_lists_of_numbers_are_a_models_own() {
        let given = |choice| read(&[("max_detections", choice)], None, Instant::now()).unwrap();
        let text = |text: &str| given(ParameterChoice::StringParam(text.to_owned()));
        assert_eq!(text("legrad").text("max_detections").unwrap(), Some("legrad"));
        assert_eq!(text("legrad").text("min_confidence").unwrap(), None);
        let error = given(ParameterChoice::BoolParam(true)).text("max_detections").unwrap_err();
        assert_eq!(error.to_string(), "parameters.max_detections: must be a text");

        let list = |parameters: Parameters| {
            parameters.list("max_detections", 3).map_err(|error| error.to_string())
        };
        assert_eq!(list(text("3, 7,11")), Ok(Some(vec![3, 7, 11])));
        assert_eq!(list(text("")), Ok(Some(vec![])));
        assert_eq!(list(given(ParameterChoice::Int64Param(7))), Ok(Some(vec![7])));
        let expected = "parameters.max_detections: has 4 numbers, limit 3";
        assert_eq!(list(text("1,2,3,4")), Err(expected.to_owned()));
        for wrong in ["1,", "-1", "1;2", "last"] {
            let error = list(text(wrong)).unwrap_err();
            assert!(error.ends_with("whole numbers with commas between, such as '3,7,11'"));
        }
        assert!(list(given(ParameterChoice::Int64Param(-1))).unwrap_err().contains("is -1"));
    }

    #[test]
    fn what_cannot_be_heeded_is_refused() {
        let check = |name, choice, expected: &str| {
            let error = read(&[(name, choice)], None, Instant::now()).unwrap_err();
            assert!(error.contains(expected), "{error}");
        };
        check("sequence_id", ParameterChoice::Int64Param(3), "no model keeps state");
        check("sequence_id", ParameterChoice::StringParam("a".to_owned()), "is 'a', but no model");
        check("timeout", ParameterChoice::Int64Param(-1), "parameters.timeout: is -1, must be 0");
        check("priority", ParameterChoice::BoolParam(true), "must be a whole number");
        check("binary_data_output", ParameterChoice::Int64Param(1), "must be true or false");
        check(
            "min_confidance",
            ParameterChoice::DoubleParam(0.5),
            "parameters: 'min_confidance' is unknown; known are priority, timeout, \
             binary_data_output, min_confidence, max_detections",
        );
    }

    #[test]
    fn hints_for_others_change_nothing() {
        let given = [
            ("headers", ParameterChoice::StringParam("x".to_owned())),
            ("triton_x", ParameterChoice::BoolParam(true)),
            ("sequence_id", ParameterChoice::Int64Param(0)),
            ("sequence_start", ParameterChoice::BoolParam(false)),
        ];
        let parameters = read(&given, None, Instant::now()).unwrap();
        assert_eq!(parameters.terms, Terms::default());
        assert!(!parameters.typed_outputs);
    }
}
