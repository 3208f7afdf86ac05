//! `veriframe evidence`: keeping evidence, finding it, and looking after its store.

mod backup;
pub(super) mod fuzz;
mod ingest;
mod reembed;
mod search;
mod shown;
mod source;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::client::{EvidenceClient, Needs, ServerArgs, Session, explained};
use super::options::{ModelArgs, flags};
use super::output;
use crate::config::{Flag, Settings};
use crate::proto::v1;

/// Ids of one deletion: less than a server's limit, unless it is very low.
const DELETED: usize = 100;

#[derive(Debug, Subcommand)]
pub(super) enum EvidenceCommand {
    /// Put passages and pictures into a collection, which is made where it is not there.
    Ingest(ingest::IngestArgs),
    /// Find what is nearest to a text, a picture or both.
    Search(search::SearchArgs),
    /// List the items of a collection.
    List(ListArgs),
    /// List the collections.
    Collections(CollectionsArgs),
    /// Delete items, or a whole collection.
    Delete(DeleteArgs),
    /// Embed a collection anew, with another model.
    Reembed(reembed::ReembedArgs),
    /// Copy an embedded store that no server has open, and check the copy.
    Backup(backup::BackupArgs),
    /// Put a back-up where no store is, and check it.
    Restore(backup::RestoreArgs),
}

/// Where the evidence is: with a running server, or in a folder.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct StoreArgs {
    /// Folder of an embedded store that no server has open: sets `evidence.store` to embedded and
    /// `evidence.data_dir`. The command serves it itself while it runs.
    #[arg(long, value_name = "DIR", conflicts_with = "server")]
    data: Option<String>,
    #[command(flatten)]
    pub(super) server: ServerArgs,
    #[command(flatten)]
    pub(super) models: ModelArgs,
}

impl StoreArgs {
    /// The flags that were given, besides those of the models.
    pub(super) fn flags(&self) -> Vec<Flag> {
        let embedded = self.data.as_ref().map(|_| "embedded".to_owned());
        flags([
            ("--data", "evidence.store", embedded),
            ("--data", "evidence.data_dir", self.data.clone()),
        ])
    }

    async fn open(
        &self,
        settings: &Settings,
        needs: Needs,
    ) -> anyhow::Result<Session<EvidenceClient>> {
        Session::evidence(&self.server, settings, needs).await
    }
}

/// List the items of a collection.
///
/// Examples:
///   veriframe evidence list --collection faces --server 127.0.0.1:50051
///   veriframe evidence list --collection faces --data evidence --limit 1000 --json
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(super) struct ListArgs {
    /// Which collection.
    #[arg(long, value_name = "NAME")]
    collection: String,
    /// At most so many items.
    #[arg(long, value_name = "ITEMS", default_value_t = 100)]
    limit: usize,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    store: StoreArgs,
}

/// List the collections, what made them and what they hold.
///
/// Examples:
///   veriframe evidence collections --server 127.0.0.1:50051
///   veriframe evidence collections --data evidence --json
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(super) struct CollectionsArgs {
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    store: StoreArgs,
}

/// Delete items, or a whole collection.
///
/// Examples:
///   veriframe evidence delete --collection faces a.png b.png --server 127.0.0.1:50051
///   veriframe evidence delete --collection faces --all --data evidence
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(super) struct DeleteArgs {
    /// Which collection.
    #[arg(long, value_name = "NAME")]
    collection: String,
    /// Ids of items.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    ids: Vec<String>,
    /// Delete the collection with all that is in it.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    store: StoreArgs,
}

impl EvidenceCommand {
    /// Where its evidence is.
    pub(super) fn store(&self) -> &StoreArgs {
        match self {
            Self::Ingest(args) => &args.store,
            Self::Search(args) => &args.store,
            Self::List(args) => &args.store,
            Self::Collections(args) => &args.store,
            Self::Delete(args) => &args.store,
            Self::Reembed(args) => &args.store,
            Self::Backup(args) => &args.store,
            Self::Restore(args) => &args.store,
        }
    }

    /// What it needs beside its evidence: what embeds nothing needs no model.
    fn needs(&self) -> Needs {
        match self {
            Self::Ingest(_) | Self::Search(_) | Self::Reembed(_) => Needs::Models,
            Self::List(_)
            | Self::Collections(_)
            | Self::Delete(_)
            | Self::Backup(_)
            | Self::Restore(_) => Needs::Store,
        }
    }
}

