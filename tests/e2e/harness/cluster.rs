//! PostgreSQL servers of a test's own, which may be killed: a primary and, if wanted, its synchronous standby.

use std::path::{Path, PathBuf};

use super::process::signal;
use super::{execute, texts_at};

/// One server in a folder of its own.
pub struct Member {
    folder: PathBuf,
    /// Its URL, with the database `postgres`.
    pub url: String,
}

/// The servers; all of them go when the test ends.
pub struct Cluster {
    folder: PathBuf,
    /// The first one.
    pub primary: Member,
    /// The one that follows it.
    pub standby: Option<Member>,
}

impl Cluster {
    /// One server.
    pub async fn alone() -> Cluster {
        let unique = uuid::Uuid::new_v4().simple().to_string();
        let folder = std::env::temp_dir().join(format!("till-pg-{}", &unique[..12]));
        std::fs::create_dir(&folder).expect("a folder");
        let primary = Member::made(&folder.join("a"), "start", None).await;
        Cluster {
            folder,
            primary,
            standby: None,
        }
    }

    /// A primary whose every commit waits for its standby.
    pub async fn pair() -> Cluster {
        let mut cluster = Cluster::alone().await;
        let primary = &cluster.primary;
        let at = cluster.folder.join("b");
        cluster.standby = Some(Member::made(&at, "standby", Some(&primary.folder)).await);
        // After the copy was made, or the standby would wait for one of its own once it is the primary.
        execute(
            &primary.url,
            "ALTER SYSTEM SET synchronous_standby_names = '*'",
        )
        .await;
        execute(&primary.url, "SELECT pg_reload_conf()").await;
        super::eventually("the standby is synchronous", 10, async || {
            let states = "SELECT sync_state FROM pg_stat_replication";
            texts_at(&primary.url, states).await == ["sync"]
        })
        .await;
        cluster
    }

    /// The standby of a pair.
    pub fn standby(&self) -> &Member {
        self.standby.as_ref().expect("a pair")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for member in [Some(&self.primary), self.standby.as_ref()]
            .into_iter()
            .flatten()
        {
            member.signal("CONT");
            let _ = script(&["stop", &text(&member.folder)]).status();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Member {
    async fn made(folder: &Path, how: &str, of: Option<&Path>) -> Member {
        let folder_text = text(folder);
        let mut words = vec![how, &folder_text];
        let of = of.map(text);
        words.extend(of.as_deref());
        let made = tokio::process::Command::from(script(&words)).output().await;
        let made = made.expect("the script runs");
        let complaint = String::from_utf8_lossy(&made.stderr).into_owned();
        assert!(made.status.success(), "tests/postgres {how}: {complaint}");
        let url = String::from_utf8(made.stdout).expect("a URL");
        Member {
            folder: folder.to_path_buf(),
            url: url.trim().to_owned(),
        }
    }

    /// `tests/postgres WHAT` with it: `promote`, `shut` or `restart`.
    pub async fn does(&self, what: &str) {
        let mut command = tokio::process::Command::from(script(&[what, &text(&self.folder)]));
        let done = command.status().await.expect("the script runs");
        assert!(done.success(), "tests/postgres {what}");
    }

    /// Host and port.
    pub fn host(&self) -> &str {
        let (_, rest) = self.url.split_once('@').expect("a user");
        rest.split_once('/').expect("a database").0
    }

    /// A signal to all its processes, as when its machine fails. Some may end by themselves meanwhile.
    pub fn signal(&self, name: &str) {
        for process in self.processes() {
            signal(name, process);
        }
    }

    /// The server's process and its children; none when it does not run.
    fn processes(&self) -> Vec<u32> {
        let file = self.folder.join("data/postmaster.pid");
        let Ok(text) = std::fs::read_to_string(file) else {
            return Vec::new();
        };
        let first = text.lines().next().and_then(|line| line.parse().ok());
        let Some(server) = first.filter(|pid| parent(*pid).is_some()) else {
            return Vec::new();
        };
        let all = std::fs::read_dir("/proc").expect("/proc").flatten();
        let all = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let mut processes = vec![server];
        processes.extend(all.filter(|pid| parent(*pid) == Some(server)));
        processes
    }
}

fn text(path: &Path) -> String {
    path.to_str().expect("a plain path").to_owned()
}

/// The process that started another one, if it runs.
fn parent(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in brackets, may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

fn script(words: &[&str]) -> std::process::Command {
    let mut command =
        std::process::Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/postgres"));
    command.args(words);
    command
}
