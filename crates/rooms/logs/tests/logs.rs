//! The logs of apps as parts write them and clients read them, across restarts.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

use std::path::Path;

use loglines::{LogLine, LogSink, Source};
use logs::{Filter, Logs, Tail};
use vocabulary::AppId;

fn start(folder: &Path) -> (Logs, LogSink, tokio::task::JoinHandle<()>) {
    let (sink, queue) = LogSink::new();
    let logs = Logs::new(folder.to_owned(), None);
    let running = tokio::spawn(logs.clone().run(queue));
    (logs, sink, running)
}

fn say(sink: &LogSink, app: AppId, dyno: &str, text: impl Into<String>) {
    sink.send(LogLine::now(app, Source::Heroku, dyno, text));
}

fn of(dyno: &str) -> Filter {
    Filter { dyno: Some(dyno.to_owned()), ..Filter::default() }
}

/// Everything up to the end.
async fn rest(mut tail: Tail) -> (u64, Vec<String>) {
    let (mut newest, mut texts) = (0, Vec::new());
    while let Some((id, lines)) = tail.next().await {
        newest = id;
        texts.extend(lines.into_iter().map(|line| line.text));
    }
    (newest, texts)
}

/// The next lines, at least so many.
async fn some(tail: &mut Tail, count: usize) -> (u64, Vec<String>) {
    let (mut newest, mut texts) = (0, Vec::new());
    while texts.len() < count {
        let (id, lines) = tail.next().await.unwrap();
        newest = id;
        texts.extend(lines.into_iter().map(|line| line.text));
    }
    (newest, texts)
}

/// Says lines to a room of its own, and ends it.
async fn said(folder: &Path, app: AppId, lines: impl Iterator<Item = String>) {
    let (_, sink, running) = start(folder);
    for line in lines {
        say(&sink, app, "web.1", line);
    }
    drop(sink);
    running.await.unwrap();
}

#[tokio::test]
async fn recent_lines_are_read_by_number_and_filter() {
    let folder = tempfile::tempdir().unwrap();
    let (logs, sink, running) = start(folder.path());
    let (app, other) = (AppId::new(), AppId::new());
    for (dyno, text) in [("web.1", "one"), ("worker.1", "two"), ("web.2", "three"), ("web.1", "four")] {
        say(&sink, app, dyno, text);
    }
    say(&sink, other, "web.1", "not ours");
    drop(sink);
    running.await.unwrap();
    let read = async |filter, lines, after| rest(logs.read(app, filter, lines, false, after).await).await;
    assert_eq!(
        read(Filter::default(), 100, None).await,
        (4, ["one", "two", "three", "four"].map(str::to_owned).into())
    );
    assert_eq!(read(Filter::default(), 2, None).await.1, ["three", "four"]);
    assert_eq!(read(of("web"), 2, None).await.1, ["three", "four"]);
    assert_eq!(read(of("web"), 3, None).await.1, ["one", "three", "four"]);
    assert_eq!(read(of("worker.1"), 100, None).await.1, ["two"]);
    assert_eq!(read(Filter { source: Some(Source::App), dyno: None }, 100, None).await.1, [""; 0]);
    assert_eq!(read(Filter::default(), 100, Some(3)).await.1, ["four"]);
    assert_eq!(read(Filter::default(), 100, Some(4)).await.1, [""; 0]);
    assert_eq!(read(Filter::default(), 0, None).await.1, [""; 0]);
}

#[tokio::test]
async fn an_app_without_lines_has_an_empty_log() {
    let folder = tempfile::tempdir().unwrap();
    let (logs, _sink, _running) = start(folder.path());
    assert_eq!(rest(logs.read(AppId::new(), Filter::default(), 100, false, None).await).await.1, [""; 0]);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_tail_gets_recent_lines_and_then_every_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let (logs, sink, _running) = start(folder.path());
    let app = AppId::new();
    let mut early = logs.read(app, of("web"), 100, true, None).await;
    say(&sink, app, "web.1", "one");
    say(&sink, app, "worker.1", "not wanted");
    // The id is that of the last line looked at, so that one which does not pass is not looked at again.
    assert_eq!(some(&mut early, 1).await, (2, vec!["one".to_owned()]));
    let mut late = logs.read(app, of("web"), 100, true, None).await;
    say(&sink, app, "web.1", "two");
    assert_eq!(some(&mut early, 1).await, (3, vec!["two".to_owned()]));
    assert_eq!(some(&mut late, 2).await, (3, vec!["one".to_owned(), "two".to_owned()]));
    let mut again = logs.read(app, Filter::default(), 100, true, Some(2)).await;
    assert_eq!(some(&mut again, 1).await.1, ["two"]);
}

