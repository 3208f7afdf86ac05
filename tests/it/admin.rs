//! The operator's calls over the wire.

use std::sync::Arc;
use std::time::Duration;

use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;
use veriframe::proto::v1;
use veriframe::proto::v1::admin_service_client::AdminServiceClient;
use veriframe::server::Config;
use veriframe::serving::{Catalog, Options};

use crate::models::repository;
use crate::support::{TestServer, fields, good};

type Admin = AdminServiceClient<Channel>;

async fn server(options: Options) -> (TestServer, Admin) {
    let catalog = Arc::new(Catalog::new(options, Some(repository())));
    let server = TestServer::serving(Config::default(), catalog).await;
    let admin = Admin::new(server.channel().await);
    (server, admin)
}

fn load(name: &str, version: Option<&str>) -> v1::LoadModelRequest {
    v1::LoadModelRequest { name: name.to_owned(), version: version.map(str::to_owned) }
}

fn unload(name: &str, version: Option<&str>) -> v1::UnloadModelRequest {
    v1::UnloadModelRequest { name: name.to_owned(), version: version.map(str::to_owned) }
}

fn swap(name: &str, version: &str) -> v1::SwapModelRequest {
    let version = Some(version.to_owned());
    v1::SwapModelRequest { name: name.to_owned(), version, alias: None }
}

fn id(model: &v1::ModelStatus) -> String {
    let identity = model.identity.as_ref().unwrap();
    format!("{}@{}", identity.name, identity.version)
}

fn is(version: Option<&v1::ModelVersion>, expected: &str) -> bool {
    version.map(|v| format!("{}@{}", v.name, v.version)).unwrap_or_default() == expected
}

