//! The ring against a simple model, and against broken files.

use std::collections::VecDeque;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use proptest::prelude::*;
use tempfile::NamedTempFile;
use vocabulary::Timestamp;

use super::{Batch, MIN_CAPACITY, Reader, Record, Stream, Writer};

fn ring(capacity: u64) -> (NamedTempFile, Writer) {
    let file = tempfile::Builder::new().tempfile_in("/dev/shm").unwrap();
    let writer = Writer::create(file.reopen().unwrap(), capacity).unwrap();
    (file, writer)
}

fn reader(file: &NamedTempFile, after: u64) -> Reader {
    Reader::new(OwnedFd::from(File::open(file.path()).unwrap()), after).unwrap()
}

fn push(writer: &mut Writer, text: &[u8]) {
    writer.push(Stream::Out, Timestamp::from_micros(7), text).unwrap();
}

fn texts(batch: &Batch) -> Vec<String> {
    batch.records.iter().map(|record| String::from_utf8(record.text.clone()).unwrap()).collect()
}

#[tokio::test]
async fn lines_come_as_they_were_written_and_then_the_end() {
    let (file, mut writer) = ring(MIN_CAPACITY);
    writer.push(Stream::Out, Timestamp::from_micros(1), b"one").unwrap();
    writer.push(Stream::Err, Timestamp::from_micros(-2), b"").unwrap();
    writer.end().unwrap();
    let mut reader = reader(&file, 0);
    let batch = reader.next().await.unwrap();
    let record = |sequence, time, stream, text: &[u8]| Record {
        sequence,
        time: Timestamp::from_micros(time),
        stream,
        text: text.to_vec(),
    };
    assert_eq!(batch.records, [record(1, 1, Stream::Out, b"one"), record(2, -2, Stream::Err, b"")]);
    assert!(!batch.ended && batch.dropped == 0);
    let batch = reader.next().await.unwrap();
    assert!(batch.ended && batch.records.is_empty());
}

#[tokio::test]
async fn reading_resumes_after_a_sequence() {
    let (file, mut writer) = ring(MIN_CAPACITY);
    for line in ["one", "two", "three"] {
        push(&mut writer, line.as_bytes());
    }
    let batch = reader(&file, 2).next().await.unwrap();
    assert_eq!((texts(&batch), batch.dropped), (vec!["three".to_owned()], 0));
}

#[tokio::test]
async fn a_waiting_reader_wakes_and_a_dropped_wait_loses_nothing() {
    let (file, mut writer) = ring(MIN_CAPACITY);
    let mut reader = reader(&file, 0);
    for round in 0..20 {
        assert!(tokio::time::timeout(Duration::from_millis(2), reader.next()).await.is_err());
        let text = format!("line {round}");
        let began = tokio::time::Instant::now();
        let (batch, ()) = tokio::join!(reader.next(), async { push(&mut writer, text.as_bytes()) });
        assert_eq!(texts(&batch.unwrap()), [text]);
        assert!(began.elapsed() < Duration::from_millis(900), "the wait ended by the timer only");
    }
}

#[tokio::test]
async fn two_hundred_waiting_readers_wake_and_readers_of_one_ring_all_do() {
    let mut rings: Vec<_> = (0..200).map(|_| ring(MIN_CAPACITY)).collect();
    let mut readers: Vec<_> = rings.iter().map(|(file, _)| reader(file, 0)).collect();
    let mut again = reader(&rings[0].0, 0);
    for reader in readers.iter_mut().chain([&mut again]) {
        assert!(tokio::time::timeout(Duration::from_millis(1), reader.next()).await.is_err());
    }
    let began = tokio::time::Instant::now();
    for ((_, writer), reader) in rings.iter_mut().zip(&mut readers) {
        let (batch, ()) = tokio::join!(reader.next(), async { push(writer, b"new") });
        assert_eq!(texts(&batch.unwrap()), ["new"]);
    }
    assert_eq!(texts(&again.next().await.unwrap()), ["new"]);
    drop(again);
    let (_, writer) = &mut rings[0];
    let (batch, ()) = tokio::join!(readers[0].next(), async { push(writer, b"newer") });
    assert_eq!(texts(&batch.unwrap()), ["newer"]);
    assert!(began.elapsed() < Duration::from_secs(20), "the waits ended by the timer only");
}

#[test]
fn staged_lines_are_seen_once_flushed() {
    let (file, mut writer) = ring(MIN_CAPACITY);
    let mut reader = reader(&file, 0);
    writer.stage(Stream::Out, Timestamp::from_micros(7), b"one").unwrap();
    assert!(reader.take().unwrap().records.is_empty());
    writer.flush().unwrap();
    assert_eq!(texts(&reader.take().unwrap()), ["one"]);
}

