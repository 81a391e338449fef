//! `till simulator`.

use std::process::ExitCode;

use super::SimulatorArgs;
use crate::simulator::{Simulator, SimulatorConfig, SimulatorError};

pub(super) async fn simulator(args: SimulatorArgs) -> anyhow::Result<ExitCode> {
    let simulator = Simulator::start(SimulatorConfig {
        port: args.port,
        webhook_url: args.webhook_url.clone(),
        webhook_secret: args.webhook_secret,
        enabled_events: args.webhook_events,
        state_file: args.state,
        seed: args.seed,
        ..SimulatorConfig::default()
    })
    .await
    .map_err(|error| match error {
        SimulatorError::Listen(_) => {
            anyhow::anyhow!("{error}; choose another port with --port, or stop what uses it")
        }
        other => other.into(),
    })?;
    println!("The simulator listens on {}", simulator.base_url());
    match args.webhook_url {
        Some(url) => println!("Its webhooks go to {url}"),
        None => println!("Its webhooks go nowhere; give --webhook-url to send them to Till"),
    }
    println!("They are signed with {}", simulator.webhook_secret());
    println!(
        "To use it: TILL_PROVIDERS__STRIPE__BASE_URL={} TILL_PROVIDERS__STRIPE__API_KEY=sk_test_simulator",
        simulator.base_url()
    );
    super::serve::until_told_to_stop().await?;
    simulator.stop().await;
    Ok(ExitCode::SUCCESS)
}
