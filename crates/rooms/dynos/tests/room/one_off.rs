//! One-off dynos, from the wish to the last line.

use std::time::Duration;

use dynos::{Unjoined, Which, Wish};
use store::dynos::Attached;
use vocabulary::{DynoState, ProcessType, Secret};

use crate::{Case, quick};

fn wish(command: &str) -> Wish {
    let env = [("TERM".parse().unwrap(), Secret::new("xterm")), ("GREETING".parse().unwrap(), Secret::new("hi"))];
    let command = command.to_owned();
    Wish { command, env: env.into(), attached: None, size: None, process_type: None, time_to_live: None }
}

#[tokio::test]
async fn a_detached_one_off_dyno_runs_and_is_forgotten() {
    let mut case = Case::new(quick()).await;
    case.deploy(&[("worker", "work")]).await;
    let room = case.dynos();
    let (dyno, secret) = room.run_one_off(&case.app, wish("worker"), "ada@example.com").await.unwrap();
    assert!(secret.is_none());
    assert_eq!((dyno.command.as_str(), dyno.name.process_type().as_str()), ("work", "run"));
    assert!((1000..10_000).contains(&dyno.name.number()));
    case.until("up", |rows, _| rows.iter().any(|row| row.state == DynoState::Up)).await;
    let env = case.engine.env(dyno.id);
    assert_eq!(
        (env["TERM"].as_str(), env["GREETING"].as_str(), env["DYNO"].as_str()),
        ("xterm", "hi", &*dyno.name.to_string())
    );
    case.engine.end(dyno.id, engine::Exit { status: 0, out_of_memory: false });
    case.until("gone", |rows, engine| rows.is_empty() && engine.count() == 0).await;
    let name = dyno.name;
    case.is_in_order(&[
        "app[api]: Starting process with command `work` by user ada@example.com",
        &format!("heroku[{name}]: Starting process with command `work`"),
        &format!("heroku[{name}]: State changed from starting to up"),
        &format!("heroku[{name}]: Process exited with status 0"),
        &format!("heroku[{name}]: State changed from up to complete"),
    ]);
}

#[tokio::test]
async fn a_one_off_dyno_survives_a_deploy_a_restart_and_the_end_of_the_room() {
    let mut case = Case::new(quick()).await;
    case.deploy(&[("worker", "work")]).await;
    let (dyno, _) = case.dynos().run_one_off(&case.app, wish("work"), "ada@example.com").await.unwrap();
    case.until("up", |rows, _| rows.iter().any(|row| row.state == DynoState::Up)).await;
    case.kill_room().await;
    case.deploy(&[("worker", "work")]).await;
    case.dynos().restart(&case.app, &Which::All, "ada@example.com").await.unwrap();
    case.start_room();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(case.engine.running().len(), 1);
    let run = Which::TypeAndOneOffs(ProcessType::run());
    case.dynos().restart(&case.app, &run, "ada@example.com").await.unwrap();
    case.until("gone", |rows, engine| rows.is_empty() && engine.count() == 0).await;
    let starts = case.engine.requests().iter().filter(|text| text.starts_with("start")).count();
    assert_eq!(starts, 1);
    let name = dyno.name;
    case.is_in_order(&[
        &format!("heroku[{name}]: Stopping all processes with SIGTERM"),
        &format!("heroku[{name}]: Process exited with status 143"),
        &format!("heroku[{name}]: State changed from up to complete"),
    ]);
}

#[tokio::test]
async fn whoever_has_the_secret_meets_the_program_once() {
    let mut case = Case::new(quick()).await;
    case.deploy(&[("worker", "work")]).await;
    let room = case.dynos();
    let attached = Some(Attached { terminal: Some((80, 24)) });
    let wished = Wish { attached, ..wish("interrupted") };
    let (dyno, secret) = room.run_one_off(&case.app, wished, "ada@example.com").await.unwrap();
    let secret = secret.unwrap();
    let joined = room.join(secret.reveal()).await.unwrap();
    assert!(joined.is_terminal);
    let mut streams = std::os::unix::net::UnixStream::from(joined.streams);
    let mut text = String::new();
    std::io::Read::read_to_string(&mut streams, &mut text).unwrap();
    assert_eq!(text, "attached");
    assert!(matches!(room.join(secret.reveal()).await, Err(Unjoined::Unknown)));
    let name = dyno.name;
    case.until_said("Client connection closed. Sending SIGHUP to all processes").await;
    case.is_in_order(&[&format!("heroku[{name}]: Awaiting client")]);
    case.engine.end(dyno.id, engine::Exit { status: 129, out_of_memory: false });
    case.until("gone", |rows, _| rows.is_empty()).await;
}

#[tokio::test]
async fn a_client_of_a_dyno_that_cannot_start_is_told() {
    let case = Case::new(quick()).await;
    case.deploy(&[("worker", "work")]).await;
    case.engine.refuse_starts(true);
    let room = case.dynos();
    let wished = Wish { attached: Some(Attached { terminal: None }), ..wish("work") };
    let (_, secret) = room.run_one_off(&case.app, wished, "ada@example.com").await.unwrap();
    let joined = room.join(secret.unwrap().reveal()).await;
    assert!(matches!(joined, Err(Unjoined::NotStarted | Unjoined::Gone)), "{joined:?}");
}

#[tokio::test]
async fn one_off_dynos_need_code_and_have_a_number_at_most() {
    let mut case = Case::new(quick()).await;
    let room = case.dynos();
    let refused = room.run_one_off(&case.app, wish("work"), "ada@example.com").await;
    assert!(matches!(refused, Err(dynos::Error::Invalid(_))), "{refused:?}");
    case.deploy(&[("worker", "work")]).await;
    case.kill_room().await;
    for _ in 0..50 {
        room.run_one_off(&case.app, wish("work"), "ada@example.com").await.unwrap();
    }
    let refused = room.run_one_off(&case.app, wish("work"), "ada@example.com").await;
    assert!(matches!(refused, Err(dynos::Error::Invalid(_))), "{refused:?}");
}
