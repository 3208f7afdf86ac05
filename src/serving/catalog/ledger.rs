//! The state of every model that was ever asked for, and which change may follow which. Pure.

use std::collections::BTreeMap;
use std::time::SystemTime;

use super::super::name::ModelId;
use super::super::served::ModelKind;
use super::error::CatalogError;

/// Failed loads that are remembered.
const FAILED_LIMIT: usize = 64;

/// Where a model is on its way.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum State {
    /// Known, not loaded.
    Available,
    /// Being read, built and warmed.
    Loading,
    /// It answers.
    Ready,
    /// Its name is gone; the last requests that use it end.
    Unloading,
    /// It could not be loaded.
    Failed {
        /// Why.
        reason: String,
    },
}

/// What is known of a model that was asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Record {
    pub(super) state: State,
    /// Since it was opened.
    pub(super) kind: Option<ModelKind>,
    /// SHA-256 of the weights, hexadecimal; empty until they are read.
    pub(super) checksum: String,
    /// When it became ready; of a failed one, when it failed.
    pub(super) since: Option<SystemTime>,
}

/// Every record.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    records: BTreeMap<ModelId, Record>,
}

impl Ledger {
    pub(super) fn get(&self, id: &ModelId) -> Option<&Record> {
        self.records.get(id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&ModelId, &Record)> {
        self.records.iter()
    }

    /// Whether a version of `name`, or of any model where `None`, is being loaded.
    pub(super) fn is_loading(&self, name: Option<&str>) -> bool {
        self.records.iter().any(|(id, record)| {
            record.state == State::Loading && name.is_none_or(|name| id.name() == name)
        })
    }

    /// From anything but loaded to LOADING; at most `limit` models are on their way or loaded.
    pub(super) fn begin(&mut self, id: &ModelId, limit: usize) -> Result<(), CatalogError> {
        let busy = |doing| CatalogError::Busy { model: id.to_string(), doing };
        match self.records.get(id).map(|record| &record.state) {
            Some(State::Loading) => return Err(busy("loaded")),
            Some(State::Unloading) => return Err(busy("unloaded")),
            Some(State::Ready) => {
                let reason = "is loaded already".to_owned();
                return Err(CatalogError::Conflict { model: id.to_string(), reason });
            }
            None | Some(State::Available | State::Failed { .. }) => {}
        }
        let held = self.records.values().filter(|record| record.state.holds_memory()).count();
        if held >= limit {
            return Err(CatalogError::Full { loaded: held, limit });
        }
        let record =
            Record { state: State::Loading, kind: None, checksum: String::new(), since: None };
        self.records.insert(id.clone(), record);
        Ok(())
    }

    /// From LOADING to READY.
    pub(super) fn ready(&mut self, id: &ModelId, kind: ModelKind, checksum: &str, now: SystemTime) {
        let record = Record {
            state: State::Ready,
            kind: Some(kind),
            checksum: checksum.to_owned(),
            since: Some(now),
        };
        self.records.insert(id.clone(), record);
    }

    /// From LOADING to FAILED; the oldest failure is forgotten where there are too many.
    pub(super) fn failed(&mut self, id: &ModelId, reason: String, now: SystemTime) {
        let record = Record {
            state: State::Failed { reason },
            kind: None,
            checksum: String::new(),
            since: Some(now),
        };
        self.records.insert(id.clone(), record);
        let failed: Vec<_> = self
            .records
            .iter()
            .filter(|(_, record)| matches!(record.state, State::Failed { .. }))
            .map(|(id, record)| (record.since, id.clone()))
            .collect();
        if failed.len() > FAILED_LIMIT
            && let Some((_, oldest)) = failed.into_iter().min()
        {
            self.records.remove(&oldest);
        }
    }

    /// From READY to UNLOADING.
    pub(super) fn unloading(&mut self, id: &ModelId) -> Result<(), CatalogError> {
        let busy = |doing| CatalogError::Busy { model: id.to_string(), doing };
        match self.records.get_mut(id) {
            Some(record) => match record.state {
                State::Ready => {
                    record.state = State::Unloading;
                    Ok(())
                }
                State::Loading => Err(busy("loaded")),
                State::Unloading => Err(busy("unloaded")),
                State::Available | State::Failed { .. } => Err(self.not_loaded(id)),
            },
            None => Err(self.not_loaded(id)),
        }
    }

    /// From UNLOADING to nothing.
    pub(super) fn unloaded(&mut self, id: &ModelId) {
        self.records.remove(id);
    }

    fn not_loaded(&self, id: &ModelId) -> CatalogError {
        let ready = self.records.iter().filter(|(_, record)| record.state == State::Ready);
        let known: Vec<String> = ready.map(|(id, _)| id.to_string()).collect();
        CatalogError::NotFound { what: "loaded model", name: id.to_string(), known }
    }
}

impl State {
    fn holds_memory(&self) -> bool {
        match self {
            Self::Loading | Self::Ready | Self::Unloading => true,
            Self::Available | Self::Failed { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn id(text: &str) -> ModelId {
        text.parse().unwrap()
    }

    #[test]
    fn a_model_goes_from_loading_to_ready_to_unloading_and_can_come_again() {
        let (mut ledger, clip) = (Ledger::default(), id("clip@1"));
        for _ in 0..2 {
            ledger.begin(&clip, 1).unwrap();
            assert!(ledger.is_loading(Some("clip")) && ledger.is_loading(None));
            assert!(!ledger.is_loading(Some("yolo")));
            assert!(matches!(ledger.begin(&clip, 9), Err(CatalogError::Busy { .. })));
            assert!(matches!(ledger.unloading(&clip), Err(CatalogError::Busy { .. })));
            ledger.ready(&clip, ModelKind::Clip, "ab", NOW);
            assert!(!ledger.is_loading(None));
            assert!(matches!(ledger.begin(&clip, 9), Err(CatalogError::Conflict { .. })));
            ledger.unloading(&clip).unwrap();
            assert!(matches!(ledger.begin(&clip, 9), Err(CatalogError::Busy { .. })));
            assert!(matches!(ledger.unloading(&clip), Err(CatalogError::Busy { .. })));
            ledger.unloaded(&clip);
            assert!(matches!(ledger.unloading(&clip), Err(CatalogError::NotFound { .. })));
        }
    }

    #[test]
    fn what_loads_and_unloads_counts_against_the_limit_and_what_failed_does_not() {
        let mut ledger = Ledger::default();
        ledger.begin(&id("a"), 2).unwrap();
        ledger.begin(&id("b"), 2).unwrap();
        let full = ledger.begin(&id("c"), 2).unwrap_err();
        assert!(matches!(full, CatalogError::Full { loaded: 2, limit: 2 }));
        ledger.ready(&id("a"), ModelKind::Clip, "", NOW);
        ledger.unloading(&id("a")).unwrap();
        assert!(ledger.begin(&id("c"), 2).is_err());
        ledger.failed(&id("b"), "broken".to_owned(), NOW);
        ledger.begin(&id("c"), 2).unwrap();
        assert!(matches!(ledger.unloading(&id("b")), Err(CatalogError::NotFound { .. })));
    }

    #[test]
    fn the_oldest_failures_are_forgotten() {
        let mut ledger = Ledger::default();
        for age in 0..FAILED_LIMIT as u64 + 5 {
            let failed = id(&format!("m{age}"));
            ledger.begin(&failed, 1).unwrap();
            ledger.failed(&failed, "no".to_owned(), NOW + Duration::from_secs(age));
        }
        assert_eq!(ledger.iter().count(), FAILED_LIMIT);
        assert!(ledger.get(&id("m4")).is_none());
        assert!(ledger.get(&id("m5")).is_some());
    }
}
