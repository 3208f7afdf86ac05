//! `veriframe evidence reembed`: a collection's items, embedded by another model.
//!
//! At every moment all items are in one collection or the other, and each step begins only when the
//! one before has been counted.

use clap::Args;
use tokio::sync::mpsc;

use super::ingest::send;
use super::{EvidenceClient, StoreArgs, answered, explained, output};
use crate::proto::v1;

/// Items of one page; as many as one call gives with their pictures.
const PAGE: u32 = 16;
/// Items that wait to be sent.
const AHEAD: usize = 8;

/// Embed a collection anew, with another model.
///
/// With --into the new collection stands beside the old one, which stays as it is. Without it the
/// items go into NAME-reembed first; then NAME is deleted, made anew for the new model and filled
/// from there, and NAME-reembed is deleted. Nothing is lost where that is interrupted: NAME-reembed
/// holds every item until NAME does.
///
/// Pictures are needed, so a collection with pictures that keeps none cannot be embedded anew.
///
/// Examples:
///   veriframe evidence reembed faces --into faces-2 --clip clip-large --server 127.0.0.1:50051
///   veriframe evidence reembed faces --data evidence --model clip=/models/clip-large
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(in crate::cli) struct ReembedArgs {
    /// Which collection.
    collection: String,
    /// A new collection for the result.
    #[arg(long, value_name = "NAME")]
    into: Option<String>,
    /// The CLIP model that embeds; the default one where none is given.
    #[arg(long, value_name = "MODEL")]
    clip: Option<String>,
    #[command(flatten)]
    pub(super) store: StoreArgs,
}

pub(super) async fn run(args: &ReembedArgs, client: &mut EvidenceClient) -> anyhow::Result<()> {
    let name = &args.collection;
    let old = collection(client, name).await?;
    let options = old.options.clone().unwrap_or_default();
    let pictures = old.statistics.unwrap_or_default().image_chunks;
    anyhow::ensure!(
        options.keep_images() || pictures == 0,
        "{name} keeps no pictures, so the {pictures} that it has embedded cannot be embedded \
         again; ingest them again from where they came"
    );
    let clip = args.clip.as_deref();
    if let Some(into) = &args.into {
        let made = create(client, into, clip, &options).await?;
        let items = copy(client, name, into).await?;
        output::say(format_args!("{items} items of {name} are in {into}, by {}", model(&made)));
        return Ok(());
    }
    let between = format!("{name}-reembed");
    let made = create(client, &between, clip, &options).await.map_err(|error| {
        error.context(format!(
            "{between} is needed on the way; if an earlier run left it, it holds every item that \
             {name} held: delete the one of the two that holds less, and run this again"
        ))
    })?;
    if made.model == old.model {
        remove(client, &between).await?;
        anyhow::bail!("{name} is by {} already", model(&made));
    }
    let items = copy(client, name, &between).await?;
    remove(client, name).await?;
    create(client, name, clip, &options).await?;
    let again = copy(client, &between, name).await?;
    anyhow::ensure!(again == items, "{items} items went out, {again} came back; see {between}");
    remove(client, &between).await?;
    output::say(format_args!("{items} items of {name} are by {} now", model(&made)));
    Ok(())
}

fn model(collection: &v1::Collection) -> String {
    let model = collection.model.clone().unwrap_or_default();
    format!("{} ({})", model.name, model.checksum.chars().take(12).collect::<String>())
}

async fn collection(client: &mut EvidenceClient, name: &str) -> anyhow::Result<v1::Collection> {
    let request = v1::GetCollectionRequest { name: name.to_owned() };
    Ok(answered(client.get_collection(request).await)?.collection.unwrap_or_default())
}

async fn create(
    client: &mut EvidenceClient,
    name: &str,
    model: Option<&str>,
    options: &v1::CollectionOptions,
) -> anyhow::Result<v1::Collection> {
    let request = v1::CreateCollectionRequest {
        name: name.to_owned(),
        model: model.map(str::to_owned),
        options: Some(options.clone()),
    };
    Ok(answered(client.create_collection(request).await)?.collection.unwrap_or_default())
}

async fn remove(client: &mut EvidenceClient, name: &str) -> anyhow::Result<()> {
    let request = v1::DeleteCollectionRequest { name: name.to_owned() };
    answered(client.delete_collection(request).await)?;
    Ok(())
}

/// Puts every item of one collection into another; how many. An error where one is not in.
async fn copy(client: &mut EvidenceClient, from: &str, to: &str) -> anyhow::Result<u64> {
    let total = collection(client, from).await?.statistics.unwrap_or_default().items;
    let bar = output::progress(total, "reembed");
    let (sender, items) = mpsc::channel(AHEAD);
    let reading = read(client.clone(), from.to_owned(), sender);
    let mut writer = client.clone();
    let writing = send(&mut writer, to, items, |_| bar.inc(1));
    let (read, tally) = tokio::join!(reading, writing);
    let (read, tally) = (read?, tally?);
    bar.finish_and_clear();
    if let Some((id, reason)) = tally.failed.first() {
        anyhow::bail!(
            "{} items of {from} cannot be put into {to}, such as {id}: {reason}; {from} is as it \
             was",
            tally.failed.len()
        );
    }
    let arrived = collection(client, to).await?.statistics.unwrap_or_default().items;
    anyhow::ensure!(
        arrived == read && read == total,
        "{from} held {total} items, {read} were read and {to} has {arrived}; {from} is as it was: \
         let nobody write to it meanwhile, and run this again"
    );
    Ok(arrived)
}

/// Sends every item of a collection with its picture; how many.
async fn read(
    mut client: EvidenceClient,
    collection: String,
    sender: mpsc::Sender<v1::EvidenceItem>,
) -> anyhow::Result<u64> {
    let (mut page_token, mut count) = (String::new(), 0);
    loop {
        let request = v1::ListItemsRequest {
            collection: collection.clone(),
            page_size: Some(PAGE),
            page_token,
            filter: None,
        };
        let page = answered(client.list_items(request).await)?;
        for item in page.items {
            // One by one: a page's pictures may be more than one answer holds.
            let request = v1::GetItemsRequest {
                collection: collection.clone(),
                ids: vec![item.id],
                with_images: true,
            };
            let found = client.get_items(request).await.map_err(|status| explained(&status))?;
            for item in found.into_inner().items {
                count += 1;
                if sender.send(item).await.is_err() {
                    // The stream says why.
                    return Ok(count);
                }
            }
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(count);
        }
    }
}
