//! `till serve` and `till worker`.

use std::process::ExitCode;
use std::sync::Arc;

use rocket::{Build, Rocket};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::simulated::{self, Note};
use super::storage::closing;
use crate::app::{self, DatabaseLock, StartError};
use crate::clock::Clock;
use crate::config::{Config, Texts};
use crate::front::{self, Admission, Front, FrontError, Limits};
use crate::service::Services;
use crate::simulator::{Simulator, SimulatorConfig, SimulatorError};
use crate::store::Store;
use crate::telemetry;
use crate::worker::Workers;

/// A server that is running in this process.
pub(super) struct Running {
    /// Where it listens.
    pub base_url: String,
    /// Its use cases.
    pub services: Arc<Services>,
    listening: Listening,
    workers: Option<Workers>,
    simulator: Option<Simulator>,
    note: Option<Note>,
    _lock: DatabaseLock,
}

/// A server that answers.
struct Listening {
    base_url: String,
    front: Front,
    told: ToldToStop,
}

pub(super) async fn serve(config: Config, with_simulator: bool) -> anyhow::Result<ExitCode> {
    let running = start(config, with_simulator).await?;
    println!("Till listens on {}", running.base_url);
    if let Some(simulator) = &running.simulator {
        println!("The simulator listens on {}", simulator.base_url());
    }
    running.until_stopped().await
}

/// Starts everything; returns once requests are answered.
pub(super) async fn start(config: Config, with_simulator: bool) -> anyhow::Result<Running> {
    app::check(&config, with_simulator)?;
    let lock = DatabaseLock::take(&config.database.url)?;
    let clock = Clock::system();
    let store = app::open_store(&config, clock.clone()).await?;
    let started = start_over(config, with_simulator, store.clone(), lock, clock).await;
    if started.is_err() {
        // Why it did not start is what counts.
        drop(store.close().await);
    }
    started
}

async fn start_over(
    mut config: Config,
    with_simulator: bool,
    store: Arc<Store>,
    lock: DatabaseLock,
    clock: Clock,
) -> anyhow::Result<Running> {
    if lock.is_exclusive() {
        store.release_leases().await?;
    }
    let simulator = match with_simulator {
        true => Some(start_simulator(&mut config).await?),
        false => None,
    };
    let services = app::build_services(&config, store, clock).await?;
    telemetry::count_panics(services.metrics.clone());
    let admission = Arc::new(app::Room(services.clone()));
    let server = app::server(&config, services.clone());
    let listening = Listening::start(&config, server, Some(admission)).await?;
    let base_url = listening.base_url.clone();
    let mut note = None;
    if let Some(simulator) = &simulator {
        simulator.set_webhook_url(&format!("{base_url}/webhooks/stripe"));
        note = Some(Note::leave(&config, &simulator.base_url())?);
    }
    // Only now: a start that fails, for a port that is taken, has sent nothing.
    let workers = config.worker.enabled.then(|| Workers::start(&services));
    tracing::info!(till.url = %base_url, "Till listens on {base_url}");
    Ok(Running {
        base_url,
        services,
        listening,
        workers,
        simulator,
        note,
        _lock: lock,
    })
}

impl Listening {
    /// Starts a server; returns once requests are answered.
    async fn start(
        config: &Config,
        rocket: Rocket<Build>,
        admission: Option<Arc<dyn Admission>>,
    ) -> anyhow::Result<Listening> {
        let told = ToldToStop::listen()?;
        let connections = front::affordable(config.http.max_connections.get());
        let limits = Limits::with_connections(connections);
        let front = Front::start(rocket, limits, admission).await;
        let front = front.map_err(|error| StartError::Server(in_words(error)))?;
        Ok(Listening {
            base_url: format!("http://{}", front.address()),
            front,
            told,
        })
    }

    /// Returns once the process was told to stop and every request is answered.
    async fn until_stopped(mut self) -> anyhow::Result<()> {
        self.told.wait().await;
        self.stop().await
    }

    /// Returns once every request is answered; no more are taken.
    async fn stop(self) -> anyhow::Result<()> {
        match self.front.stopped().await {
            true => Ok(()),
            false => Err(StartError::Server(
                "the server did not end in time; what was under way is recovered at the next start"
                    .to_owned(),
            )
            .into()),
        }
    }
}

impl Running {
    /// The simulator, when there is one.
    pub fn simulator(&self) -> Option<&Simulator> {
        self.simulator.as_ref()
    }

    /// Serves until the process is told to stop, then ends everything in order.
    pub async fn until_stopped(self) -> anyhow::Result<ExitCode> {
        let outcome = self.listening.until_stopped().await;
        let ended = Ended {
            workers: self.workers,
            simulator: self.simulator,
            note: self.note,
            services: self.services,
        };
        ended.close().await?;
        outcome.map(|()| ExitCode::SUCCESS)
    }

