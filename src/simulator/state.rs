//! The state file: an append-only log of changed objects, one line for what one request changed.
//!
//! A line is written before the request is answered, so that a `kill -9` forgets nothing that was
//! acknowledged; a last line cut short by one is the change that was not. At start the log is
//! written anew without what was overtaken, to a temporary file that takes the log's place.
use std::borrow::Cow;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::idempotency::StoredKey;
use super::journal::Entry;
use super::objects::balance::Transaction;
use super::objects::charge::Charge;
use super::objects::dispute::Dispute;
use super::objects::event::Event;
use super::objects::intent::Intent;
use super::objects::refund::Refund;
use super::objects::session::Session;
use super::outbox::Delivery;

/// What is neither an object nor a key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
pub struct Meta {
    /// How often this state was started from.
    pub starts: u64,
    /// How far simulated time is ahead.
    pub offset_ms: u64,
    /// `whsec_…`
    pub webhook_secret: String,
    /// The secret before.
    pub old_secret: String,
    /// Where events go.
    pub webhook_url: Option<String>,
    /// Which types of events do; `*` at the end of one stands for any rest.
    pub enabled_events: Vec<String>,
    /// Whether new refunds wait for `succeed` or `fail`.
    pub refunds_pending: bool,
}

impl Default for Meta {
    fn default() -> Meta {
        Meta {
            starts: 0,
            offset_ms: 0,
            webhook_secret: String::new(),
            old_secret: String::new(),
            webhook_url: None,
            enabled_events: vec!["*".to_owned()],
            refunds_pending: false,
        }
    }
}

/// One change.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record<'a> {
    /// Settings.
    Meta(Cow<'a, Meta>),
    /// A session as it is now; likewise the other objects.
    Session(Cow<'a, Session>),
    /// A payment intent.
    Intent(Cow<'a, Intent>),
    /// A charge.
    Charge(Cow<'a, Charge>),
    /// A refund.
    Refund(Cow<'a, Refund>),
    /// A dispute.
    Dispute(Cow<'a, Dispute>),
    /// A balance transaction.
    Transaction(Cow<'a, Transaction>),
    /// An event.
    Event(Cow<'a, Event>),
    /// An idempotency key with its answer.
    Key(Cow<'a, StoredKey>),
    /// A journal entry of an effect.
    Effect(Cow<'a, Entry>),
    /// A webhook that waits.
    Delivery(Cow<'a, Delivery>),
    /// A webhook that is done.
    Delivered(u64),
}

/// Reads all records of a log, if there is one.
pub fn read(path: &Path) -> io::Result<Vec<Record<'static>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        Err(error) => return Err(error),
    };
    let mut records = Vec::new();
    let mut lines = BufReader::new(file).split(b'\n').peekable();
    while let Some(line) = lines.next() {
        let line = line?;
        if line.is_empty() {
            continue;
        }
        match serde_json::from_slice::<Vec<Record<'static>>>(&line) {
            Ok(changes) => records.extend(changes),
            // Cut short while it was written: never acknowledged.
            Err(_) if lines.peek().is_none() => break,
            Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        }
    }
    Ok(records)
}

/// A log being written.
#[derive(Debug)]
pub struct StateLog {
    file: File,
    line: Vec<u8>,
}

impl StateLog {
    /// Replaces the log by one that has just the given records.
    pub fn create<'a>(
        path: &Path,
        records: impl Iterator<Item = Record<'a>>,
    ) -> io::Result<StateLog> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let temporary = path.with_file_name(name);
        match std::fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // It holds a secret that signs webhooks, and customers' addresses.
        let mut fresh = OpenOptions::new();
        let fresh = fresh.write(true).create_new(true).mode(0o600);
        let mut writer = BufWriter::new(fresh.open(&temporary)?);
        for record in records {
            serde_json::to_writer(&mut writer, &[record])?;
            writer.write_all(b"\n")?;
        }
        writer
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?
            .sync_all()?;
        std::fs::rename(&temporary, path)?;
        let file = OpenOptions::new().append(true).open(path)?;
        Ok(StateLog { file, line: vec![] })
    }

    /// Adds a change to the present line.
    pub fn push(&mut self, record: &Record<'_>) {
        self.line
            .push(if self.line.is_empty() { b'[' } else { b',' });
        if let Err(error) = serde_json::to_writer(&mut self.line, record) {
            tracing::error!(%error, "can't write a change as JSON");
        }
    }

    /// Writes the present line.
    pub fn commit(&mut self) {
        if self.line.is_empty() {
            return;
        }
        self.line.extend_from_slice(b"]\n");
        if let Err(error) = self.file.write_all(&self.line) {
            tracing::error!(%error, "can't write the simulator's state file");
        }
        self.line.clear();
    }
}
