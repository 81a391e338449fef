//! `till demo` shows a paid order on a machine with nothing, and what it tells people to type works.

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::process::Command;

use crate::harness::{Client, Process, Sandbox};

/// The promise of the README: the order is paid within five seconds of the start.
const PROMISE: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_pays_an_order_within_five_seconds_twice_in_one_folder() {
    let sandbox = Sandbox::new().await;
    for run in 1..=2 {
        let started = Instant::now();
        let ended = Process::start(sandbox.bare(&["demo", "--once"]))
            .finish(PROMISE * 4)
            .await;
        let took = started.elapsed();
        let ended = ended.success();
        assert!(took < PROMISE, "run {run} took {took:?}");
        assert!(
            ended.stdout.contains("ledger posted: order is paid"),
            "{}",
            ended.stdout
        );
        assert!(
            ended.stdout.contains("paid 54.49, refunded 0.00"),
            "{}",
            ended.stdout
        );
        for key in ["  secret key        sk_", "  publishable key   pk_"] {
            assert!(ended.stdout.contains(key), "{}", ended.stdout);
        }
        let number = format!("order {} (ord_", 1_000 + run);
        assert!(ended.stdout.contains(&number), "{}", ended.stdout);
    }
    assert!(sandbox.folder.join("till-demo.db").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_takes_another_port_when_the_usual_one_is_taken() {
    let sandbox = Sandbox::new().await;
    // Whoever has the port, this test or somebody else, it is taken.
    let _taken = std::net::TcpListener::bind(("127.0.0.1", 8000));
    let mut demo = sandbox.bare(&["demo", "--once"]);
    demo.env_remove("ROCKET_PORT");
    Process::start(demo).finish(PROMISE * 4).await.success();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_ignores_the_settings_of_the_real_shop() {
    let sandbox = Sandbox::new().await;
    let mut demo = sandbox.bare(&["demo", "--once"]);
    demo.env("TILL_DATABASE__URL", "postgres://nobody@127.0.0.1:1/real")
        .env(
            "TILL_PROVIDERS__STRIPE__API_KEY",
            "sk_live_never_to_be_used",
        )
        .env("TILL_PROVIDERS__STRIPE__BASE_URL", "https://api.stripe.com");
    Process::start(demo).finish(PROMISE * 4).await.success();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_demo_tells_people_to_type_works() {
    let sandbox = Sandbox::new().await;
    let mut demo = Process::start(sandbox.bare(&["demo"]));
    let till = demo.line("  Till  ").await;
    let key = demo.line("  secret key  ").await;
    demo.line("# 3. ").await;
    demo.line("  -d ").await;
    let commands = pasted(&demo.printed());
    let [look_up, place, check_out] = commands.as_slice() else {
        panic!("not three commands: {commands:?}");
    };

    let orders = run(look_up).await;
    assert_eq!(orders["data"][0]["payment_status"], "paid", "{orders}");
    let order = run(place).await;
    let id = order["id"].as_str().expect("an order");
    assert_eq!(order["total"], "24.99", "{order}");
    let session = run(&check_out.replace("ORDER_ID", id)).await;
    let url = session["url"].as_str().expect("a page to pay on");
    let form = "card_number=4242+4242+4242+4242";
    let posted = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none());
    let posted = posted.build().expect("a client").post(url).body(form);
    let posted = posted
        .header("Content-Type", "application/x-www-form-urlencoded")
        .send()
        .await;
    assert_eq!(posted.expect("the page answers").status(), 303);
    Client::new(&till, Some(&key)).until_paid(id).await;

    let asked = Instant::now();
    demo.terminate();
    demo.finish(Duration::from_secs(10)).await.success();
    assert!(
        asked.elapsed() < Duration::from_secs(3),
        "took {:?} to end",
        asked.elapsed()
    );
}

/// The commands among what the demo printed: what follows each numbered comment, up to an empty line.
fn pasted(printed: &str) -> Vec<String> {
    let blocks = printed.split("\n# ").skip(1);
    let commands = blocks.map(|block| {
        let lines = block.lines().skip(1).take_while(|line| !line.is_empty());
        lines.collect::<Vec<_>>().join("\n")
    });
    commands.collect()
}

/// Runs a command as pasted into a shell and reads its answer. Without curl on this machine the shell still
/// reads the command, and the request is sent from here.
async fn run(command: &str) -> Value {
    let curl = Command::new("curl").arg("--version").output().await.is_ok();
    let script = match curl {
        true => command.replacen("curl ", "curl -sS ", 1),
        false => format!("curl() {{ for word; do printf '%s\\0' \"$word\"; done; }}\n{command}"),
    };
    let ran = Command::new("sh")
        .args(["-c", &script])
        .output()
        .await
        .expect("a shell");
    assert!(
        ran.status.success(),
        "{command}: {}",
        String::from_utf8_lossy(&ran.stderr)
    );
    let text = String::from_utf8(ran.stdout).expect("text");
    let answer = match curl {
        true => text,
        false => send(&text).await,
    };
    serde_json::from_str(&answer).unwrap_or_else(|why| panic!("{command}: {why}: {answer}"))
}

/// Sends what `curl` was called with.
async fn send(words: &str) -> String {
    let mut words = words.split_terminator('\0');
    let url = words.next().expect("a URL");
    let (mut headers, mut body) = (Vec::new(), None);
    while let (Some(option), Some(value)) = (words.next(), words.next()) {
        match option {
            "-H" => headers.push(value.split_once(": ").expect("a header")),
            "-d" => body = Some(value.to_owned()),
            other => panic!("unknown option {other}"),
        }
    }
    let client = reqwest::Client::builder()
        .no_proxy()
        .build()
        .expect("a client");
    let mut request = match body {
        Some(body) => client.post(url).body(body),
        None => client.get(url),
    };
    for (name, value) in headers {
        request = request.header(name, value);
    }
    request
        .send()
        .await
        .expect("an answer")
        .text()
        .await
        .expect("a body")
}

#[test]
fn commands_are_found_in_what_is_printed() {
    let printed = "words\n\n# 1. One\ncurl a\n\n# 2. Two\ncurl b \\\n  -d c\n\nmore\n";
    assert_eq!(pasted(printed), ["curl a", "curl b \\\n  -d c"]);
}
