//! One headless Chromium, spoken to over the DevTools protocol.
//!
//! The protocol runs over a pipe, not over a port: the browser ends when its end of the pipe closes, so it cannot
//! outlive this process, however that dies. It is given a folder of its own and resolves no host name.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::oneshot;

use crate::harness::process::signal;

/// How long the browser may take to answer, on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What is looked for when nobody names a browser.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Who is told of the events of one page, in the order in which they came.
pub type Listener = Arc<dyn Fn(&str, &Value) + Send + Sync>;

/// A running browser; its processes go when it is dropped.
pub struct Browser {
    child: Child,
    wire: Arc<Wire>,
    folder: PathBuf,
}

/// The pipe to the browser.
pub struct Wire {
    writer: tokio::sync::Mutex<ChildStdin>,
    next: AtomicU64,
    waiting: Mutex<HashMap<u64, oneshot::Sender<Value>>>,
    listeners: Mutex<HashMap<String, Vec<Listener>>>,
}

impl Browser {
    /// Starts a browser; none where `TILL_TEST_BROWSER` is `none`. It may name the program as well.
    pub async fn start() -> Option<Browser> {
        let chosen = std::env::var("TILL_TEST_BROWSER").unwrap_or_default();
        if chosen == "none" {
            eprintln!("skipped: TILL_TEST_BROWSER is none");
            return None;
        }
        let program = match chosen.is_empty() {
            false => PathBuf::from(chosen),
            true => installed().unwrap_or_else(|| {
                panic!(
                    "no browser: install {}, or set TILL_TEST_BROWSER to its path or to none",
                    NAMES[0]
                )
            }),
        };
        let unique = uuid::Uuid::new_v4().simple().to_string();
        let folder = std::env::temp_dir().join(format!("till-browser-{unique}"));
        std::fs::create_dir(&folder).expect("a folder");
        let mut child = launch(&program, &folder);
        let reader = child.stdout.take().expect("piped");
        let wire = Arc::new(Wire {
            writer: tokio::sync::Mutex::new(child.stdin.take().expect("piped")),
            next: AtomicU64::new(1),
            waiting: Mutex::default(),
            listeners: Mutex::default(),
        });
        tokio::spawn(listen(reader, Arc::clone(&wire)));
        wire.call(None, "Browser.getVersion", json!({})).await;
        Some(Browser {
            child,
            wire,
            folder,
        })
    }

    /// The pipe, for its pages.
    pub fn wire(&self) -> Arc<Wire> {
        Arc::clone(&self.wire)
    }

    /// Where it keeps its files, downloads among them.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if let Some(leader) = self.child.id() {
            // The whole group: the browser is one process a page and a few more.
            let group = format!("-{leader}");
            let _ = std::process::Command::new("kill")
                .args(["-KILL", "--", &group])
                .status();
            for _ in 0..100 {
                if !signal("0", leader) || self.child.try_wait().is_ok_and(|ended| ended.is_some())
                {
                    break;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        for _ in 0..20 {
            if std::fs::remove_dir_all(&self.folder).is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Wire {
    /// Carries out a command, of the browser or of one page, and returns what it says.
    pub async fn call(&self, session: Option<&str>, method: &str, params: Value) -> Value {
        match self.try_call(session, method, params).await {
            Ok(result) => result,
            Err(why) => panic!("{method}: {why}"),
        }
    }

    /// The same, and how the browser refused it.
    pub async fn try_call(
        &self,
        session: Option<&str>,
        method: &str,
        params: Value,
    ) -> Result<Value, Value> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (answered, answer) = oneshot::channel();
        self.waiting
            .lock()
            .expect("not poisoned")
            .insert(id, answered);
        let mut message = json!({"id": id, "method": method, "params": params});
        if let Some(session) = session {
            message["sessionId"] = json!(session);
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        let written = self.writer.lock().await.write_all(&bytes).await;
        written.unwrap_or_else(|why| panic!("{method}: the browser is gone: {why}"));
        let answer = tokio::time::timeout(PATIENCE, answer).await;
        let Ok(answer) = answer else {
            panic!("{method}: no answer within {PATIENCE:?}");
        };
        let answer = answer.unwrap_or_else(|_| panic!("{method}: the browser ended"));
        match answer.get("error") {
            Some(why) => Err(why.clone()),
            None => Ok(answer["result"].clone()),
        }
    }

    /// Tells `listener` of the events of one session; the empty one is the browser's own.
    pub fn listen(&self, session: &str, listener: Listener) {
        let mut listeners = self.listeners.lock().expect("not poisoned");
        listeners
            .entry(session.to_owned())
            .or_default()
            .push(listener);
    }
}

/// The browser in the path, if there is one.
fn installed() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let mut found = NAMES
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    found.find(|program| program.is_file())
}

/// The shell lays the pipe where the browser expects it: it reads from descriptor 3 and writes to 4.
fn launch(program: &Path, folder: &Path) -> Child {
    let profile = format!("--user-data-dir={}", folder.join("profile").display());
    let log = std::fs::File::create(folder.join("log")).expect("a log");
    let mut command = Command::new("sh");
    command
        .args(["-c", "exec \"$@\" 3<&0 4>&1 0</dev/null 1>&2", "sh"])
        .arg(program)
        .args([
            "--headless=new",
            "--remote-debugging-pipe",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-extensions",
            "--disable-sync",
            "--disable-breakpad",
            "--no-first-run",
            "--no-default-browser-check",
            "--password-store=basic",
            "--hide-scrollbars",
            "--force-color-profile=srgb",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            "--proxy-server=direct://",
        ])
        .arg(profile)
        .arg("about:blank")
        .env("HOME", folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log)
        .process_group(0)
        .kill_on_drop(true);
    command.spawn().expect("the browser starts")
}

/// Reads the pipe: answers go to who waits for them, events to who listens.
async fn listen(reader: ChildStdout, wire: Arc<Wire>) {
    let mut reader = BufReader::new(reader);
    let mut bytes = Vec::new();
    while reader
        .read_until(0, &mut bytes)
        .await
        .is_ok_and(|read| read > 0)
    {
        if bytes.last() == Some(&0) {
            bytes.pop();
        }
        let message: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        bytes.clear();
        if let Some(id) = message["id"].as_u64() {
            let waiting = wire.waiting.lock().expect("not poisoned").remove(&id);
            if let Some(waiting) = waiting {
                // Whoever gave up waiting does not want it any more.
                let _ = waiting.send(message);
            }
            continue;
        }
        let session = message["sessionId"].as_str().unwrap_or_default();
        let listeners = wire.listeners.lock().expect("not poisoned");
        for listener in listeners.get(session).into_iter().flatten() {
            listener(
                message["method"].as_str().unwrap_or_default(),
                &message["params"],
            );
        }
    }
    // Whoever still waits learns that there will be no answer.
    wire.waiting.lock().expect("not poisoned").clear();
}