    /// Stops now.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.listening.told.now();
        self.until_stopped().await.map(|_| ())
    }
}

/// What is left to end after the last answer.
struct Ended {
    workers: Option<Workers>,
    simulator: Option<Simulator>,
    note: Option<Note>,
    services: Arc<Services>,
}

impl Ended {
    async fn close(self) -> anyhow::Result<()> {
        if let Some(workers) = self.workers {
            workers.stop().await;
        }
        drop(self.note);
        if let Some(simulator) = self.simulator {
            simulator.stop().await;
        }
        self.services.store.close().await?;
        Ok(())
    }
}

/// Words for why the server did not start.
fn in_words(error: FrontError) -> String {
    match error {
        FrontError::Bind(address, error) => format!(
            "the server cannot listen at {address}: {error}; choose another port with ROCKET_PORT \
             (TILL_WORKER__PORT for `till worker`), or stop what uses it"
        ),
        FrontError::Ignite(reason) => reason,
    }
}

/// The same port at every start when it is free, so that pages opened before a restart still work after it.
const USUAL_SIMULATOR_PORT: u16 = 12_111;

/// Starts the simulator and makes it the configured provider.
async fn start_simulator(config: &mut Config) -> anyhow::Result<Simulator> {
    let state_file = simulated::file(config, "simulator.json");
    let stripe = &mut config.providers.stripe;
    let key = stripe
        .api_key
        .get_or_insert_with(|| simulated::KEY.to_owned());
    if !key.starts_with("sk_test_") {
        return Err(super::WrongUse(
            "the simulator takes test keys only: unset TILL_PROVIDERS__STRIPE__API_KEY, or start without \
             --with-simulator"
                .to_owned(),
        )
        .into());
    }
    let at = |port| SimulatorConfig {
        port,
        state_file: Some(state_file.clone()),
        webhook_secret: stripe.webhook_secrets.0.first().cloned(),
        ..SimulatorConfig::default()
    };
    let simulator = match Simulator::start(at(USUAL_SIMULATOR_PORT)).await {
        Err(SimulatorError::Listen(_)) => {
            let simulator = Simulator::start(at(0)).await?;
            eprintln!(
                "The simulator's usual port {USUAL_SIMULATOR_PORT} is taken: this time it is at {}, and its pages from \
                 before cannot be opened",
                simulator.base_url()
            );
            simulator
        }
        started => started?,
    };
    stripe.base_url = simulator.base_url();
    stripe.webhook_secrets = Texts(vec![simulator.webhook_secret()]);
    Ok(simulator)
}

pub(super) async fn worker(config: Config) -> anyhow::Result<ExitCode> {
    app::check(&config, false)?;
    let lock = DatabaseLock::take(&config.database.url)?;
    let clock = Clock::system();
    let store = app::open_store(&config, clock.clone()).await?;
    closing(&store, work(config, &lock, store.clone(), clock)).await
}

async fn work(
    config: Config,
    lock: &DatabaseLock,
    store: Arc<Store>,
    clock: Clock,
) -> anyhow::Result<ExitCode> {
    if lock.is_exclusive() {
        store.release_leases().await?;
    }
    let services = app::build_services(&config, store, clock).await?;
    telemetry::count_panics(services.metrics.clone());
    let listening = match app::worker_server(&config, services.clone()) {
        Some(server) => Some(Listening::start(&config, server, None).await?),
        None => None,
    };
    let workers = Workers::start(&services);
    tracing::info!("the worker runs");
    let outcome = match listening {
        Some(listening) => {
            println!("The worker listens on {}", listening.base_url);
            listening.until_stopped().await
        }
        None => until_told_to_stop().await.map_err(Into::into),
    };
    workers.stop().await;
    outcome.map(|()| ExitCode::SUCCESS)
}

/// Returns at Ctrl-C or SIGTERM.
pub(super) async fn until_told_to_stop() -> std::io::Result<()> {
    ToldToStop::listen()?.wait().await;
    Ok(())
}

/// Hears Ctrl-C and SIGTERM from when it is made.
struct ToldToStop {
    interrupt: Signal,
    terminate: Signal,
    already: bool,
}

impl ToldToStop {
    fn listen() -> std::io::Result<ToldToStop> {
        Ok(ToldToStop {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            already: false,
        })
    }

    /// As if it had been told.
    fn now(&mut self) {
        self.already = true;
    }

    async fn wait(&mut self) {
        if self.already {
            return;
        }
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
