//! `till staff` beside a running server: who is added can sign in, and who is disabled is out at once, though another
//! process did it.

use std::process::Stdio;

use reqwest::Method;
use tokio::io::AsyncWriteExt as _;

use crate::harness::client::Answer;
use crate::harness::{Client, Sandbox, Server};

/// Runs a command with a line on its standard input; its exit code and everything it printed.
async fn piped(sandbox: &Sandbox, words: &[&str], line: &str) -> (Option<i32>, String) {
    let mut command = sandbox.till(words);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let mut input = child.stdin.take().expect("an input");
    input
        .write_all(format!("{line}\n").as_bytes())
        .await
        .expect("it reads");
    drop(input);
    let told = child.wait_with_output().await.expect("it ends");
    let text = [told.stdout, told.stderr].concat();
    (
        told.status.code(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

/// Signs in over HTTP, as a browser does.
pub async fn sign_in(client: &Client, email: &str, password: &str) -> Answer {
    let body = format!("email={email}&password={}", password.replace(' ', "+"));
    let request = client
        .request(Method::POST, "/staff/sign-in")
        .header("Content-Type", "application/x-www-form-urlencoded")
        .header("Sec-Fetch-Site", "same-origin")
        .body(body);
    Client::send(request).await.expect("an answer")
}

/// The cookie an answer sets, as browsers send it back.
pub fn cookie(answer: &Answer) -> String {
    let set = answer.header("set-cookie").expect("a cookie");
    set.split(';').next().unwrap_or_default().to_owned()
}

async fn account(client: &Client, cookie: &str) -> u16 {
    let request = client.request(Method::GET, "/staff/account");
    let request = request.header("Cookie", cookie);
    Client::send(request).await.expect("an answer").status
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_managed_from_the_command_line_beside_a_server() {
    let sandbox = Sandbox::new().await;
    let (server, _simulator): (Server, String) = sandbox.serve_with_simulator().await;
    let client = server.client("");
    let create = [
        "staff",
        "create",
        "--email",
        "Ada@Example.com",
        "--role",
        "admin",
    ];
    let (code, said) = piped(&sandbox, &create, "too short").await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("at least 12 characters"), "{said}");
    let password = "a password from a pipe";
    let (code, said) = piped(&sandbox, &create, password).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains(password), "{said}");
    let (code, said) = piped(&sandbox, &create, password).await;
    assert_eq!(code, Some(2), "{said}");

    let signed_in = sign_in(&client, "ada@example.com", password).await;
    assert_eq!(signed_in.status, 303, "{}", signed_in.text);
    let first = cookie(&signed_in);
    assert_eq!(account(&client, &first).await, 200);

    let words = ["staff", "disable", "ada@example.com"];
    let last = sandbox.run(&words).await.exit(2);
    last.complains_of(&["last admin"]);
    let words = [
        "staff",
        "create",
        "--email",
        "bob@example.com",
        "--role",
        "admin",
        "--generate",
        "--json",
    ];
    let bob = sandbox.run(&words).await.success().json();
    let given = bob["password"].as_str().expect("a password");
    assert_eq!(sign_in(&client, "bob@example.com", given).await.status, 303);
    let words = ["staff", "disable", "ada@example.com"];
    sandbox.run(&words).await.success();
    assert_eq!(account(&client, &first).await, 303, "out at once");
    assert_eq!(
        sign_in(&client, "ada@example.com", password).await.status,
        422
    );
    let words = ["staff", "enable", "ada@example.com"];
    sandbox.run(&words).await.success();
    let again = cookie(&sign_in(&client, "ada@example.com", password).await);
    assert_eq!(account(&client, &again).await, 200);

    let reset = ["staff", "reset", "ada@example.com", "--generate", "--json"];
    let new = sandbox.run(&reset).await.success().json();
    assert_eq!(account(&client, &again).await, 303, "its sessions are over");
    let new = new["password"].as_str().expect("a password");
    assert_eq!(sign_in(&client, "ada@example.com", new).await.status, 303);

    let listed = sandbox.run(&["staff", "list", "--json"]).await;
    let listed = listed.success().json();
    let emails: Vec<&str> = listed
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|person| person["email"].as_str())
        .collect();
    assert_eq!(emails, ["ada@example.com", "bob@example.com"]);
    let words = ["staff", "disable", "nobody@example.com"];
    let unknown = sandbox.run(&words).await.exit(2);
    unknown.complains_of(&["till staff list"]);
}
