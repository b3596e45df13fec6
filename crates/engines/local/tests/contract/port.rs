//! How an instance's port is noticed.

use std::net::SocketAddrV4;

use engine::{Event, InstanceState};

use crate::fixture::{Fixture, spec};

/// Listens without any module: the stack of the tests has none.
fn listen(address: [u8; 4], port: u16) -> String {
    let [a, b, c, d] = address;
    format!(
        r#"exec perl -e 'socket(S, 2, 1, 6) or die $!; bind(S, pack("Sna4x8", 2, {port}, pack("C4", {a}, {b}, {c}, {d}))) or die $!; listen(S, 5) or die $!; while (accept(C, S)) {{ syswrite C, "hi"; close C }}'"#
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn listening_is_told_and_the_host_can_connect() {
    let mut fixture = Fixture::new().await;
    let mut spec = spec();
    spec.port = Some(5000);
    let id = spec.id;
    fixture.start_as(spec, &listen([0, 0, 0, 0], 5000)).await;
    let event = fixture.event(|event| matches!(event, Event::Listening { .. } | Event::Exited { .. })).await;
    let Event::Listening { id: told, address } = event else { panic!("{event:?}: {:?}", fixture.output(id).await) };
    assert_eq!((told, address.port()), (id, 5000));
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let mut text = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut text).await.unwrap();
    assert_eq!(text, "hi");
    let listed = fixture.engine.list().await.unwrap();
    let expected = SocketAddrV4::new(listed[0].address, 5000);
    assert_eq!(listed[0].state, InstanceState::Running { listening: Some(expected) });
}

#[tokio::test(flavor = "multi_thread")]
async fn loopback_only_is_told_once_and_is_not_listening() {
    let mut fixture = Fixture::new().await;
    let mut spec = spec();
    spec.port = Some(5000);
    let command = format!("sleep 1 & {}", listen([127, 0, 0, 1], 5000));
    let id = fixture.start_as(spec, &command).await;
    let of_port = |event: &Event| matches!(event, Event::Listening { .. } | Event::LoopbackOnly { .. });
    assert_eq!(fixture.event(of_port).await, Event::LoopbackOnly { id });
    fixture.engine.stop(id, std::time::Duration::from_millis(500)).await.unwrap();
    let next = fixture.event(|event| of_port(event) || matches!(event, Event::Exited { .. })).await;
    assert!(matches!(next, Event::Exited { .. }), "{next:?}");
}
