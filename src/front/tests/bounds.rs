//! Clients that take what others need: connections, and time.

use super::*;
use crate::front::connections::Phase;

fn short(connections: usize) -> Limits {
    Limits {
        connections,
        head: Duration::from_millis(400),
        idle: Duration::from_millis(1_500),
        stalled: Duration::from_millis(700),
        bodies: 100_000,
    }
}

#[rocket::async_test]
async fn a_head_that_does_not_end_is_cut_and_an_idle_connection_later() {
    let running = Running::start(short(64)).await;
    let begun = Instant::now();
    let mut silent = running.connect().await;
    let mut half = running.connect().await;
    half.send("GET /v1/orders/7 HTTP/1.1\r\nHo").await;
    let mut kept = running.connect().await;
    kept.send("GET /v1/orders/7 HTTP/1.1\r\nHost: x\r\n\r\n")
        .await;
    kept.until("\r\n\r\n7").await;
    // One byte now and then does not keep a head alive.
    let mut slow = running.connect().await;
    let dripping = async {
        while slow.0.write_all(b"x").await.is_ok() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, dripping).await.unwrap();
    assert_eq!(silent.rest().await, "");
    assert_eq!(half.rest().await, "");
    let heads = begun.elapsed();
    assert_eq!(kept.rest().await, "");
    let idle = begun.elapsed();
    assert!(heads >= Duration::from_millis(400), "{heads:?}");
    assert!(
        idle >= Duration::from_millis(1_200) && idle > heads,
        "{heads:?} {idle:?}"
    );
    eventually("all places are free", || {
        running.front.shared.connections.is_empty()
    })
    .await;
}

#[rocket::async_test]
async fn large_bodies_hold_no_more_than_they_may_until_they_are_answered() {
    let running = Running::start(Limits {
        bodies: 80_000,
        ..Limits::with_connections(64)
    })
    .await;
    let post = |size: usize| {
        let head = format!("POST /work HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n");
        head + &"b".repeat(size)
    };
    let mut first = running.connect().await;
    first.send(post(80_000)).await;
    eventually("it is being answered", || {
        running.work.begun.load(Ordering::SeqCst) > 0
    })
    .await;
    let mut second = running.connect().await;
    second.send(post(80_000)).await;
    let refused = second.until("}").await;
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    assert!(refused.contains("\r\nretry-after: "), "{refused}");
    // What is left of it is not read, and no request is taken after it.
    assert!(refused.contains("\r\nconnection: close\r\n"), "{refused}");
    // Small ones are not counted, in however many pieces they come.
    let mut held = vec![first];
    for _ in 0..4 {
        let mut small = running.connect().await;
        let body = post(16_000);
        let (begin, end) = body.split_at(8_000);
        small.send(begin).await;
        sleep(Duration::from_millis(50)).await;
        small.send(end).await;
        held.push(small);
    }
    let begun = || running.work.begun.load(Ordering::SeqCst) == held.len();
    eventually("all of them are being answered", begun).await;
    running.work.may_end.add_permits(8);
    for mut one in held {
        assert!(one.until("done").await.starts_with("HTTP/1.1 200 "));
    }
    let mut third = running.connect().await;
    third.send(post(80_000)).await;
    assert!(third.until("done").await.starts_with("HTTP/1.1 200 "));
}

#[rocket::async_test]
async fn a_second_head_on_a_connection_has_its_deadline_too() {
    let running = Running::start(Limits {
        idle: PATIENCE * 6,
        ..short(64)
    })
    .await;
    let mut client = running.connect().await;
    client
        .send("GET /v1/orders/7 HTTP/1.1\r\nHost: x\r\n\r\n")
        .await;
    client.until("\r\n\r\n7").await;
    client.send("GET /v1/ord").await;
    assert_eq!(client.rest().await, "");
}

#[rocket::async_test]
async fn who_does_not_read_an_answer_is_cut() {
    let running = Running::start(short(64)).await;
    let mut client = running.connect().await;
    client.send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let connections = &running.front.shared.connections;
    eventually("the connection is there", || !connections.is_empty()).await;
    eventually("it is cut", || connections.is_empty()).await;
    let got = client.rest().await.len();
    assert!(got < 32 << 20, "{got}");
    // Who reads slowly, but reads, is not.
    let mut client = running.connect().await;
    client.send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let (mut got, mut buffer) = (0, vec![0; 4 << 20]);
    while got < 32 << 20 {
        sleep(Duration::from_millis(100)).await;
        let read = client.0.read(&mut buffer).await.unwrap();
        assert!(read > 0, "cut after {got}");
        got += read;
    }
}

