//! A running simulator.
use std::net::IpAddr;
use std::sync::Arc;

use rocket::config::{Ident, LogLevel, Shutdown as ShutdownConfig};
use rocket::fairing::AdHoc;
use tokio::sync::{oneshot, watch};

use super::config::{SimulatorConfig, SimulatorError};
use super::delivery;
use super::http;
use super::shared::Shared;
use super::world::{World, WorldConfig};

/// A provider at work in background tasks of the runtime it was started in.
#[derive(Debug)]
pub struct Simulator {
    shared: Arc<Shared>,
    shutdown: rocket::Shutdown,
    stopped: watch::Receiver<bool>,
}

impl Simulator {
    /// Starts a simulator; it listens when this returns.
    pub async fn start(config: SimulatorConfig) -> Result<Simulator, SimulatorError> {
        // Webhooks need a TLS provider even when they go to plain HTTP; the host may have set one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = delivery::client().map_err(SimulatorError::Client)?;
        let world = World::open(WorldConfig {
            seed: config.seed,
            state_file: config.state_file.clone(),
            webhook_url: config.webhook_url.clone(),
            webhook_secret: config.webhook_secret.clone(),
            enabled_events: config.enabled_events.clone(),
            retry_schedule: config.retry_schedule.clone(),
        });
        let path = config.state_file.clone().unwrap_or_default();
        let shared = Arc::new(Shared::new(
            world.map_err(|e| SimulatorError::State(path, e))?,
        ));

        let (ready, listening) = oneshot::channel();
        let (done, stopped) = watch::channel(false);
        let rocket = http::mount(rocket::custom(rocket_config(&config)), shared.clone());
        let rocket = rocket.attach(announce(shared.clone(), ready));
        let sender = tokio::spawn(delivery::run(shared.clone(), client));
        let served = tokio::spawn({
            let shared = shared.clone();
            async move {
                let result = rocket
                    .launch()
                    .await
                    .map(drop)
                    .map_err(|error| error.to_string());
                shared.stop.cancel();
                if let Err(error) = sender.await {
                    tracing::error!(%error, "the simulator's webhook sender failed");
                }
                done.send_replace(true);
                result
            }
        });
        match listening.await {
            Ok(shutdown) => Ok(Simulator {
                shared,
                shutdown,
                stopped,
            }),
            // The fairing was dropped unheard: Rocket gave up before it listened.
            Err(_) => Err(SimulatorError::Listen(match served.await {
                Ok(Err(reason)) => reason,
                Ok(Ok(())) => "it stopped at once".into(),
                Err(error) => error.to_string(),
            })),
        }
    }

    /// Where it is, such as `http://127.0.0.1:4242`.
    pub fn base_url(&self) -> String {
        self.shared.with(|world| world.base_url.clone())
    }

    /// What webhooks are signed with.
    pub fn webhook_secret(&self) -> String {
        self.shared.with(|world| world.meta.webhook_secret.clone())
    }

    /// Where webhooks go from now on.
    pub fn set_webhook_url(&self, url: &str) {
        self.shared.with(|world| {
            world.meta.webhook_url = Some(url.to_owned());
            world.keep_meta();
        });
    }

    /// Stops it; what it knows is in the state file.
    pub async fn stop(self) {
        self.shared.stop.cancel();
        self.shutdown.clone().notify();
        self.wait().await;
    }

    /// Waits until it has stopped.
    pub async fn wait(&self) {
        let mut stopped = self.stopped.clone();
        // An error means that the serving task is gone, which is as stopped as it gets.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    }
}

fn rocket_config(config: &SimulatorConfig) -> rocket::Config {
    rocket::Config {
        address: config.address,
        port: config.port,
        ident: Ident::none(),
        ip_header: None,
        log_level: LogLevel::Off,
        cli_colors: false,
        // Signals are for the host process to hear. There is no grace: requests take no time, except
        // those that a fault holds, and these would take all of it.
        shutdown: ShutdownConfig {
            ctrlc: false,
            signals: Default::default(),
            grace: 0,
            mercy: 1,
            force: false,
            ..ShutdownConfig::default()
        },
        ..rocket::Config::release_default()
    }
}

fn announce(shared: Arc<Shared>, ready: oneshot::Sender<rocket::Shutdown>) -> AdHoc {
    AdHoc::on_liftoff("announce", move |rocket| {
        Box::pin(async move {
            let config = rocket.config();
            // An unspecified address can be listened on but not gone to.
            let host = match config.address {
                IpAddr::V4(ip) if ip.is_unspecified() => "127.0.0.1".to_owned(),
                IpAddr::V4(ip) => ip.to_string(),
                IpAddr::V6(ip) if ip.is_unspecified() => "[::1]".to_owned(),
                IpAddr::V6(ip) => format!("[{ip}]"),
            };
            let base_url = format!("http://{host}:{}", config.port);
            tracing::info!(%base_url, "simulator listens on {base_url}");
            shared.with(|world| world.base_url = base_url);
            // Nobody listens any more if the start was given up.
            let _ = ready.send(rocket.shutdown());
        })
    })
}
