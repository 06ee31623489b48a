//! Clocks that are wrong, and servers that say so.

use super::*;
use consensus::{Config, Fork};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A server whose clock is ahead of ours by so many seconds, which may change; and how often it was asked.
async fn server(ahead: i64) -> (Server, &'static AtomicI64, &'static AtomicUsize) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let ahead: &'static AtomicI64 = Box::leak(Box::new(AtomicI64::new(ahead)));
    let count: &'static AtomicUsize = Box::leak(Box::default());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 2048];
            let _ = stream.read(&mut request).await;
            count.fetch_add(1, Ordering::Relaxed);
            let now = (unix_ms() / 1000).saturating_add_signed(ahead.load(Ordering::Relaxed));
            let answer = format!(
                "HTTP/1.1 401 Unauthorized\r\ndate: {}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
                http_date(now)
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (Server::new(&url).unwrap().with_own_clock(), ahead, count)
}

/// The slow obvious way to the words of a `Date` header: day by day.
fn http_date(seconds: u64) -> String {
    let is_leap = |year: u64| year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    let (mut year, mut month, mut day) = (1970, 0_usize, 1);
    for _ in 0..seconds / 86_400 {
        let february = if is_leap(year) { 29 } else { 28 };
        let length = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month];
        day += 1;
        if day > length {
            (month, day) = (month + 1, 1);
        }
        if month == 12 {
            (year, month) = (year + 1, 0);
        }
    }
    let name = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ][month];
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("Mon, {day:02} {name} {year} {hour:02}:{minute:02}:{second:02} GMT")
}

fn sources(servers: Vec<Server>, kernel: fn() -> Option<bool>) -> Sources {
    Sources {
        servers,
        kernel,
        again: Duration::from_millis(20),
    }
}

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(30);

