//! The driver itself: it hears what pages complain of, sees what is wrong with them, and leaves no process behind.
//!
//! The pages here are made wrong on purpose, one thing at a time.

use std::path::Path;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::chromium::Browser;
use super::looks::Scheme;
use super::tab::Tab;

const POLICY: &str =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:";

/// A page of its own for each path; the rest is not there.
async fn site() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = vec![0; 8192];
                let read = stream.read(&mut head).await.unwrap_or(0);
                let head = String::from_utf8_lossy(&head[..read]).into_owned();
                let (kind, body) = answer(head.split(' ').nth(1).unwrap_or_default());
                let status = if body.contains("Not here") {
                    "404 Not Found"
                } else {
                    "200 OK"
                };
                let answer = format!(
                    "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n{}\
                     Content-Security-Policy: {POLICY}\r\nConnection: close\r\n\r\n{body}",
                    body.len(),
                    if kind == "text/csv" {
                        "Content-Disposition: attachment\r\n"
                    } else {
                        ""
                    },
                );
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    url
}

fn answer(path: &str) -> (&'static str, String) {
    let body = match path {
        "/calm" => "<p>All is <b>well</b></p><a href=/form>Go on</a>",
        "/form" => {
            "<form action=/done><label>Name <input name=name></label>\
             <label for=c>Colour</label><select id=c name=colour><option value=r>Red<option value=g>Green</select>\
             <button>Send it</button></form><a href=/file>The file</a>"
        }
        "/loud" => "<p>Loud</p><script src=/loud.js></script>",
        "/loud.js" => {
            return (
                "text/javascript",
                "console.error('oh no'); throw new Error('thrown')".to_owned(),
            );
        }
        "/inline" => "<p>Inline</p><script>document.title = 'ran'</script>",
        "/abroad" => "<p>Abroad</p><img alt='' src='http://elsewhere.example/pixel'>",
        "/wide" => "<link rel=stylesheet href=/wide.css><p class=wide>Wide</p>",
        "/wide.css" => return ("text/css", ".wide { width: 3000px }".to_owned()),
        "/pale" => "<link rel=stylesheet href=/pale.css><p>Pale</p><input>",
        "/pale.css" => return ("text/css", "p { color: #ccc }".to_owned()),
        "/file" => return ("text/csv", "a,b\n1,2\n".to_owned()),
        _ if path.starts_with("/done?") => "<p>Thank you</p>",
        _ => "<p>Not here</p>",
    };
    let head = "<!doctype html><html lang=en><meta charset=utf-8><title>Test</title><link rel=icon href=data:,>";
    (
        "text/html",
        format!("{head}<body><main><h1>Page</h1>{body}</main>"),
    )
}

/// What a page is found guilty of; the tab is calm again afterwards.
async fn complaints(tab: &Tab, path: &str, words: &str) {
    tab.open(path).await;
    tab.until(&format!("{path} is found guilty of {words}"), async || {
        tab.complaints()
            .iter()
            .any(|complaint| complaint.contains(words))
    })
    .await;
    tab.forgive();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_driver_sees_what_a_person_sees_and_hears_what_pages_complain_of() {
    let Some(browser) = Browser::start().await else {
        return;
    };
    let folder = browser.folder().to_owned();
    let tab = Tab::new(&browser, &site().await).await;

    tab.open("/calm").await;
    assert_eq!(tab.text().await, "Page\n\nAll is well\n\nGo on");
    tab.looks_right("driver-calm").await;
    tab.loads(async || tab.click("link", "Go on").await).await;
    tab.fill("Name", "Ada").await;
    tab.fill("Colour", "Green").await;
    let file = tab
        .downloads(&browser, async || tab.click("link", "The file").await)
        .await;
    assert_eq!(file, "a,b\n1,2\n");
    tab.loads(async || tab.click("button", "Send it").await)
        .await;
    assert_eq!(tab.path().await, "/done?name=Ada&colour=g");
    tab.says("Thank you").await;
    tab.open_refused("/nowhere", 404).await;
    tab.is_calm();

    complaints(&tab, "/loud", "oh no").await;
    complaints(&tab, "/loud", "thrown").await;
    complaints(&tab, "/inline", "Content Security Policy").await;
    complaints(
        &tab,
        "/abroad",
        "another host: http://elsewhere.example/pixel",
    )
    .await;
    complaints(&tab, "/nowhere", "404").await;
    tab.open("/wide").await;
    assert!(tab.sticks_out().await.contains("class=\"wide\""));
    tab.open("/pale").await;
    let found = tab.axe_finds().await.join("\n");
    assert!(
        found.contains("color-contrast") && found.contains("label:"),
        "{found}"
    );
    tab.is_shown_in(Scheme::Dark).await;
    assert_eq!(
        tab.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
            .await,
        true
    );
    tab.scripts(false).await;
    tab.open("/loud").await;
    tab.says("Loud").await;
    tab.is_calm();

    drop(tab);
    drop(browser);
    assert_eq!(processes_in(&folder), Vec::<String>::new());
    assert!(!folder.exists());
}

/// The command lines of all processes that name this folder.
fn processes_in(folder: &Path) -> Vec<String> {
    let folder = folder.display().to_string();
    let all = std::fs::read_dir("/proc").expect("processes").flatten();
    let lines = all.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    lines.filter(|line| line.contains(&folder)).collect()
}
