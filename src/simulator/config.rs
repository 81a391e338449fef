//! How a simulator is started, and why it may not start.
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

/// How a simulator is started.
#[derive(Debug, Clone)]
pub struct SimulatorConfig {
    /// Where it listens.
    pub address: IpAddr,
    /// 0 means any free port.
    pub port: u16,
    /// Where events are sent; without it they are only listed.
    pub webhook_url: Option<String>,
    /// `whsec_…`; without it one is made up and kept in the state file.
    pub webhook_secret: Option<String>,
    /// The types of events that are sent, as an endpoint enables them at the provider; `*` at the end of one stands
    /// for any rest. Without it what the state file says, and at first all.
    pub enabled_events: Option<Vec<String>>,
    /// Where the state is kept; without it, in memory alone.
    pub state_file: Option<PathBuf>,
    /// Makes identifiers and chances repeatable.
    pub seed: Option<u64>,
    /// The waits before the second try of a webhook and those after it, in simulated time.
    pub retry_schedule: Vec<Duration>,
}

impl Default for SimulatorConfig {
    fn default() -> Self {
        SimulatorConfig {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 0,
            webhook_url: None,
            webhook_secret: None,
            enabled_events: None,
            state_file: None,
            seed: None,
            retry_schedule: [1, 5, 30, 300, 3600, 3 * 3600]
                .map(Duration::from_secs)
                .to_vec(),
        }
    }
}

/// Why a simulator did not start.
#[derive(Debug)]
pub enum SimulatorError {
    /// The state file can't be read or written.
    State(PathBuf, io::Error),
    /// No HTTP client for webhooks.
    Client(reqwest::Error),
    /// The port can't be listened on.
    Listen(String),
}

impl fmt::Display for SimulatorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SimulatorError::State(path, _) => {
                write!(
                    f,
                    "the simulator can't use its state file `{}`",
                    path.display()
                )
            }
            SimulatorError::Client(_) => f.write_str("the simulator can't make an HTTP client"),
            SimulatorError::Listen(reason) => write!(f, "the simulator can't listen: {reason}"),
        }
    }
}

impl std::error::Error for SimulatorError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            SimulatorError::State(_, source) => Some(source),
            SimulatorError::Client(source) => Some(source),
            SimulatorError::Listen(_) => None,
        }
    }
}
