//! How a claim's text becomes the prompts that a model embeds.

use serde::{Deserialize, Serialize};

use super::{KindName, Language};

/// Most bytes of a template.
const TEMPLATE_BYTES: usize = 256;
/// Most rules of a configuration, and most templates of a rule.
const RULES: usize = 64;

/// A text with one `{}`, where a claim's text goes.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Template(String);

/// Why a text is no template, or a set of rules none to use.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TemplateError {
    /// It does not have exactly one `{}`.
    #[error("template '{template}' has {count} '{{}}', must have 1")]
    Placeholders {
        /// The text.
        template: String,
        /// How many it has.
        count: usize,
    },
    /// It is too long.
    #[error("template is {bytes} bytes, limit {TEMPLATE_BYTES}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// There are too many of them.
    #[error("{count} {unit}, limit {RULES}")]
    TooMany {
        /// How many there are.
        count: usize,
        /// `rules`, or `templates in a rule`.
        unit: &'static str,
    },
}

impl Template {
    /// Checks that `text` has exactly one `{}` and at most 256 bytes.
    pub fn new(text: impl Into<String>) -> Result<Self, TemplateError> {
        let template: String = text.into();
        let count = template.matches("{}").count();
        if template.len() > TEMPLATE_BYTES {
            return Err(TemplateError::TooLong { bytes: template.len() });
        }
        if count != 1 {
            return Err(TemplateError::Placeholders { template, count });
        }
        Ok(Self(template))
    }

    /// The prompt for `text`.
    pub fn fill(&self, text: &str) -> String {
        self.0.replacen("{}", text, 1)
    }
}

impl TryFrom<String> for Template {
    type Error = TemplateError;

    fn try_from(text: String) -> Result<Self, TemplateError> {
        Self::new(text)
    }
}

impl From<Template> for String {
    fn from(template: Template) -> Self {
        template.0
    }
}

/// The templates for claims of one language and of some kinds.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TemplateRule {
    /// `en`, `ko` or `other`; absent: any.
    #[serde(default)]
    pub language: Option<String>,
    /// The kinds; empty: any.
    #[serde(default)]
    pub kinds: Vec<KindName>,
    /// The templates. Their embeddings are meant to be averaged.
    pub templates: Vec<Template>,
}

impl TemplateRule {
    fn is_for(&self, language: Language, kind: KindName) -> bool {
        let spoken = self.language.as_deref().is_none_or(|code| code == language.code());
        spoken && (self.kinds.is_empty() || self.kinds.contains(&kind))
    }
}

/// The templates for every language and kind: the first rule that fits is used, and the bare text
/// where none does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Templates(Vec<TemplateRule>);

impl Templates {
    /// At most 64 rules of at most 64 templates each.
    pub fn new(rules: Vec<TemplateRule>) -> Result<Self, TemplateError> {
        let check = |count, unit| {
            if count > RULES { Err(TemplateError::TooMany { count, unit }) } else { Ok(()) }
        };
        check(rules.len(), "rules")?;
        for rule in &rules {
            check(rule.templates.len(), "templates in a rule")?;
        }
        Ok(Self(rules))
    }

    /// The prompts for `text`, at least one.
    pub fn prompts(&self, text: &str, language: Language, kind: KindName) -> Vec<String> {
        let rule = self.0.iter().find(|rule| rule.is_for(language, kind));
        let filled: Vec<String> = rule
            .map(|rule| rule.templates.iter().map(|template| template.fill(text)).collect())
            .unwrap_or_default();
        if filled.is_empty() { vec![text.to_owned()] } else { filled }
    }
}

impl Default for Templates {
    /// English "{}", "a photo of {}" and `CLIPScore`'s "A photo depicts {}"; Korean "{}" and
    /// "{}의 사진".
    fn default() -> Self {
        let rule = |language: &str, templates: &[&str]| TemplateRule {
            language: Some(language.to_owned()),
            kinds: Vec::new(),
            templates: templates.iter().map(|text| Template((*text).to_owned())).collect(),
        };
        Self(vec![
            rule("en", &["{}", "a photo of {}", "A photo depicts {}"]),
            rule("ko", &["{}", "{}의 사진"]),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_has_one_place_for_the_text() {
        assert_eq!(Template::new("a photo of {}").unwrap().fill("a {} dog"), "a photo of a {} dog");
        let wrong = |text: &str| Template::new(text).unwrap_err().to_string();
        assert_eq!(wrong("a photo"), "template 'a photo' has 0 '{}', must have 1");
        assert_eq!(wrong("{} and {}"), "template '{} and {}' has 2 '{}', must have 1");
        assert_eq!(wrong(&"{}".repeat(129)), "template is 258 bytes, limit 256");
        assert!(toml::from_str::<TemplateRule>("templates = ['{}', 'none']").is_err());
    }

    #[test]
    fn the_first_rule_that_fits_is_used() {
        let text = "language = 'ko'\nkinds = ['part']\ntemplates = ['{} 얼굴']";
        let templates = Templates::new(vec![toml::from_str(text).unwrap()]).unwrap();
        let prompts = |language, kind| templates.prompts("안경", language, kind);
        assert_eq!(prompts(Language::Korean, KindName::Part), ["안경 얼굴"]);
        assert_eq!(prompts(Language::Korean, KindName::Presence), ["안경"]);
        assert_eq!(prompts(Language::English, KindName::Part), ["안경"]);
        let default = Templates::default().prompts("안경", Language::Korean, KindName::Part);
        assert_eq!(default, ["안경", "안경의 사진"]);
    }

    #[test]
    fn the_default_templates_are_templates() {
        for rule in Templates::default().0 {
            for template in rule.templates {
                assert_eq!(Template::new(template.0.clone()), Ok(template));
            }
        }
    }
}