#[tokio::test(flavor = "multi_thread")]
async fn models_are_loaded_swapped_renamed_and_unloaded() {
    let (server, mut admin) = server(Options::default()).await;
    let mut client = server.client().await;
    let missing = client.verify(good()).await.unwrap_err();
    assert_eq!(missing.code(), Code::NotFound, "{missing:?}");

    let loaded = admin.load_model(load("clip", Some("1"))).await.unwrap().into_inner();
    let loaded = loaded.model.unwrap();
    assert_eq!((id(&loaded).as_str(), loaded.state()), ("clip@1", v1::ModelState::Ready));
    assert_eq!((loaded.kind(), loaded.is_default), (v1::ModelKind::Clip, true));
    assert!(loaded.since.is_some());
    let replicas = loaded.load.unwrap();
    assert_eq!((replicas.replicas, replicas.healthy_replicas), (1, 1));
    assert_eq!(replicas.states, [i32::from(v1::ReplicaState::Ready)]);

    let index = admin.index_models(v1::IndexModelsRequest {}).await.unwrap().into_inner();
    let states: Vec<_> = index.models.iter().map(|model| (id(model), model.state())).collect();
    let (ready, available) = (v1::ModelState::Ready, v1::ModelState::Available);
    let expected = [
        ("clip@1".to_owned(), ready),
        ("clip@2".to_owned(), available),
        ("clip@3".to_owned(), available),
        ("clip@4".to_owned(), available),
        ("yolo@1".to_owned(), available),
    ];
    assert_eq!(states, expected);

    let swapped = admin.swap_model(swap("clip", "2")).await.unwrap().into_inner();
    assert!(is(swapped.now.as_ref(), "clip@2") && is(swapped.before.as_ref(), "clip@1"));
    assert!(swapped.unloaded);
    let answer = client.verify(good()).await.unwrap().into_inner();
    assert_eq!(answer.similarity.unwrap().model.unwrap().version, "2");

    let alias = |name: &str| v1::SetAliasRequest {
        alias: "current".to_owned(),
        name: name.to_owned(),
        version: None,
    };
    assert!(admin.set_alias(alias("clip")).await.unwrap().into_inner().before.is_none());
    let request = v1::EmbedRequest {
        model: Some("current".to_owned()),
        texts: vec!["a face".to_owned()],
        ..v1::EmbedRequest::default()
    };
    let answer = client.embed(request).await.unwrap().into_inner();
    assert_eq!(answer.model.unwrap().name, "clip", "an answer names the model, not the alias");
    let delete = |alias: &str| v1::DeleteAliasRequest { alias: alias.to_owned() };
    // The swap has set what the bare name stands for.
    let kept = admin.unload_model(unload("clip", Some("2"))).await.unwrap_err();
    assert_eq!(kept.code(), Code::FailedPrecondition, "{kept:?}");
    for name in ["current", "clip"] {
        let before = admin.delete_alias(delete(name)).await.unwrap().into_inner().before;
        assert!(is(before.as_ref(), "clip@2"));
    }
    let gone = admin.unload_model(unload("clip", Some("2"))).await.unwrap().into_inner();
    assert!(is(gone.unloaded.first(), "clip@2"));
    assert_eq!(client.verify(good()).await.unwrap_err().code(), Code::NotFound);
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_change_says_what_to_do_and_what_served_serves_on() {
    let (server, mut admin) = server(Options::default()).await;
    admin.load_model(load("clip", Some("1"))).await.unwrap();
    let check = |status: Status, code: Code, part: &str| {
        assert_eq!(status.code(), code, "{status:?}");
        assert!(status.message().contains(part), "{status:?}");
        status
    };
    let unknown = admin.load_model(load("other", None)).await.unwrap_err();
    let unknown = check(unknown, Code::NotFound, "yolo@1");
    assert!(unknown.get_error_details().resource_info().is_some());
    let crooked = admin.load_model(load("../clip", None)).await.unwrap_err();
    assert_eq!(fields(&check(crooked, Code::InvalidArgument, "'../clip'")), ["name"]);
    let joined = admin.load_model(load("clip@2", None)).await.unwrap_err();
    assert_eq!(fields(&check(joined, Code::InvalidArgument, "field of its own")), ["name"]);
    let broken = admin.swap_model(swap("clip", "3")).await.unwrap_err();
    let broken = check(broken, Code::FailedPrecondition, "clip@3 cannot be served");
    assert!(broken.get_error_details().precondition_failure().is_some());
    let absent = admin.unload_model(unload("yolo", None)).await.unwrap_err();
    check(absent, Code::NotFound, "clip@1");

    let status = admin.get_server_status(v1::GetServerStatusRequest {}).await.unwrap();
    let status = status.into_inner();
    assert_eq!((status.phase(), status.ready), (v1::ServerPhase::Serving, true));
    assert!(status.uptime.is_some() && !status.version.is_empty());
    let failed = status.models.iter().find(|model| id(model) == "clip@3").unwrap();
    assert_eq!(failed.state(), v1::ModelState::Failed);
    assert!(failed.reason.contains("clip@3"), "{}", failed.reason);
    let answer = server.client().await.verify(good()).await.unwrap().into_inner();
    assert_eq!(answer.similarity.unwrap().model.unwrap().version, "1");
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_whose_deadline_passes_goes_on() {
    let (server, mut admin) = server(Options::default()).await;
    let mut request = Request::new(load("clip", Some("1")));
    request.set_timeout(Duration::from_nanos(1));
    let late = admin.load_model(request).await.unwrap_err();
    assert!(matches!(late.code(), Code::DeadlineExceeded | Code::Cancelled), "{late:?}");
    // Whether or not the request was read in time, asking again ends in a loaded model.
    loop {
        match admin.load_model(load("clip", Some("1"))).await {
            Ok(loaded) => break assert_eq!(id(&loaded.into_inner().model.unwrap()), "clip@1"),
            Err(status) => assert_eq!(status.code(), Code::Aborted, "{status:?}"),
        }
    }
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn administration_that_is_not_offered_is_not_there() {
    let config = Config { admin: Some(false), ..Config::default() };
    let server = TestServer::with(config).await;
    let mut admin = Admin::new(server.channel().await);
    let refused = admin.index_models(v1::IndexModelsRequest {}).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented, "{refused:?}");
}
