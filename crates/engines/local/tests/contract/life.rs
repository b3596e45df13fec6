//! Start, output, signals, ends, and what an engine finds when it comes back.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use engine::{Event, InstanceState, Refusal};
use loglines::ring::Stream;
use vocabulary::DynoId;

use crate::fixture::{Fixture, exec, pipe, shell, spec, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_program_runs_says_something_and_ends() {
    let mut fixture = Fixture::new().await;
    let id = fixture.start("echo hello; echo $MARK >&2; pwd; echo -n rest; exit 3").await;
    let first = fixture.event(|event| *event != Event::Connected).await;
    assert!(matches!(first, Event::Started { id: started, .. } if started == id), "{first:?}");
    let exit = fixture.exit(id).await;
    assert_eq!((exit.status, exit.out_of_memory), (3, false));
    let mut lines = fixture.output(id).await;
    lines.sort_by_key(|(stream, _)| *stream == Stream::Err);
    let lines: Vec<_> = lines.iter().map(|(stream, text)| (*stream, text.as_str())).collect();
    let out = Stream::Out;
    assert_eq!(lines, [(out, "hello"), (out, "/app"), (out, "rest"), (Stream::Err, "a config var")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_is_told_as_a_shell_tells_it() {
    let mut fixture = Fixture::new().await;
    assert_eq!(fixture.run("exit 0").await.0.status, 0);
    assert_eq!(fixture.run("kill -SEGV $$").await.0.status, 128 + 11);
    assert_eq!(fixture.run("kill -KILL $$").await.0.status, 128 + 9);
    assert_eq!(fixture.run("no-such-program").await.0.status, 127);
    let spec = spec();
    let id = spec.id;
    fixture.engine.start(spec, &exec(&["/no/such/program"]), vec![]).await.unwrap();
    assert_eq!(fixture.exit(id).await.status, 127);
}

#[tokio::test(flavor = "multi_thread")]
async fn profile_scripts_are_sourced_and_the_command_stays_data() {
    let mut fixture = Fixture::new().await;
    let setup = "mkdir -p /app/.profile.d; echo 'export ONE=1' > /app/.profile.d/one.sh; \
                 echo 'export TWO=$ONE$ONE' > /app/.profile; ";
    // The same script that init uses runs again in the shell it starts.
    let again = r#"exec /bin/bash -c "$(cat /proc/1/cmdline > /dev/null; echo '. /app/.profile.d/one.sh; . /app/.profile; echo $ONE $TWO')""#;
    assert_eq!(fixture.run(&format!("{setup}{again}")).await.1, ["1 11"]);
    assert_eq!(fixture.run(r#"echo '"; echo no; "' "$0" '$1'"#).await.1, [r#""; echo no; " /bin/bash $1"#]);
}

#[tokio::test(flavor = "multi_thread")]
async fn starting_twice_starts_once_and_what_is_gone_stays_gone() {
    let mut fixture = Fixture::new().await;
    let spec = spec();
    let id = spec.id;
    let launch = shell("echo once; sleep 600");
    let (one, two) = tokio::join!(
        fixture.engine.start(spec.clone(), &launch, vec![]),
        fixture.engine.start(spec.clone(), &launch, vec![]),
    );
    let three = fixture.engine.start(spec, &launch, vec![]).await.unwrap();
    assert_eq!((one.unwrap(), two.unwrap()), (three, three));
    assert_eq!(fixture.engine.list().await.unwrap().len(), 1);
    fixture.engine.remove(id).await.unwrap();
    fixture.exit(id).await;
    assert_eq!(fixture.engine.list().await.unwrap(), []);
    for _ in 0..2 {
        fixture.engine.remove(id).await.unwrap();
        fixture.engine.stop(id, Duration::ZERO).await.unwrap();
    }
    let unknown = fixture.engine.output(DynoId::new()).await;
    assert!(matches!(unknown, Err(engine::Error::Refused(Refusal::NotFound(_)))));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_start_leaves_nothing_behind() {
    let fixture = Fixture::new().await;
    let mut spec = spec();
    spec.image.stack = "no-such-stack".to_owned();
    let refused = fixture.engine.start(spec, &shell("true"), vec![]).await;
    assert!(matches!(refused, Err(engine::Error::Refused(Refusal::NotFound(_)))), "{refused:?}");
    assert_eq!(fixture.engine.list().await.unwrap(), []);
    until("no trace", || fixture.traces().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_reaches_every_process_and_waits_for_the_grace() {
    let mut fixture = Fixture::new().await;
    let polite =
        "trap 'wait; echo bye; exit 0' TERM; (trap 'echo child; exit' TERM; echo up; sleep 600 & wait) & wait; wait";
    let id = fixture.start(polite).await;
    assert_eq!(fixture.first_line(id).await, "up");
    fixture.engine.stop(id, Duration::from_mins(1)).await.unwrap();
    assert_eq!(fixture.exit(id).await.status, 0);
    let lines: Vec<String> = fixture.output(id).await.into_iter().map(|(_, text)| text).collect();
    assert!(lines.contains(&"bye".to_owned()) && lines.contains(&"child".to_owned()), "{lines:?}");

    let id = fixture.start("trap '' TERM; echo up; while true; do sleep 1; done").await;
    fixture.first_line(id).await;
    let asked = Instant::now();
    fixture.engine.stop(id, Duration::from_millis(700)).await.unwrap();
    let exit = fixture.exit(id).await;
    assert!((700..3_000).contains(&asked.elapsed().as_millis()), "{:?}", asked.elapsed());
    assert_eq!((exit.status, exit.out_of_memory), (137, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn orphans_are_reaped_and_end_with_the_program() {
    let mut fixture = Fixture::new().await;
    let orphans = "for i in 1 2 3 4 5; do (sleep 0.05 &) ; done; (sleep 600 &); sleep 0.5; \
                   for p in /proc/[0-9]*; do while read key value; do \
                   case $key in State:) case $value in Z*) echo zombie $p;; esac;; esac; done < $p/status; done; echo end";
    let (exit, lines) = fixture.run(orphans).await;
    assert_eq!((exit.status, lines), (0, vec!["end".to_owned()]));
    until("no trace", || fixture.traces().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn descriptors_arrive_under_their_numbers_and_no_others() {
    let mut fixture = Fixture::new().await;
    let (mut spec, (source_read, source_write), (read, write)) = (spec(), pipe(), pipe());
    spec.fds = vec![0, 6];
    let id = spec.id;
    std::fs::File::from(source_write).write_all(b"the source\n").unwrap();
    let command = "cat; echo /proc/self/fd/*; echo through six >&6; exec 6>&-; sleep 600";
    fixture.engine.start(spec, &shell(command), vec![source_read, write]).await.unwrap();
    let mut text = String::new();
    // Ends although the instance still runs: nobody else holds the writing end.
    let text = tokio::task::spawn_blocking(move || std::fs::File::from(read).read_to_string(&mut text).map(|_| text));
    let text = tokio::time::timeout(crate::fixture::PATIENCE, text).await.unwrap().unwrap().unwrap();
    assert_eq!(text, "through six\n");
    fixture.engine.stop(id, Duration::from_secs(5)).await.unwrap();
    fixture.exit(id).await;
    let lines: Vec<String> = fixture.output(id).await.into_iter().map(|(_, text)| text).collect();
    assert_eq!(lines[0], "the source");
    // The shell that lists the folder has that open too.
    let open: Vec<&str> = lines[1].split(' ').map(|path| path.trim_start_matches("/proc/self/fd/")).collect();
    assert!(open == ["0", "1", "2", "3", "6"], "{open:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_engine_finds_what_runs_and_what_ended_meanwhile() {
    let mut fixture = Fixture::new().await;
    let lasting = fixture.start("echo up; trap 'exit 5' TERM; while true; do sleep 0.1; done").await;
    fixture.first_line(lasting).await;
    let brief = fixture.start("echo up; sleep 0.5; exit 7").await;
    fixture.first_line(brief).await;
    fixture.stop_engine();
    let exit = fixture.data().join("dynos").join(brief.to_string()).join(shim::EXIT);
    until("the shim records the end", || exit.exists()).await;
    fixture.start_engine();
    let mut listed = fixture.engine.list().await;
    while listed.is_err() {
        listed = fixture.engine.list().await;
    }
    let state = |id| listed.as_ref().unwrap().iter().find(|status| status.spec.id == id).unwrap().state;
    assert_eq!(state(lasting), InstanceState::Running { listening: None });
    assert!(matches!(state(brief), InstanceState::Exited(exit) if exit.status == 7));
    fixture.engine.stop(lasting, Duration::from_secs(30)).await.unwrap();
    assert_eq!(fixture.exit(lasting).await.status, 5);
    for id in [lasting, brief] {
        assert_eq!(fixture.output(id).await[0].1, "up");
        fixture.engine.remove(id).await.unwrap();
    }
    until("no trace", || fixture.traces().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_does_not_outlive_its_shim() {
    let mut fixture = Fixture::new().await;
    let id = fixture.start("echo up; sleep 600").await;
    fixture.first_line(id).await;
    rustix::process::kill_process(shim_of(&fixture, id), rustix::process::Signal::KILL).unwrap();
    assert_eq!(fixture.exit(id).await.status, 137);
    fixture.engine.remove(id).await.unwrap();
    until("no trace", || fixture.traces().is_empty()).await;
}

/// The parent of the instance's process 1.
fn shim_of(fixture: &Fixture, id: DynoId) -> rustix::process::Pid {
    let groups = fixture.traces().into_iter().filter(|path| path.ends_with(&id.to_string()));
    let procs = groups.filter_map(|path| std::fs::read_to_string(format!("{path}/cgroup.procs")).ok());
    let pids: Vec<i32> =
        procs.flat_map(|text| text.lines().map(|pid| pid.parse().unwrap()).collect::<Vec<_>>()).collect();
    let parent = |pid: &i32| -> Option<i32> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
    };
    let outside = pids.iter().filter_map(parent).find(|parent| !pids.contains(parent));
    rustix::process::Pid::from_raw(outside.unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_starts_leave_no_trace() {
    let fixture = Fixture::new().await;
    let mounts = || std::fs::read_to_string("/proc/self/mountinfo").unwrap().matches(&fixture.install).count();
    let before = mounts();
    for _ in 0..20 {
        let id = fixture.start("echo up; sleep 600").await;
        fixture.first_line(id).await;
        fixture.engine.remove(id).await.unwrap();
    }
    until("no trace", || fixture.traces().is_empty()).await;
    assert_eq!(mounts(), before);
}
