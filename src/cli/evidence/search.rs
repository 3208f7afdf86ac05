//! `veriframe evidence search`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::{EvidenceClient, StoreArgs, answered, output, shown};
use crate::proto::v1;
use crate::proto::v1::metadata_condition::Condition;

/// Find what is nearest to a text, a picture or both.
///
/// Scores are cosines; those of text with text are higher than those of text with pictures, whatever
/// they say: compare within a kind.
///
/// Examples:
///   veriframe evidence search "uneven teeth" --collection faces --server 127.0.0.1:50051
///   veriframe evidence search --image face.png --collection faces --kind image --data evidence
///   veriframe evidence search "귀" --collection faces --where year=2024 --where lang=ko --json
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(in crate::cli) struct SearchArgs {
    /// What to look for.
    #[arg(required_unless_present = "image")]
    text: Option<String>,
    /// In which collection.
    #[arg(long, value_name = "NAME")]
    collection: String,
    /// A picture to look for; with a text, both count as much.
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    /// Only chunks of this kind, repeatable.
    #[arg(long = "kind", value_enum)]
    kinds: Vec<Kind>,
    /// Only items whose metadata has this value, repeatable; several values of one name: any of
    /// them. true, false and numbers are such; in quotes they are texts: `year='"2024"'`.
    #[arg(long = "where", value_name = "NAME=VALUE")]
    conditions: Vec<String>,
    /// How many hits.
    #[arg(long, value_name = "HITS", default_value_t = 10)]
    limit: u32,
    /// How many of the best to pass over.
    #[arg(long, value_name = "HITS", default_value_t = 0)]
    offset: u32,
    /// Show every chunk that is found rather than each item once.
    #[arg(long)]
    chunks: bool,
    /// Compare with every chunk rather than through the index.
    #[arg(long)]
    exact: bool,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(super) store: StoreArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// Passages.
    Text,
    /// Whole pictures.
    Image,
    /// Boxes in pictures.
    Region,
}

pub(super) async fn run(args: &SearchArgs, client: &mut EvidenceClient) -> anyhow::Result<()> {
    let answer = answered(client.search_evidence(request(args)?).await)?;
    if args.json {
        let hits: Vec<Value> = answer.hits.iter().map(shown::hit_json).collect();
        let model = answer.model.unwrap_or_default();
        let whole = json!({
            "hits": hits, "truncated": answer.truncated,
            "model": { "name": model.name, "version": model.version, "checksum": model.checksum },
        });
        output::say(serde_json::to_string_pretty(&whole)?);
        return Ok(());
    }
    let rows: Vec<Vec<String>> = answer.hits.iter().map(shown::hit_row).collect();
    output::table(&["score", "item", "where", "text", "source"], &rows);
    if answer.truncated {
        output::say("the text was cut to what the model reads");
    }
    Ok(())
}

fn request(args: &SearchArgs) -> anyhow::Result<v1::SearchEvidenceRequest> {
    let image = args.image.as_ref().map(|path| {
        let bytes = std::fs::read(path);
        let bytes = bytes.with_context(|| format!("cannot read {}", path.display()))?;
        anyhow::Ok(v1::Image { content: Some(v1::image::Content::Encoded(bytes.into())) })
    });
    let kinds = args.kinds.iter().map(|kind| match kind {
        Kind::Text => v1::ChunkKind::Text.into(),
        Kind::Image => v1::ChunkKind::Image.into(),
        Kind::Region => v1::ChunkKind::Region.into(),
    });
    let conditions = conditions(&args.conditions)?;
    Ok(v1::SearchEvidenceRequest {
        collection: args.collection.clone(),
        query: Some(v1::EvidenceQuery {
            text: args.text.clone().unwrap_or_default(),
            image: image.transpose()?,
            ..Default::default()
        }),
        filter: (!conditions.is_empty())
            .then(|| v1::EvidenceFilter { conditions, ..Default::default() }),
        kinds: kinds.collect(),
        limit: Some(args.limit),
        offset: args.offset,
        min_score: None,
        group_by_item: Some(!args.chunks),
        exact: args.exact,
    })
}

/// Texts of one name are alternatives; a number or a flag stands alone.
fn conditions(given: &[String]) -> anyhow::Result<Vec<v1::MetadataCondition>> {
    let mut texts: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut conditions = Vec::new();
    let condition = |name: &str, condition| v1::MetadataCondition {
        name: name.to_owned(),
        condition: Some(condition),
        negated: false,
    };
    for pair in given {
        let (name, value) = pair
            .split_once('=')
            .with_context(|| format!("--where {pair}: write NAME=VALUE, such as year=2024"))?;
        if let Ok(flag) = value.parse() {
            conditions.push(condition(name, Condition::Flag(flag)));
        } else if let Some(number) = value.parse().ok().filter(|number: &f64| number.is_finite()) {
            let range = v1::NumberRange { min: Some(number), max: Some(number) };
            conditions.push(condition(name, Condition::Range(range)));
        } else {
            let quoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
            texts.entry(name).or_default().push(quoted.unwrap_or(value).to_owned());
        }
    }
    let any = |(name, values): (&str, Vec<String>)| {
        condition(name, Condition::AnyOf(v1::TextList { values }))
    };
    conditions.extend(texts.into_iter().map(any));
    Ok(conditions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_read_by_what_their_values_look_like() {
        let given = ["lang=ko", "year=2024", "lang=en", "ok=true", "code=\"7\""];
        let found = conditions(&given.map(str::to_owned)).unwrap();
        let shown: Vec<(&str, Condition)> =
            found.iter().map(|one| (one.name.as_str(), one.condition.clone().unwrap())).collect();
        let texts = |values: &[&str]| {
            let values = values.iter().map(|&value| value.to_owned()).collect();
            Condition::AnyOf(v1::TextList { values })
        };
        let year = v1::NumberRange { min: Some(2024.0), max: Some(2024.0) };
        assert_eq!(
            shown,
            [
                ("year", Condition::Range(year)),
                ("ok", Condition::Flag(true)),
                ("code", texts(&["7"])),
                ("lang", texts(&["ko", "en"])),
            ]
        );
        assert!(conditions(&["year".to_owned()]).is_err());
    }
}