/// Runs the command.
pub(super) fn run(command: &EvidenceCommand, settings: &Settings) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        match command {
            EvidenceCommand::Backup(args) => return backup::backup(args, settings).await,
            EvidenceCommand::Restore(args) => return backup::restore(args, settings).await,
            EvidenceCommand::Ingest(_)
            | EvidenceCommand::Search(_)
            | EvidenceCommand::List(_)
            | EvidenceCommand::Collections(_)
            | EvidenceCommand::Delete(_)
            | EvidenceCommand::Reembed(_) => {}
        }
        let mut session = command.store().open(settings, command.needs()).await?;
        let client = &mut session.client;
        let done = match command {
            EvidenceCommand::Ingest(args) => ingest::run(args, client).await,
            EvidenceCommand::Search(args) => search::run(args, client).await,
            EvidenceCommand::List(args) => list(args, client).await,
            EvidenceCommand::Collections(args) => collections(args, client).await,
            EvidenceCommand::Delete(args) => delete(args, client).await,
            EvidenceCommand::Reembed(args) => reembed::run(args, client).await,
            EvidenceCommand::Backup(_) | EvidenceCommand::Restore(_) => Ok(()),
        };
        // A server of its own closes its store in any case.
        session.close().await?;
        done
    })
}

/// The embedded store's folder.
fn folder(settings: &Settings) -> PathBuf {
    settings.evidence.data_dir.clone()
}

/// The answer of a call.
fn answered<T>(answer: Result<tonic::Response<T>, tonic::Status>) -> anyhow::Result<T> {
    answer.map(tonic::Response::into_inner).map_err(|status| explained(&status))
}

async fn list(args: &ListArgs, client: &mut EvidenceClient) -> anyhow::Result<()> {
    let mut items = Vec::new();
    let mut page_token = String::new();
    loop {
        // As many as the server gives by itself: what it gives at most is its own affair.
        let request = v1::ListItemsRequest {
            collection: args.collection.clone(),
            page_size: None,
            page_token,
            filter: None,
        };
        let page = answered(client.list_items(request).await)?;
        items.extend(page.items);
        page_token = page.next_page_token;
        if page_token.is_empty() || items.len() >= args.limit {
            break;
        }
    }
    let more = !page_token.is_empty() || items.len() > args.limit;
    items.truncate(args.limit);
    if args.json {
        let items: Vec<Value> = items.iter().map(shown::item_json).collect();
        output::say(serde_json::to_string_pretty(&items)?);
        return Ok(());
    }
    let rows: Vec<Vec<String>> = items.iter().map(shown::item_row).collect();
    output::table(&["id", "text", "title", "source", "time"], &rows);
    if more {
        output::say("… and more: --limit");
    }
    Ok(())
}

async fn collections(args: &CollectionsArgs, client: &mut EvidenceClient) -> anyhow::Result<()> {
    let all = answered(client.list_collections(v1::ListCollectionsRequest {}).await)?.collections;
    if args.json {
        let all: Vec<Value> = all.iter().map(shown::collection_json).collect();
        output::say(serde_json::to_string_pretty(&all)?);
        return Ok(());
    }
    let rows: Vec<Vec<String>> = all.iter().map(shown::collection_row).collect();
    let head =
        ["collection", "model", "values", "items", "passages", "pictures", "boxes", "on disk"];
    output::table(&head, &rows);
    Ok(())
}

async fn delete(args: &DeleteArgs, client: &mut EvidenceClient) -> anyhow::Result<()> {
    let collection = args.collection.clone();
    if args.all {
        let request = v1::DeleteCollectionRequest { name: collection };
        answered(client.delete_collection(request).await)?;
        output::say(format_args!("collection {} is deleted", args.collection));
        return Ok(());
    }
    let mut deleted = 0;
    for ids in args.ids.chunks(DELETED) {
        let request = v1::DeleteItemsRequest { collection: collection.clone(), ids: ids.to_vec() };
        deleted += answered(client.delete_items(request).await)?.deleted;
    }
    output::say(json!({ "deleted": deleted, "asked": args.ids.len() }));
    Ok(())
}
