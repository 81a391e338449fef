//! `till serve` and `till worker`.

use std::process::ExitCode;
use std::sync::Arc;

use rocket::fairing::AdHoc;
use rocket::{Build, Rocket};
use tokio::sync::oneshot;

use super::simulated::{self, Note};
use crate::app::{self, DatabaseLock, StartError};
use crate::clock::Clock;
use crate::config::{Config, Texts};
use crate::http::in_flight::InFlight;
use crate::service::Services;
use crate::simulator::{Simulator, SimulatorConfig};
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
    shutdown: rocket::Shutdown,
    in_flight: InFlight,
    served: tokio::task::JoinHandle<Result<(), String>>,
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
pub(super) async fn start(mut config: Config, with_simulator: bool) -> anyhow::Result<Running> {
    app::check(&config, with_simulator)?;
    let lock = DatabaseLock::take(&config.database.url)?;
    let clock = Clock::system();
    let store = app::open_store(&config, clock.clone()).await?;
    if lock.is_exclusive() {
        store.release_leases().await?;
    }
    let simulator = match with_simulator {
        true => Some(start_simulator(&mut config).await?),
        false => None,
    };
    let services = app::build_services(&config, store, clock).await?;
    telemetry::count_panics(services.metrics.clone());
    let workers = config.worker.enabled.then(|| Workers::start(&services));
    let listening = Listening::start(app::server(&config, services.clone())).await?;
    let base_url = listening.base_url.clone();
    let mut note = None;
    if let Some(simulator) = &simulator {
        simulator.set_webhook_url(&format!("{base_url}/webhooks/stripe"));
        note = Some(Note::leave(&config, &simulator.base_url())?);
    }
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
    async fn start(rocket: Rocket<Build>) -> anyhow::Result<Listening> {
        let (told, listening) = oneshot::channel();
        let told = std::sync::Mutex::new(Some(told));
        let in_flight = InFlight::default();
        let rocket = rocket.attach(in_flight.clone()).attach(AdHoc::on_liftoff(
            "listening",
            move |rocket| {
                Box::pin(async move {
                    let config = rocket.config();
                    let address = std::net::SocketAddr::new(config.address, config.port);
                    let mut told = told
                        .lock()
                        .unwrap_or_else(std::sync::PoisonError::into_inner);
                    if let Some(told) = told.take() {
                        // The receiver is gone only when the start was given up.
                        let _ = told.send(address);
                    }
                })
            },
        ));
        let rocket = rocket
            .ignite()
            .await
            .map_err(|error| server_error(&error))?;
        let shutdown = rocket.shutdown();
        let served = tokio::spawn(async move {
            let outcome = rocket.launch().await;
            outcome.map(|_| ()).map_err(|error| error.pretty_text())
        });
        let Ok(address) = listening.await else {
            let reason = match served.await {
                Ok(Err(reason)) => reason,
                _ => "the server ended before it listened".to_owned(),
            };
            return Err(StartError::Server(reason).into());
        };
        Ok(Listening {
            base_url: format!("http://{address}"),
            shutdown,
            in_flight,
            served,
        })
    }

    /// Returns once the process was told to stop and every request is answered.
    async fn until_stopped(self) -> anyhow::Result<()> {
        let mut served = self.served;
        let outcome = tokio::select! {
            outcome = &mut served => outcome?,
            // Rocket would wait its whole grace period for idle connections.
            () = async { self.shutdown.await; self.in_flight.drained().await } => Ok(()),
        };
        Ok(outcome.map_err(StartError::Server)?)
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
    pub async fn stop(self) -> anyhow::Result<()> {
        self.listening.shutdown.clone().notify();
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

fn server_error(error: &rocket::Error) -> StartError {
    StartError::Server(error.pretty_text())
}

/// Words for why Rocket did not start.
trait PrettyText {
    fn pretty_text(&self) -> String;
}

impl PrettyText for rocket::Error {
    fn pretty_text(&self) -> String {
        match self.kind() {
            rocket::error::ErrorKind::Bind(error) => format!(
                "the server cannot listen: {error}; choose another port with ROCKET_PORT \
                 (TILL_WORKER__PORT for `till worker`), or stop what uses it"
            ),
            rocket::error::ErrorKind::Shutdown(..) => {
                "the server did not end in time; what was under way is recovered at the next start"
                    .to_owned()
            }
            other => other.to_string(),
        }
    }
}

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
    let simulator = Simulator::start(SimulatorConfig {
        port: usual_simulator_port(),
        state_file: Some(state_file),
        webhook_secret: stripe.webhook_secrets.0.first().cloned(),
        ..SimulatorConfig::default()
    })
    .await?;
    stripe.base_url = simulator.base_url();
    stripe.webhook_secrets = Texts(vec![simulator.webhook_secret()]);
    Ok(simulator)
}

/// The same port at every start when it is free, so that pages opened before a restart still work after it.
fn usual_simulator_port() -> u16 {
    const USUAL: u16 = 12_111;
    match std::net::TcpListener::bind(("127.0.0.1", USUAL)) {
        Ok(_) => USUAL,
        Err(_) => 0,
    }
}

pub(super) async fn worker(config: Config) -> anyhow::Result<ExitCode> {
    app::check(&config, false)?;
    let lock = DatabaseLock::take(&config.database.url)?;
    let clock = Clock::system();
    let store = app::open_store(&config, clock.clone()).await?;
    if lock.is_exclusive() {
        store.release_leases().await?;
    }
    let services = app::build_services(&config, store, clock).await?;
    telemetry::count_panics(services.metrics.clone());
    let workers = Workers::start(&services);
    tracing::info!("the worker runs");
    let outcome = match app::worker_server(&config, services.clone()) {
        Some(server) => answer_until_stopped(server).await,
        None => until_told_to_stop().await.map_err(Into::into),
    };
    workers.stop().await;
    services.store.close().await?;
    outcome.map(|()| ExitCode::SUCCESS)
}

/// Serves a worker's health and metrics until the process is told to stop.
async fn answer_until_stopped(server: Rocket<Build>) -> anyhow::Result<()> {
    let listening = Listening::start(server).await?;
    println!("The worker listens on {}", listening.base_url);
    listening.until_stopped().await
}

/// Returns at Ctrl-C or SIGTERM.
pub(super) async fn until_told_to_stop() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        outcome = tokio::signal::ctrl_c() => outcome,
        _ = terminate.recv() => Ok(()),
    }
}
