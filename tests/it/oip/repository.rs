//! Models that come and go through Triton's calls.

use std::collections::HashMap;
use std::sync::Arc;

use tonic::Code;
use veriframe::proto::inference as wire;
use veriframe::proto::inference::model_repository_parameter::ParameterChoice;
use veriframe::server::Config;
use veriframe::serving::{Catalog, Options};

use super::{Client, client, request, strings};
use crate::models::repository;
use crate::support::{TestServer, assert_refused, png};

async fn server(config: Config) -> (TestServer, Client) {
    let catalog = Arc::new(Catalog::new(Options::default(), Some(repository())));
    let server = TestServer::serving(config, catalog).await;
    let client = client(&server).await;
    (server, client)
}

fn load(name: &str) -> wire::RepositoryModelLoadRequest {
    wire::RepositoryModelLoadRequest { model_name: name.to_owned(), ..Default::default() }
}

/// As tritonclient sends it.
fn unload(name: &str) -> wire::RepositoryModelUnloadRequest {
    let flag = ParameterChoice::BoolParam(false);
    let flag = wire::ModelRepositoryParameter { parameter_choice: Some(flag) };
    wire::RepositoryModelUnloadRequest {
        model_name: name.to_owned(),
        parameters: HashMap::from([("unload_dependents".to_owned(), flag)]),
        ..Default::default()
    }
}

async fn index(client: &mut Client, ready: bool) -> Vec<(String, String)> {
    let request = wire::RepositoryIndexRequest { ready, ..Default::default() };
    let index = client.repository_index(request).await.unwrap().into_inner();
    let entry = |model: wire::repository_index_response::ModelIndex| {
        assert_eq!(model.reason.is_empty(), model.state == "READY", "{model:?}");
        (format!("{}@{}", model.name, model.version), model.state)
    };
    index.models.into_iter().map(entry).collect()
}

async fn is_ready(client: &mut Client, name: &str) -> bool {
    let request = wire::ModelReadyRequest { name: name.to_owned(), version: String::new() };
    client.model_ready(request).await.unwrap().into_inner().ready
}

#[tokio::test(flavor = "multi_thread")]
async fn models_are_loaded_listed_and_unloaded() {
    let (_server, mut client) = server(Config::default()).await;
    let metadata = client.server_metadata(wire::ServerMetadataRequest {}).await.unwrap();
    assert!(metadata.into_inner().extensions.iter().any(|known| known == "model_repository"));
    assert!(index(&mut client, true).await.is_empty());
    assert!(!is_ready(&mut client, "clip").await);

    client.repository_model_load(load("clip@1")).await.unwrap();
    client.repository_model_load(load("yolo")).await.unwrap();
    let ready = |id: &str| (id.to_owned(), "READY".to_owned());
    assert_eq!(index(&mut client, true).await, [ready("clip@1"), ready("yolo@1")]);
    let all = index(&mut client, false).await;
    assert_eq!(all[0], ready("clip@1"));
    assert_eq!(all[1], ("clip@2".to_owned(), "UNAVAILABLE".to_owned()));
    for name in ["clip", "clip_image", "yolo"] {
        assert!(is_ready(&mut client, name).await, "{name}");
    }
    let picture = || request("clip_image", vec![strings("IMAGE", &[png(0)])]);
    assert_eq!(client.model_infer(picture()).await.unwrap().into_inner().model_version, "1");

    client.repository_model_unload(unload("clip")).await.unwrap();
    assert_eq!(index(&mut client, true).await, [ready("yolo@1")]);
    assert!(!is_ready(&mut client, "clip").await && !is_ready(&mut client, "clip_image").await);
    assert_eq!(client.model_infer(picture()).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_loaded_or_unloaded_is_refused_and_changes_nothing() {
    let (_server, mut client) = server(Config::default()).await;
    client.repository_model_load(load("clip@1")).await.unwrap();
    for (name, code) in [
        ("clip@3", Code::FailedPrecondition),
        ("clip@9", Code::NotFound),
        ("nobody", Code::NotFound),
        ("../clip", Code::InvalidArgument),
    ] {
        let error = client.repository_model_load(load(name)).await.unwrap_err();
        assert_eq!(error.code(), code, "{name}: {error:?}");
    }
    let error = client.repository_model_unload(unload("clip_image")).await.unwrap_err();
    assert_eq!(error.code(), Code::NotFound, "{error:?}");
    let error = client.repository_model_load(load("")).await.unwrap_err();
    assert_refused(&error, "model_name", "no model is named");
    let mut overriding = load("clip@2");
    let parameter = ParameterChoice::StringParam("{}".to_owned());
    let parameter = wire::ModelRepositoryParameter { parameter_choice: Some(parameter) };
    overriding.parameters.insert("config".to_owned(), parameter);
    let error = client.repository_model_load(overriding).await.unwrap_err();
    assert_refused(&error, "parameters", "'config' is not taken");
    assert_eq!(index(&mut client, true).await, [("clip@1".to_owned(), "READY".to_owned())]);
}

#[tokio::test]
async fn nothing_is_offered_where_models_are_not_administered() {
    let config = Config { admin: Some(false), ..Config::default() };
    let (_server, mut client) = server(config).await;
    let metadata = client.server_metadata(wire::ServerMetadataRequest {}).await.unwrap();
    assert!(!metadata.into_inner().extensions.iter().any(|known| known == "model_repository"));
    let index = client.repository_index(wire::RepositoryIndexRequest::default()).await;
    let refused = [
        index.unwrap_err(),
        client.repository_model_load(load("clip")).await.unwrap_err(),
        client.repository_model_unload(unload("clip")).await.unwrap_err(),
    ];
    for error in refused {
        assert_eq!(error.code(), Code::Unimplemented, "{error:?}");
    }
}