#[test]
fn what_does_not_fit_is_refused() {
    let (file, mut writer) = ring(MIN_CAPACITY);
    assert!(writer.push(Stream::Out, Timestamp::from_micros(7), &[b'x'; 10_001]).is_err());
    push(&mut writer, &[b'x'; 10_000]);
    assert_eq!(reader(&file, 0).take().unwrap().records.len(), 1);
    assert!(Writer::create(file.reopen().unwrap(), MIN_CAPACITY - 1).is_err());
}

#[derive(Debug, Clone)]
enum Step {
    Push(usize, bool),
    Read,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let length = prop_oneof![8 => 0usize..300, 1 => 0usize..=10_000];
    let step = prop_oneof![5 => (length, any::<bool>()).prop_map(|(l, s)| Step::Push(l, s)), 1 => Just(Step::Read)];
    prop::collection::vec(step, 1..400)
}

/// Reads all there is and compares it with what the model still has: the newest lines, and how many are missing.
fn compare(reader: &mut Reader, unread: &mut VecDeque<(u64, Vec<u8>)>) {
    let (mut records, mut dropped) = (Vec::new(), 0);
    loop {
        let batch = reader.take().unwrap();
        if batch.records.is_empty() {
            break;
        }
        dropped += batch.dropped;
        records.extend(batch.records);
    }
    assert_eq!(dropped, (unread.len() - records.len()) as u64);
    let newest = unread.split_off(unread.len() - records.len());
    assert_eq!(records.into_iter().map(|record| (record.sequence, record.text)).collect::<VecDeque<_>>(), newest);
    unread.clear();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn any_interleaving_reads_a_suffix_and_counts_the_rest(steps in steps(), capacity in 16u64 * 1024..40_000) {
        let (file, mut writer) = ring(capacity);
        let mut reader = reader(&file, 0);
        let mut unread = VecDeque::new();
        let (mut sequence, mut bytes) = (0, 0);
        for step in steps {
            match step {
                Step::Push(length, staged) => {
                    sequence += 1;
                    let text = vec![u8::try_from(sequence % 251).unwrap(); length];
                    writer.stage(Stream::Out, Timestamp::from_micros(7), &text).unwrap();
                    unread.push_back((sequence, text));
                    bytes += 24 + length as u64;
                    if !staged { writer.flush().unwrap(); }
                }
                Step::Read => {
                    writer.flush().unwrap();
                    compare(&mut reader, &mut unread);
                }
            }
        }
        writer.flush().unwrap();
        let everything = self::reader(&file, 0).take().unwrap();
        let least = bytes.min(capacity - capacity / 64 - 10_024);
        let kept: u64 = everything.records.iter().map(|record| 24 + record.text.len() as u64).sum();
        prop_assert!(kept >= least, "{kept} of {bytes} kept in {capacity}");
        compare(&mut reader, &mut unread);
    }

    #[test]
    fn broken_files_neither_panic_nor_loop(
        at in prop_oneof![0u64..120, 4090u64..20_000],
        garbage in prop::collection::vec(any::<u8>(), 1..64),
    ) {
        let (file, mut writer) = ring(MIN_CAPACITY);
        for line in 0..600 {
            push(&mut writer, format!("line {line}").as_bytes());
        }
        file.as_file().write_all_at(&garbage, at).unwrap();
        let Ok(mut reader) = Reader::new(OwnedFd::from(file.reopen().unwrap()), 0) else { return Ok(()) };
        for _ in 0..40 {
            let Ok(batch) = reader.take() else { return Ok(()) };
            prop_assert!(batch.records.len() <= 600);
        }
    }
}

#[test]
fn a_reader_beside_a_fast_writer_sees_whole_lines_in_order() {
    let (file, mut writer) = ring(64 * 1024);
    let lines = 60_000u64;
    let writing = std::thread::spawn(move || {
        for line in 1..=lines {
            let text = format!("{line}:").repeat(1 + usize::try_from(line % 9).unwrap());
            writer.push(Stream::Out, Timestamp::from_micros(i64::try_from(line).unwrap()), text.as_bytes()).unwrap();
        }
        writer.end().unwrap();
    });
    let mut reader = reader(&file, 0);
    let (mut seen, mut dropped) = (0, 0);
    loop {
        let batch = reader.take().unwrap();
        dropped += batch.dropped;
        for record in &batch.records {
            let line = record.time.micros().unsigned_abs();
            assert_eq!(record.sequence, line);
            let text = format!("{line}:").repeat(1 + usize::try_from(line % 9).unwrap());
            assert_eq!(record.text, text.as_bytes());
        }
        seen += batch.records.len() as u64;
        if batch.ended {
            break;
        }
        std::thread::yield_now();
    }
    assert_eq!(seen + dropped, lines);
    writing.join().unwrap();
}