async fn asked_often(count: &AtomicUsize, more: usize) {
    let enough = count.load(Ordering::Relaxed) + more;
    let wait = async {
        while count.load(Ordering::Relaxed) < enough {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap();
}

fn clock_in_slot(slot: Slot) -> Clock {
    let config = Config::standard().with_forks_at_genesis(Fork::Fulu);
    let since_genesis = slot * config.slot_duration_ms / 1000;
    Clock::new(&config, unix_ms() / 1000 - since_genesis)
}

#[tokio::test]
async fn a_node_waits_for_a_clock_that_a_server_shows_to_be_wrong_and_goes_on_by_itself() {
    for is_public in [true, false] {
        // The kernel says nothing, or that nothing keeps its clock: the server is believed.
        let (server, ahead, count) = server(3600).await;
        let sources = sources(vec![server], || Some(false));
        let watch = ClockWatch::default();
        let settling = watch.clone();
        let task = tokio::spawn(async move { settling.settle(&sources, is_public, &Stop::new()).await });
        asked_often(count, 5).await;
        assert!(!task.is_finished());
        assert!(watch.wrong().unwrap().contains("behind by what 127.0.0.1 says"));
        ahead.store(0, Ordering::Relaxed);
        tokio::time::timeout(PATIENCE, task).await.unwrap().unwrap();
        assert_eq!(watch.wrong(), None);
    }
}

#[tokio::test]
async fn where_nothing_speaks_for_the_clock_a_public_network_waits() {
    let unkept = || sources(Vec::new(), || Some(false));
    let goes_on = async |sources: Sources, is_public, within| {
        let settled = async { ClockWatch::default().settle(&sources, is_public, &Stop::new()).await };
        tokio::time::timeout(within, settled).await.is_ok()
    };
    assert!(!goes_on(unkept(), true, Duration::from_millis(300)).await);
    assert!(goes_on(unkept(), false, PATIENCE).await);
    assert!(goes_on(sources(Vec::new(), || Some(true)), true, PATIENCE).await);
    // A kernel that cannot be asked says nothing of the kind.
    assert!(goes_on(sources(Vec::new(), || None), true, PATIENCE).await);
    let watch = ClockWatch::default();
    let (server, _, _) = server(0).await;
    let answered = sources(vec![server], || Some(false));
    let stop = Stop::new();
    let settled = watch.settle(&answered, true, &stop);
    tokio::time::timeout(PATIENCE, settled).await.unwrap();
    // A stop ends the waiting.
    stop.stop();
    let stopped = async { ClockWatch::default().settle(&unkept(), true, &stop).await };
    tokio::time::timeout(PATIENCE, stopped).await.unwrap();
}

#[tokio::test]
async fn a_running_node_notices_that_its_clock_is_wrong_and_right_again() {
    let (server, ahead, count) = server(0).await;
    let watch = ClockWatch::default();
    let stop = Stop::new();
    let sources = sources(vec![server], || Some(false));
    let task = tokio::spawn(watch.clone().run(clock_in_slot(100), sources, None, stop.clone()));
    asked_often(count, 1).await;
    assert!(watch.may_be_believed());
    let turns = async |wrong: bool| {
        while watch.wrong().is_some() != wrong {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    // Our clock jumps back, by which the server's is ahead: the chain is held at once, and the server asked.
    ahead.store(7200, Ordering::Relaxed);
    let now = Instant::now();
    assert_eq!(watch.compare(now, 10_000_000), None);
    let step = watch.compare(now + Duration::from_secs(1), 10_001_000 - 7_200_000);
    assert_eq!(step, Some(-7_200_000));
    assert!(!watch.may_be_believed());
    tokio::time::timeout(PATIENCE, turns(true)).await.unwrap();
    assert!(!watch.may_be_believed());
    ahead.store(0, Ordering::Relaxed);
    tokio::time::timeout(PATIENCE, turns(false)).await.unwrap();
    stop.stop();
    tokio::time::timeout(PATIENCE, task).await.unwrap().unwrap();
}

#[test]
fn small_steps_are_none_and_nobody_is_held_where_nobody_asks() {
    let watch = ClockWatch::default();
    let now = Instant::now();
    assert_eq!(watch.compare(now, 1_000_000), None);
    assert_eq!(watch.compare(now + Duration::from_millis(100), 1_000_600), None);
    assert_eq!(watch.compare(now + Duration::from_millis(200), 1_001_201), Some(501));
    assert!(watch.may_be_believed());
}

#[test]
fn heads_of_the_future_show_that_the_clock_is_behind() {
    let clock = clock_in_slot(100);
    let judged = |heads: &[Slot]| {
        let watch = ClockWatch::default();
        watch.inner().words.hear_kernel(Some(false));
        watch.heard_of_peers(&clock, heads.to_vec());
        watch.inner().words.judge(Instant::now())
    };
    let future = judged(&[150, 150, 99]);
    assert!(future.wrong.unwrap().contains("by what the head of most peers says"));
    assert!(judged(&[100, 99, 98]).vouched);
    for heads in [&[150, 150][..], &[150, 99, 99, 150], &[50, 50, 50], &[]] {
        let judged = judged(heads);
        assert_eq!(judged.wrong, None, "{heads:?}");
    }
    assert!(
        !judged(&[50, 50, 50]).vouched,
        "an old head may be an outage of the network"
    );
    // What the peers said is taken back when they say otherwise.
    let watch = ClockWatch::default();
    watch.heard_of_peers(&clock, vec![150; 3]);
    watch.heard_of_peers(&clock, vec![100; 3]);
    assert_eq!(watch.inner().words.judge(Instant::now()).wrong, None);
}

#[test]
fn blocks_of_the_future_on_disk_show_that_the_clock_is_behind() {
    let (clock, watch) = (clock_in_slot(100), ClockWatch::default());
    assert!(!watch.heard_of_chain(&clock, 100));
    assert!(watch.heard_of_chain(&clock, 200));
    let why = watch.inner().words.judge(Instant::now()).wrong.unwrap();
    assert!(why.contains("behind by what the chain on disk says"), "{why}");
    // A kernel that keeps its clock stands against that.
    watch.inner().words.hear_kernel(Some(true));
    assert_eq!(watch.inner().words.judge(Instant::now()).wrong, None);
    assert!(!watch.heard_of_chain(&clock, 99));
    // A chain that has not begun says nothing.
    let config = Config::standard();
    assert!(!watch.heard_of_chain(&Clock::new(&config, unix_ms() / 1000 + 3600), 0));
}
