//! `veriframe evidence search`.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::{EvidenceClient, StoreArgs, answered, output, shown};
use crate::cli::filter::filter;
use crate::proto::v1;

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
    Ok(v1::SearchEvidenceRequest {
        collection: args.collection.clone(),
        query: Some(v1::EvidenceQuery {
            text: args.text.clone().unwrap_or_default(),
            image: image.transpose()?,
            ..Default::default()
        }),
        filter: filter(&args.conditions)?,
        kinds: kinds.collect(),
        limit: Some(args.limit),
        offset: args.offset,
        min_score: None,
        group_by_item: Some(!args.chunks),
        exact: args.exact,
    })
}