#[tokio::test]
async fn ids_grow_over_restarts_and_the_newest_lines_stay() {
    let folder = tempfile::tempdir().unwrap();
    let app = AppId::new();
    for part in 0..4u64 {
        said(folder.path(), app, (0..1100).map(|line| format!("{}", part * 1100 + line))).await;
    }
    let (logs, _sink, _running) = start(folder.path());
    let (newest, texts) = rest(logs.read(app, Filter::default(), 9999, false, None).await).await;
    assert_eq!(newest, 4400);
    assert_eq!(texts, (2900..4400).map(|line| line.to_string()).collect::<Vec<_>>());
    assert!(std::fs::read_dir(folder.path().join(app.to_string())).unwrap().count() <= 2);
}

#[tokio::test]
async fn a_torn_end_is_cut_and_lines_go_on_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let app = AppId::new();
    let lines = || ["one", "two", "three"].into_iter().map(str::to_owned);
    said(folder.path(), app, lines()).await;
    let file = std::fs::read_dir(folder.path().join(app.to_string())).unwrap().next().unwrap().unwrap().path();
    let whole = std::fs::read(&file).unwrap();
    for length in 0..whole.len() {
        std::fs::write(&file, &whole[..length]).unwrap();
        said(folder.path(), app, std::iter::once("new".to_owned())).await;
        let (logs, _sink, running) = start(folder.path());
        let (newest, texts) = rest(logs.read(app, Filter::default(), 9, false, None).await).await;
        let expected: Vec<String> = lines().take(texts.len() - 1).chain(["new".to_owned()]).collect();
        assert_eq!((newest, texts), (expected.len() as u64, expected), "cut at {length} of {}", whole.len());
        running.abort();
    }
}

#[tokio::test]
async fn a_slow_reader_is_told_what_it_missed() {
    let folder = tempfile::tempdir().unwrap();
    let (logs, sink, running) = start(folder.path());
    let app = AppId::new();
    let mut slow = logs.read(app, Filter::default(), 0, true, None).await;
    let lines = 10_000;
    for line in 0..lines {
        say(&sink, app, "web.1", line.to_string());
    }
    drop(sink);
    running.await.unwrap();
    let (mut texts, mut dropped) = (Vec::new(), 0);
    while texts.last().is_none_or(|text| text != "9999") {
        for line in slow.next().await.unwrap().1 {
            if line.dyno == "logplex" {
                let count = line.text.split_whitespace().nth(5).unwrap();
                dropped += count.parse::<usize>().unwrap();
            } else {
                texts.push(line.text);
            }
        }
    }
    assert_eq!(dropped + texts.len(), lines);
    assert!((1500..=3000).contains(&texts.len()), "{}", texts.len());
}

#[tokio::test]
async fn a_forgotten_app_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let (logs, sink, running) = start(folder.path());
    let (app, kept) = (AppId::new(), AppId::new());
    let mut tail = logs.read(app, Filter::default(), 100, true, None).await;
    say(&sink, app, "web.1", "one");
    say(&sink, kept, "web.1", "kept");
    some(&mut tail, 1).await;
    logs.forget(app).await;
    assert!(tail.next().await.is_none());
    say(&sink, app, "web.1", "late");
    drop(sink);
    running.await.unwrap();
    assert!(!folder.path().join(app.to_string()).exists());
    assert!(logs.read(app, Filter::default(), 100, true, None).await.next().await.is_none());
    logs.forget_others(vec![]).await;
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
