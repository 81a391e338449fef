//! One process: what it says is read as it says it, and it never outlives its test.

use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// How long a line may take to be said.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running process.
pub struct Process {
    child: Child,
    lines: mpsc::UnboundedReceiver<String>,
    stdout: Arc<Mutex<String>>,
    stderr: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

/// A process that has ended.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed.
    pub stdout: String,
    /// What it complained of.
    pub stderr: String,
}

impl Process {
    /// Starts a process.
    pub fn start(mut command: Command) -> Process {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .kill_on_drop(true)
            .spawn()
            .expect("the process starts");
        let (said, lines) = mpsc::unbounded_channel();
        let (stdout, stderr) = (Arc::default(), Arc::default());
        let out = read(
            child.stdout.take().expect("piped"),
            Arc::clone(&stdout),
            Some(said),
        );
        let err = read(
            child.stderr.take().expect("piped"),
            Arc::clone(&stderr),
            None,
        );
        Process {
            child,
            lines,
            stdout,
            stderr,
            readers: vec![out, err],
        }
    }

    /// Waits for a line that begins with `start` and returns its rest.
    pub async fn line(&mut self, start: &str) -> String {
        match self.line_or_end(start).await {
            Some(rest) => rest,
            None => panic!(
                "the process ended without saying {start:?}: {}",
                self.said()
            ),
        }
    }

    /// Waits for a line that begins with `start` and returns its rest; none when the process ends first.
    pub async fn line_or_end(&mut self, start: &str) -> Option<String> {
        loop {
            match tokio::time::timeout(PATIENCE, self.lines.recv()).await {
                Ok(Some(line)) => {
                    if let Some(rest) = line.strip_prefix(start) {
                        return Some(rest.trim().to_owned());
                    }
                }
                Ok(None) => return None,
                Err(_) => panic!("the process never said {start:?}: {}", self.said()),
            }
        }
    }

    /// How it ended, if it ends within a moment.
    pub async fn ended(&mut self, within: Duration) -> Option<ExitStatus> {
        let ended = tokio::time::timeout(within, self.child.wait()).await;
        ended.ok().map(|status| status.expect("it was started"))
    }

    /// What it has printed by now.
    pub fn printed(&self) -> String {
        self.stdout.lock().expect("not poisoned").clone()
    }

    /// Everything it has said by now, for a failing test.
    pub fn said(&self) -> String {
        format!(
            "\n{}\n{}",
            self.printed(),
            self.stderr.lock().expect("not poisoned")
        )
    }

    /// `kill -9`: it has no say in it.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("it can be killed");
    }

    /// Its memory that is in use, in KiB.
    pub fn resident_kib(&self) -> u64 {
        let pid = self.child.id().expect("it runs");
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().nth(1));
        number.expect("a number").parse().expect("a number")
    }

    /// How many files and sockets it has open.
    pub fn open_files(&self) -> usize {
        let pid = self.child.id().expect("it runs");
        let open = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("its files");
        open.count()
    }

    /// The names of its threads.
    pub fn threads(&self) -> Vec<String> {
        let pid = self.child.id().expect("it runs");
        let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("its threads");
        let name = |thread: std::fs::DirEntry| std::fs::read_to_string(thread.path().join("comm"));
        // One may end meanwhile.
        let names = threads.flatten().filter_map(|thread| name(thread).ok());
        names.map(|name| name.trim().to_owned()).collect()
    }

    /// Asks it to end, as an init system does.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        let sent = signal(name, self.child.id().expect("it runs"));
        assert!(sent, "{name} was not delivered");
    }

    /// Waits until it ends by itself.
    pub async fn finish(mut self, within: Duration) -> Finished {
        let Ok(status) = tokio::time::timeout(within, self.child.wait()).await else {
            panic!("the process did not end within {within:?}: {}", self.said());
        };
        for reader in self.readers.drain(..) {
            reader.await.expect("its last words are read");
        }
        Finished {
            status: status.expect("it was started"),
            stdout: self.printed(),
            stderr: self.stderr.lock().expect("not poisoned").clone(),
        }
    }
}

/// Sends a signal to a process, if it is still there.
pub fn signal(name: &str, process: u32) -> bool {
    let sent = std::process::Command::new("sh")
        .args(["-c", &format!("kill -{name} {process} 2>/dev/null")])
        .status();
    sent.expect("a shell").success()
}

impl Finished {
    /// Insists on exit code 0.
    #[track_caller]
    pub fn success(self) -> Finished {
        self.exit(0)
    }

    /// Insists on an exit code.
    #[track_caller]
    pub fn exit(self, code: i32) -> Finished {
        assert_eq!(
            self.status.code(),
            Some(code),
            "{}\n{}",
            self.stdout,
            self.stderr
        );
        self
    }

    /// Insists that the complaint names each of these.
    #[track_caller]
    pub fn complains_of(self, words: &[&str]) -> Finished {
        for word in words {
            assert!(
                self.stderr.contains(word),
                "no {word:?} in: {}",
                self.stderr
            );
        }
        self
    }

    /// What it printed, as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|why| panic!("{why}: {}", self.stdout))
    }
}

fn read(
    stream: impl AsyncRead + Unpin + Send + 'static,
    kept: Arc<Mutex<String>>,
    said: Option<mpsc::UnboundedSender<String>>,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut lines = BufReader::new(stream).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let mut kept = kept.lock().expect("not poisoned");
            kept.push_str(&line);
            kept.push('\n');
            if let Some(said) = &said {
                // Nobody listens any more once the test has what it waited for.
                let _ = said.send(line);
            }
        }
    })
}
