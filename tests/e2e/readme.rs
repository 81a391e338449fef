//! The README: every command of its tour is run as it stands there, in order, against a server started as it says.
//!
//! Only three things are put in its place: the port, `cargo run` (by the built program), and `curl` by one that
//! fails where the server answers with an error, and writes down that it was called. It tries again for some
//! seconds: who types reads in between, and by then the provider's webhook has arrived.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use tokio::process::Command;

use crate::harness::{Process, Sandbox};

const README: &str = include_str!("../../README.md");

/// The shell blocks between two headings, as they are typed.
fn blocks<'t>(text: &'t str, from: &str, to: &str) -> Vec<&'t str> {
    let start = text.find(from).expect("its first heading");
    let end = text.find(to).expect("the next heading");
    let parts = text[start..end].split("```sh\n").skip(1);
    parts
        .map(|part| part.split("```").next().expect("its end"))
        .collect()
}

fn curls(text: &str) -> usize {
    text.matches("curl ").count()
}

fn program(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("a program");
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).expect("its rights");
}

#[test]
fn every_curl_of_the_readme_is_in_its_tour() {
    let tour = blocks(README, "\n## API tour", "\n## Running it for real").concat();
    let everywhere = README.split("```sh\n").skip(1);
    let everywhere = everywhere.map(|part| part.split("```").next().expect("its end"));
    assert!(curls(&tour) >= 8, "{tour}");
    assert_eq!(everywhere.map(curls).sum::<usize>(), curls(&tour));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tour_works_as_it_is_written() {
    let sandbox = Sandbox::new().await;
    let tour = blocks(README, "\n## API tour", "\n## Running it for real");
    let (serve, rest) = tour.split_first().expect("blocks");
    assert_eq!(*serve, "cargo run -- serve --with-simulator\n");
    let (server, _) = sandbox.serve_with_simulator().await;

    let tools = sandbox.folder.join("tools");
    std::fs::create_dir(&tools).expect("a folder");
    let till = env!("CARGO_BIN_EXE_till");
    let cargo =
        format!("#!/bin/sh\nwhile [ \"$1\" != -- ]; do shift; done\nshift\nexec '{till}' \"$@\"\n");
    program(&tools, "cargo", &cargo);
    let path = std::env::var("PATH").expect("a path");
    let curl = format!(
        "#!/bin/sh\nPATH='{path}'\ncurl --fail-with-body --retry 8 --retry-delay 1 --retry-all-errors --noproxy '*' \"$@\"\ncode=$?\n\
         echo $code >> '{}/called'\nexit $code\n",
        tools.display()
    );
    program(&tools, "curl", &curl);
    assert!(
        rest.concat().contains("TILL=http://127.0.0.1:8000\n"),
        "the usual address"
    );
    let script = rest.concat().replace("http://127.0.0.1:8000", &server.url);
    std::fs::write(sandbox.folder.join("tour.sh"), &script).expect("a script");

    // `till` is only asked for the environment it needs for this database.
    let settings = sandbox.till(&[]);
    let mut bash = Command::new("bash");
    bash.args(["-eu", "tour.sh"]).current_dir(&sandbox.folder);
    bash.env_clear();
    for (name, value) in settings.as_std().get_envs() {
        if let Some(value) = value {
            bash.env(name, value);
        }
    }
    bash.env("PATH", format!("{}:{path}", tools.display()));
    let done = Process::start(bash).finish(Duration::from_secs(60)).await;
    let done = done.success();
    let called = std::fs::read_to_string(tools.join("called")).expect("what was called");
    assert_eq!(called.lines().count(), curls(&script), "{called}");
    let well = called.lines().all(|code| code == "0");
    assert!(well, "{called}{}", done.stdout);

    let shop = server.client(&sandbox.secret_key().await);
    let orders = shop.get("/v1/orders?reference=web-1001").await.expect(200);
    let order = orders["data"][0]["id"].as_str().expect("the tour's order");
    let order = shop.get(&format!("/v1/orders/{order}")).await.expect(200);
    assert_eq!(order["payment_status"], "partially_refunded", "{order}");
    assert_eq!(order["amount_refunded"], "5.00");
    let mug = shop.get("/v1/products/mug").await.expect(200);
    assert_eq!(mug["prices"]["JPY"], "1500");
    assert!(
        done.stdout.contains("\"payment_status\""),
        "{}",
        done.stdout
    );
}
