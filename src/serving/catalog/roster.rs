//! What names stand for at one moment: never changed, only replaced by another roster.

use std::collections::BTreeMap;

use super::super::name::{ModelId, parts};
use super::super::served::Lease;

/// The models that serve and the aliases for them. It leases its models, so those who hold a roster
/// can still use every model in it.
#[derive(Clone)]
pub(super) struct Roster<T> {
    models: BTreeMap<ModelId, Lease<T>>,
    aliases: BTreeMap<String, ModelId>,
}

impl<T> Default for Roster<T> {
    fn default() -> Self {
        Self { models: BTreeMap::new(), aliases: BTreeMap::new() }
    }
}

impl<T> Roster<T> {
    /// The model that `name` stands for: `clip@2` is that version; `clip` is what the alias `clip`
    /// stands for, and where there is none the highest version.
    pub(super) fn resolve(&self, name: &str) -> Option<(&ModelId, &Lease<T>)> {
        let id = match parts(name) {
            (name, Some(version)) => ModelId::new(name, version).ok()?,
            (name, None) => match self.aliases.get(name) {
                Some(id) => id.clone(),
                None => self.highest(name)?.clone(),
            },
        };
        self.models.get_key_value(&id)
    }

    /// The highest version of `name`.
    pub(super) fn highest(&self, name: &str) -> Option<&ModelId> {
        self.models.keys().rfind(|id| id.name() == name)
    }

    /// Every model, by name; within a name first what the bare name stands for, then from the
    /// highest version down.
    pub(super) fn models(&self) -> impl Iterator<Item = (&ModelId, &Lease<T>)> {
        let mut all: Vec<_> = self.models.iter().collect();
        all.sort_by(|(left, _), (right, _)| {
            let by_name = left.name().cmp(right.name());
            let default_first = self.is_default(right).cmp(&self.is_default(left));
            by_name.then(default_first).then_with(|| right.cmp(left))
        });
        all.into_iter()
    }

    /// Whether the bare name stands for this version.
    pub(super) fn is_default(&self, id: &ModelId) -> bool {
        self.resolve(id.name()).is_some_and(|(default, _)| default == id)
    }

    /// The aliases, and what each stands for.
    pub(super) fn aliases(&self) -> &BTreeMap<String, ModelId> {
        &self.aliases
    }

    /// The aliases for `id`, by name.
    pub(super) fn aliases_of(&self, id: &ModelId) -> impl Iterator<Item = &str> {
        self.aliases.iter().filter(move |(_, target)| *target == id).map(|(alias, _)| &**alias)
    }

    /// Adds a model.
    pub(super) fn insert(&mut self, id: ModelId, model: Lease<T>) {
        self.models.insert(id, model);
    }

    /// Takes a model out, with the aliases for it.
    pub(super) fn remove(&mut self, id: &ModelId) {
        self.aliases.retain(|_, target| target != id);
        self.models.remove(id);
    }

    /// Has `alias` stand for `id`, or for nothing; what it stood for.
    pub(super) fn set_alias(&mut self, alias: &str, id: Option<ModelId>) -> Option<ModelId> {
        match id {
            Some(id) => self.aliases.insert(alias.to_owned(), id),
            None => self.aliases.remove(alias),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::served::Users;
    use super::*;

    fn id(text: &str) -> ModelId {
        text.parse().unwrap()
    }

    fn roster(models: &[&'static str]) -> Roster<&'static str> {
        let mut roster = Roster::default();
        for model in models {
            roster.insert(id(model), Users::of(*model).0);
        }
        roster
    }

    #[test]
    fn a_name_is_a_version_an_alias_or_the_highest_version() {
        let mut roster = roster(&["clip@2", "clip@10", "clip@9", "yolo@1"]);
        roster.set_alias("current", Some(id("clip@9")));
        let check = |roster: &Roster<&'static str>, name: &str, expected: Option<&str>| {
            assert_eq!(roster.resolve(name).map(|(_, model)| **model), expected, "{name}");
        };
        check(&roster, "clip", Some("clip@10"));
        check(&roster, "clip@2", Some("clip@2"));
        check(&roster, "current", Some("clip@9"));
        for unknown in ["clip@3", "current@1", "other", "", "clip@", "../clip"] {
            check(&roster, unknown, None);
        }
        roster.set_alias("clip", Some(id("clip@2")));
        check(&roster, "clip", Some("clip@2"));
        roster.remove(&id("clip@2"));
        check(&roster, "clip", Some("clip@10"));
    }

    #[test]
    fn the_default_of_a_name_comes_first() {
        let mut roster = roster(&["b@1", "a@1", "a@3", "a@2"]);
        let order = |roster: &Roster<&'static str>| -> Vec<&'static str> {
            roster.models().map(|(_, model)| **model).collect()
        };
        assert_eq!(order(&roster), ["a@3", "a@2", "a@1", "b@1"]);
        roster.set_alias("a", Some(id("a@2")));
        assert_eq!(order(&roster), ["a@2", "a@3", "a@1", "b@1"]);
    }

    #[test]
    fn an_alias_goes_with_its_model() {
        let mut roster = roster(&["a@1", "a@2"]);
        assert_eq!(roster.set_alias("x", Some(id("a@1"))), None);
        assert_eq!(roster.set_alias("x", Some(id("a@2"))), Some(id("a@1")));
        assert_eq!(roster.aliases_of(&id("a@2")).collect::<Vec<_>>(), ["x"]);
        roster.remove(&id("a@2"));
        assert!(roster.aliases().is_empty());
    }
}
