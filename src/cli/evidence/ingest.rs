//! `veriframe evidence ingest`: a file or a folder into a collection.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use clap::Args;
use futures::StreamExt;
use serde_json::json;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;

use super::source::{self, Pending};
use super::{EvidenceClient, StoreArgs, answered, explained, output};
use crate::proto::v1;
use crate::proto::v1::ingest_items_request::Message;

/// Failures that are told one by one.
const TOLD: usize = 20;
/// Items that are read ahead of the server.
const AHEAD: usize = 8;

/// Put passages and pictures into a collection, which is made where it is not there.
///
/// A JSONL file has an item a line:
///   {"id": "a", "text": "…", "image": "a.jpg", "source_uri": "https://…", "title": "…",
///    "time": "2024-05-01T12:00:00Z", "metadata": {"year": 2024, "checked": true}}
/// All fields may be left out, but not text and image both; image is a path relative to the file.
/// Of a folder every picture is an item, named by its path; a .txt file of the same name beside it
/// is its text.
///
/// Examples:
///   veriframe evidence ingest items.jsonl --collection faces --server 127.0.0.1:50051
///   veriframe evidence ingest photos/ --collection faces --data evidence --detector yolo
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
#[expect(clippy::doc_markdown, reason = "names stand as they are typed")]
pub(in crate::cli) struct IngestArgs {
    /// A JSONL file or a folder of pictures.
    source: PathBuf,
    /// Into which collection.
    #[arg(long, value_name = "NAME")]
    collection: String,
    /// Of a collection that is made: the CLIP model that embeds for it; the default one where none
    /// is given.
    #[arg(long, value_name = "MODEL")]
    clip: Option<String>,
    /// Of a collection that is made: the detector whose boxes are found too.
    #[arg(long, value_name = "MODEL")]
    detector: Option<String>,
    /// Of a collection that is made: keep no pictures, only what they are found by.
    #[arg(long)]
    no_images: bool,
    /// Of a collection that is made: hold vectors as 8-bit numbers, for a million chunks and more.
    #[arg(long)]
    quantised: bool,
    /// Print JSON instead of words.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(super) store: StoreArgs,
}

/// What became of an ingestion.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Items that are in.
    pub(super) stored: usize,
    /// Those that are not: what they are called, and why.
    pub(super) failed: Vec<(String, String)>,
}

pub(super) async fn run(args: &IngestArgs, client: &mut EvidenceClient) -> anyhow::Result<()> {
    let pending = source::pending(&args.source)?;
    let made = ensure(args, client).await?;
    let bar = output::progress(pending.len() as u64, "ingest");
    let unread = Arc::new(Mutex::new(Vec::new()));
    let (sender, items) = mpsc::channel(AHEAD);
    let (reading_bar, failures) = (bar.clone(), Arc::clone(&unread));
    let reading =
        tokio::task::spawn_blocking(move || read(pending, &sender, &reading_bar, &failures));
    let told = |_: &v1::ItemResult| bar.inc(1);
    let mut tally = send(client, &args.collection, items, told).await?;
    reading.await?;
    bar.finish_and_clear();
    let unread = std::mem::take(&mut *unread.lock().unwrap_or_else(PoisonError::into_inner));
    tally.failed.extend(unread);
    report(args, made, &tally)
}

/// Makes the collection where it is not there; whether it was made.
async fn ensure(args: &IngestArgs, client: &mut EvidenceClient) -> anyhow::Result<bool> {
    let request = v1::GetCollectionRequest { name: args.collection.clone() };
    match client.get_collection(request).await {
        Ok(_) => return Ok(false),
        Err(status) if status.code() == Code::NotFound => {}
        Err(status) => return Err(explained(&status)),
    }
    let request = v1::CreateCollectionRequest {
        name: args.collection.clone(),
        model: args.clip.clone(),
        options: Some(v1::CollectionOptions {
            keep_images: Some(!args.no_images),
            detector: args.detector.clone(),
            min_confidence: None,
            quantised: args.quantised,
        }),
    };
    answered(client.create_collection(request).await)?;
    Ok(true)
}

/// Reads items' files one after another, for as long as anyone takes them.
fn read(
    pending: Vec<Pending>,
    sender: &mpsc::Sender<v1::EvidenceItem>,
    bar: &indicatif::ProgressBar,
    failures: &Mutex<Vec<(String, String)>>,
) {
    for item in pending {
        match item.read() {
            Ok(read) => {
                if sender.blocking_send(read).is_err() {
                    return;
                }
            }
            Err(error) => {
                bar.inc(1);
                let mut failures = failures.lock().unwrap_or_else(PoisonError::into_inner);
                failures.push((item.name(), format!("{error:#}")));
            }
        }
    }
}

/// Streams items into a collection; `told` hears of each.
pub(super) async fn send(
    client: &mut EvidenceClient,
    collection: &str,
    items: mpsc::Receiver<v1::EvidenceItem>,
    mut told: impl FnMut(&v1::ItemResult),
) -> anyhow::Result<Tally> {
    let first = Message::Collection(collection.to_owned());
    let messages = ReceiverStream::new(items).map(Message::Item);
    let messages = futures::stream::iter([first]).chain(messages);
    let requests = messages.map(|message| v1::IngestItemsRequest { message: Some(message) });
    let mut responses = answered(client.ingest_items(requests).await)?;
    let mut tally = Tally::default();
    while let Some(response) = responses.next().await {
        let response = response.map_err(|status| explained(&status)).with_context(|| {
            format!("after {} items that are in; run it again to go on", tally.stored)
        })?;
        let result = response.result.unwrap_or_default();
        told(&result);
        if result.code == 0 {
            tally.stored += 1;
        } else {
            tally.failed.push((result.id, result.message));
        }
    }
    Ok(tally)
}

/// Tells what became of it; an error where items are not in.
fn report(args: &IngestArgs, made: bool, tally: &Tally) -> anyhow::Result<()> {
    let Tally { stored, failed } = tally;
    if args.json {
        let failed: Vec<_> =
            failed.iter().map(|(item, reason)| json!({ "item": item, "reason": reason })).collect();
        output::say(json!({
            "collection": args.collection, "created": made, "stored": stored, "failed": failed,
        }));
    } else {
        if made {
            output::say(format_args!("collection {} is made", args.collection));
        }
        output::say(format_args!("{stored} items are in {}", args.collection));
        let rows: Vec<Vec<String>> = failed
            .iter()
            .take(TOLD)
            .map(|(item, reason)| vec![item.clone(), reason.clone()])
            .collect();
        if !rows.is_empty() {
            output::table(&["item", "why it is not in"], &rows);
        }
    }
    anyhow::ensure!(
        failed.is_empty(),
        "{} of {} items are not in",
        failed.len(),
        failed.len() + stored
    );
    Ok(())
}