#[rocket::async_test]
async fn newcomers_take_the_places_of_those_who_ask_for_nothing() {
    let limits = Limits {
        connections: 8,
        ..Limits::with_connections(8)
    };
    let running = Running::start(limits).await;
    let mut kept = running.connect().await;
    kept.send("GET /v1/orders/1 HTTP/1.1\r\nHost: x\r\n\r\n")
        .await;
    kept.until("\r\n\r\n1").await;
    let mut working = running.connect().await;
    working
        .send("POST /work HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        .await;
    eventually("it works", || running.work.begun.load(Ordering::SeqCst) > 0).await;
    let mut flood = Vec::new();
    for at in 0..200 {
        let mut half = running.connect().await;
        half.send("POST /v1/orders HTTP/1.1\r\nHost").await;
        flood.push(half);
        if at % 20 == 0 {
            let answer = running.ask("GET /v1/orders/7 HTTP/1.1").await;
            assert!(answer.ends_with("\r\n\r\n7"), "{answer}");
        }
    }
    // Neither who is being answered nor who was answered before was cut for them.
    kept.send("GET /v1/orders/2 HTTP/1.1\r\nHost: x\r\n\r\n")
        .await;
    assert!(kept.until("\r\n\r\n2").await.starts_with("HTTP/1.1 200 "));
    running.work.may_end.add_permits(1);
    assert!(working.until("done").await.starts_with("HTTP/1.1 200 "));
    let mut open = 0;
    for half in &mut flood {
        let mut byte = [0];
        let ended = tokio::time::timeout(Duration::from_millis(1), half.0.read(&mut byte)).await;
        open += usize::from(ended.is_err());
    }
    assert!(open <= 8, "{open}");
}

#[test]
fn a_flood_faster_than_its_cut_connections_end_costs_nobody_else() {
    let table = Arc::new(Connections::new(Limits::with_connections(8)));
    let (idle, asking) = (table.take().unwrap(), table.take().unwrap());
    for link in [&idle, &asking] {
        link.heard();
        link.enter(Phase::Answered);
        link.enter(Phase::Idle);
    }
    asking.heard();
    // No task runs that would give a place back.
    let flood: Vec<_> = (0..1_000).map(|_| table.take()).collect();
    let has =
        |wanted: fn(&Result<Link, NoPlace>) -> bool| flood.iter().filter(|one| wanted(one)).count();
    assert_eq!(
        has(|one| matches!(one, Ok(link) if link.phase() == Phase::Fresh)),
        6
    );
    assert_eq!(
        has(|one| matches!(one, Ok(link) if link.phase() == Phase::Cut)),
        64
    );
    assert_eq!(has(|one| matches!(one, Err(NoPlace::Ending))), 930);
    assert_eq!(idle.phase(), Phase::Idle);
    assert_eq!(asking.phase(), Phase::NextHead);
    drop(flood);
    assert!(table.take().is_ok());
    drop((idle, asking));
    assert!(table.is_empty());
}

#[test]
fn who_came_first_among_many_at_once_is_cut_first() {
    let table = Arc::new(Connections::new(Limits::with_connections(3)));
    let (first, second) = (table.take().unwrap(), table.take().unwrap());
    drop(first);
    std::thread::sleep(Duration::from_micros(2));
    // In the place of the one that left.
    let third = table.take().unwrap();
    let working = table.take().unwrap();
    working.enter(Phase::Answering);
    let fourth = table.take().unwrap();
    assert_eq!(second.phase(), Phase::Cut);
    // What is cut stays so, whatever its task still does.
    second.enter(Phase::Answering);
    assert_eq!(second.phase(), Phase::Cut);
    assert_eq!(
        (third.phase(), fourth.phase()),
        (Phase::Fresh, Phase::Fresh)
    );
    for link in [&third, &fourth] {
        link.enter(Phase::Answering);
    }
    assert!(matches!(table.take(), Err(NoPlace::Busy)));
}

#[rocket::async_test]
async fn beyond_the_bound_of_busy_connections_newcomers_are_told_to_come_back() {
    let running = Running::start(Limits::with_connections(3)).await;
    let mut working = Vec::new();
    for _ in 0..3 {
        let mut client = running.connect().await;
        client
            .send("POST /work HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
            .await;
        working.push(client);
    }
    eventually("all work", || running.front.shared.requests.len() == 3).await;
    let refused = running.connect().await.rest().await;
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    running.work.may_end.add_permits(1);
    for client in &mut working {
        assert!(client.until("done").await.starts_with("HTTP/1.1 200 "));
    }
    assert!(
        running
            .ask("GET /v1/orders/7 HTTP/1.1")
            .await
            .ends_with('7')
    );
}

#[test]
fn more_connections_are_served_than_files_may_be_opened_by_default() {
    assert_eq!(affordable(16), 16);
    assert!(affordable(usize::MAX) >= 64);
}
