//! Limits on connections, and on what they send before a call is one.

use std::io::{Read, Write};
use std::net::TcpStream;

use veriframe::server::connections;

use super::*;

fn limited(connections: connections::Config) -> Config {
    Config { connections, ..Config::default() }
}

/// What the server sends of itself until it closes.
async fn last_words(mut stream: TcpStream) -> Vec<u8> {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    tokio::task::spawn_blocking(move || {
        let mut words = Vec::new();
        stream.read_to_end(&mut words).unwrap();
        words
    })
    .await
    .unwrap()
}

/// Reads HTTP/2 frames until the server says that it takes no more calls.
fn read_until_goaway(mut stream: TcpStream) {
    const GOAWAY: u8 = 7;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        stream.read_exact(&mut vec![0; length as usize]).unwrap();
        if head[3] == GOAWAY {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_beyond_the_limit_is_told_and_the_others_go_on() {
    for (config, reason) in [
        (
            connections::Config { max_connections: 1, ..Default::default() },
            "1 connections are open, limit 1",
        ),
        (
            connections::Config { max_connections_per_address: 1, ..Default::default() },
            "1 connections of this address are open, limit 1",
        ),
    ] {
        let server = TestServer::with(limited(config)).await;
        let first = server.channel().await;
        answers(first.clone()).await.unwrap();
        let words = last_words(TcpStream::connect(server.address).unwrap()).await;
        assert_eq!(words[..9], [0, 0, 0, 4, 0, 0, 0, 0, 0], "HTTP/2 begins with SETTINGS");
        assert_eq!(words[12], 7, "then comes GOAWAY");
        assert!(String::from_utf8_lossy(&words).ends_with(reason), "{words:?}");
        answers(first.clone()).await.unwrap();
        drop(first);
        // The place is free when the server has noticed.
        until(async || {
            let endpoint = Channel::from_shared(format!("http://{}", server.address)).unwrap();
            answers(endpoint.connect().await.map_err(drop)?).await.map_err(drop)
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_connection_takes_no_new_calls_and_its_stream_goes_on() {
    let max_age = Duration::from_millis(100);
    let config = connections::Config { max_age, ..Default::default() };
    let server = TestServer::with(limited(config)).await;
    let mut client = server.client().await;
    let (frames, requests) = Conversation::requests();
    let answers_of = in_time(client.verify_stream(requests)).await.unwrap().into_inner();
    let mut stream = Conversation { frames, answers: answers_of, sent: 0 };
    stream.go_on().await.unwrap();
    // This one came later: when it is too old, so is the stream's.
    let mut idle = TcpStream::connect(server.address).unwrap();
    idle.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
    tokio::task::spawn_blocking(move || read_until_goaway(idle)).await.unwrap();
    stream.go_on().await.unwrap();
    answers(server.channel().await).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_does_not_begin_is_closed() {
    let opening_limit = Duration::from_millis(50);
    let config = connections::Config { opening_limit, ..Default::default() };
    let server = TestServer::with(limited(config)).await;
    let silent = TcpStream::connect(server.address).unwrap();
    let mut slow = TcpStream::connect(server.address).unwrap();
    slow.write_all(b"PRI * HTTP/2.0").unwrap();
    for stream in [silent, slow] {
        // What comes first is the server's own beginning.
        last_words(stream).await;
    }
    answers(server.channel().await).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_beyond_the_limit_are_refused_and_the_connection_goes_on() {
    let max_header_bytes = 4 << 10;
    let config = connections::Config { max_header_bytes, ..Default::default() };
    let server = TestServer::with(limited(config)).await;
    let channel = server.channel().await;
    let call = async |bytes: usize| {
        let mut request = Request::new(v1::ListModelsRequest::default());
        request.metadata_mut().insert("x-long", "x".repeat(bytes).parse().unwrap());
        in_time(Client::new(channel.clone()).list_models(request)).await.map(drop)
    };
    call(2 << 10).await.unwrap();
    assert_ne!(call(8 << 10).await.unwrap_err().code(), Code::Ok);
    call(2 << 10).await.unwrap();
}
