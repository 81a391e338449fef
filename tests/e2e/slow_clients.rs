//! Clients that are slow on purpose, without a proxy in front: heads and bodies that never end, answers nobody
//! reads, more connections than are allowed. Good clients are served meanwhile, the bad ones are closed soon, and
//! nothing of theirs is left.
//!
//! `TILL_TEST_FULL=1`: as many of them as a small botnet has, for two minutes.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::harness::{Client, Process, Sandbox, Server, eventually};

/// How many there are of the bad, and for how long they come again when they are closed.
struct Size {
    heads: usize,
    bodies: usize,
    deaf: usize,
    time: Duration,
}

impl Size {
    fn chosen() -> Size {
        match is_full() {
            true => Size {
                heads: 2_000,
                bodies: 500,
                deaf: 10,
                time: Duration::from_secs(120),
            },
            false => Size {
                heads: 300,
                bodies: 100,
                deaf: 10,
                time: Duration::from_secs(3),
            },
        }
    }
}

fn is_full() -> bool {
    std::env::var_os("TILL_TEST_FULL").is_some()
}

fn address(server: &Server) -> SocketAddr {
    let address = server.url.strip_prefix("http://").expect("a URL");
    address.parse().expect("an address")
}

/// Sends the beginning of a request and then a byte a second until it is closed, and begins anew until the time is
/// over. The longest that a connection was left open.
async fn drip(address: SocketAddr, beginning: String, until: Instant) -> Duration {
    let mut longest = Duration::ZERO;
    loop {
        let mut socket = TcpStream::connect(address).await.expect("connects");
        let opened = Instant::now();
        let _ = socket.write_all(beginning.as_bytes()).await;
        let mut buffer = [0; 4096];
        loop {
            let read = tokio::time::timeout(Duration::from_secs(1), socket.read(&mut buffer));
            match read.await {
                Ok(Ok(0) | Err(_)) => break,
                Ok(Ok(_)) => {}
                Err(_) if socket.write_all(b"x").await.is_err() => break,
                Err(_) => {}
            }
            assert!(opened.elapsed() < Duration::from_secs(60), "never closed");
        }
        longest = longest.max(opened.elapsed());
        if Instant::now() >= until {
            return longest;
        }
    }
}

/// Asks for more than a socket holds and reads none of it, until it is closed.
async fn be_deaf(address: SocketAddr) -> Duration {
    let mut socket = TcpStream::connect(address).await.expect("connects");
    let opened = Instant::now();
    let many = "GET /openapi.json HTTP/1.1\r\nHost: till\r\n\r\n".repeat(500);
    let asking = async {
        // Once the server stops reading this blocks; once it has cut the connection it fails.
        while socket.write_all(many.as_bytes()).await.is_ok() {}
    };
    let cut = tokio::time::timeout(Duration::from_secs(60), asking).await;
    assert!(cut.is_ok(), "never closed");
    opened.elapsed()
}

/// Places orders one after the other; how long each took, in order of length.
async fn orders(shop: &Client, time: Duration) -> Vec<Duration> {
    let begun = Instant::now();
    let mut taken = Vec::new();
    while begun.elapsed() < time {
        let asked = Instant::now();
        shop.place_order().await;
        taken.push(asked.elapsed());
    }
    taken.sort_unstable();
    taken
}

fn p99(taken: &[Duration]) -> Duration {
    taken[taken.len() * 99 / 100]
}

async fn longest(tasks: Vec<JoinHandle<Duration>>) -> Duration {
    let mut longest = Duration::ZERO;
    for task in tasks {
        longest = longest.max(task.await.expect("no panic"));
    }
    longest
}

#[tokio::test(flavor = "multi_thread")]
async fn good_clients_are_served_while_bad_ones_hold_all_they_can() {
    let size = Size::chosen();
    let sandbox = Sandbox::new().await;
    let (server, _) = sandbox.serve_with_simulator().await;
    let shop = server.client(&sandbox.secret_key().await);
    orders(&shop, Duration::from_secs(1)).await;
    let time = size.time.min(Duration::from_secs(20));
    let calm = orders(&shop, time).await;
    let (files, memory) = (server.process.open_files(), server.process.resident_kib());

    let (address, until) = (address(&server), Instant::now() + size.time);
    let head = "POST /v1/orders HTTP/1.1\r\nHost: till\r\nX-Slow: ".to_owned();
    let heads = (0..size.heads).map(|at| {
        // Some say nothing at all.
        let beginning = if at % 4 == 0 {
            String::new()
        } else {
            head.clone()
        };
        tokio::spawn(drip(address, beginning, until))
    });
    let heads: Vec<_> = heads.collect();
    let bodies = (0..size.bodies).map(|at| {
        let path = ["/v1/orders", "/webhooks/stripe", "/nothing"][at % 3];
        let begun = ["", "{\"cur", "{\"currency\": \"EUR\", "][at % 3];
        let beginning = format!(
            "POST {path} HTTP/1.1\r\nHost: till\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n{begun}"
        );
        tokio::spawn(drip(address, beginning, until))
    });
    let bodies: Vec<_> = bodies.collect();
    let held = size.heads + size.bodies;
    eventually("the bad ones are there", 10, async || {
        server.process.open_files() >= files + held
    })
    .await;
    let meanwhile = orders(&shop, time).await;
    // Making what they ask for is work, as it would be for anybody, so that it is not part of the comparison.
    let deaf: Vec<_> = (0..size.deaf)
        .map(|_| tokio::spawn(be_deaf(address)))
        .collect();

    assert!(
        meanwhile.len() * 3 > calm.len(),
        "{} orders instead of {}",
        meanwhile.len(),
        calm.len()
    );
    println!(
        "p99 {:?} alone, {:?} meanwhile",
        p99(&calm),
        p99(&meanwhile)
    );
    if is_full() {
        assert!(
            p99(&meanwhile) <= 2 * p99(&calm),
            "{:?} {:?}",
            p99(&calm),
            p99(&meanwhile)
        );
    }
    let (heads, bodies, deaf) = (
        longest(heads).await,
        longest(bodies).await,
        longest(deaf).await,
    );
    let most = server.process.resident_kib();
    println!("heads {heads:?}, bodies {bodies:?}, deaf {deaf:?}");
    assert!(heads <= Duration::from_secs(15), "{heads:?}");
    assert!(bodies <= Duration::from_secs(20), "{bodies:?}");
    assert!(deaf <= Duration::from_secs(40), "{deaf:?}");
    // The good client's own connections, and the database's, may be some more or less.
    eventually("what they held is free again", 10, async || {
        server.process.open_files() <= files + 8
    })
    .await;
    // A connection's buffers are some 20 KiB; nobody's body and no answer is kept beside them.
    let allowed = 64 * 1024 + u64::try_from(held).expect("few") * 32;
    assert!(most < memory + allowed, "from {memory} to {most} KiB");
    let told = Instant::now();
    server.process.terminate();
    server
        .process
        .finish(Duration::from_secs(15))
        .await
        .success();
    assert!(
        told.elapsed() < Duration::from_secs(5),
        "{:?}",
        told.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_beyond_the_bound_cost_those_who_ask_for_nothing() {
    let sandbox = Sandbox::new().await;
    let mut command = sandbox.till(&["serve", "--with-simulator"]);
    command.env("TILL_HTTP__MAX_CONNECTIONS", "100");
    let server = Server::listening(Process::start(command)).await;
    let shop = server.client(&sandbox.secret_key().await);
    shop.place_order().await;
    let files = server.process.open_files();
    let address = address(&server);
    let mut flood = Vec::new();
    for at in 0..600 {
        let mut socket = TcpStream::connect(address).await.expect("connects");
        let _ = socket.write_all(b"POST /v1/orders HTTP/1.1\r\nHost").await;
        flood.push(socket);
        if at % 50 == 0 {
            shop.place_order().await;
            let newcomer = Client::new(&server.url, None);
            newcomer.get("/health/ready").await.expect(200);
        }
    }
    // 500 at once find room to wait to be accepted; a second's wait would be the kernel's.
    let begun = Instant::now();
    let mut crowd = Vec::new();
    for _ in 0..500 {
        crowd.push(TcpStream::connect(address).await.expect("connects"));
    }
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );
    drop(crowd);
    // The bound, and those that were cut a moment ago.
    let open = server.process.open_files();
    assert!(open <= files + 100 + 64, "{open} files, {files} before");
    shop.place_order().await;
    drop(flood);
    eventually("what they held is free again", 10, async || {
        server.process.open_files() <= files + 16
    })
    .await;
}
