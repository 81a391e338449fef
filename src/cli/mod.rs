//! The command line: one binary for the server, its tools and its demo.
//!
//! Exit codes: 0 done, 1 something failed, 2 wrong use or configuration.

mod catalogue;
mod catalogue_file;
mod demo;
mod doctor;
mod manage;
mod migrate;
mod output;
mod replay;
mod serve;
mod simulated;
mod simulator;
mod staff;
mod storage;
mod trigger;
mod verify;
mod walk;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};

use crate::app::StartError;
use crate::config::{Config, ConfigError, refuse_unknown_variables};
use crate::domain::access::{KeyKind, Mode};
use crate::domain::staff::Role;
use crate::store::StoreError;
use crate::{http, telemetry};

/// Orders, checkouts and payments: never lost, never doubled, always explained.
#[derive(Debug, Parser)]
#[command(name = "till", version, arg_required_else_help = true)]
#[command(
    after_help = "Try `till demo` first: it needs no configuration. Something is wrong? `till doctor`.\n\
    Settings come from Rocket.toml, ROCKET_* and TILL_*; see the README."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the API and the background work; the schema is brought up to date first
    Serve(ServeArgs),
    /// Show a real order going from placed to paid on this machine, then keep serving
    Demo(DemoArgs),
    /// Run only the background work
    Worker,
    /// Bring the schema up or down, or show where it stands
    Migrate(MigrateArgs),
    /// Manage shops
    Shop {
        #[command(subcommand)]
        command: ShopCommand,
    },
    /// Manage API keys
    Key {
        #[command(subcommand)]
        command: KeyCommand,
    },
    /// Manage who may use the staff console
    Staff {
        #[command(subcommand)]
        command: StaffCommand,
    },
    /// Manage what a shop sells
    Catalogue {
        #[command(subcommand)]
        command: CatalogueCommand,
    },
    /// Run the payment provider simulator by itself
    Simulator(SimulatorArgs),
    /// Make the simulator do something to an order's checkout, such as paying it
    Trigger(TriggerArgs),
    /// Check the configuration, the database, the provider and the clock, with the mend for each fault
    ///
    /// Changes nothing and works beside a running server. Exits 1 when a check failed.
    Doctor {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Try stored events of the provider again, such as those that were given up or that an older version ignored
    ///
    /// An event that was applied changes nothing. Works beside a running server. Exits 1 when one failed.
    Replay(ReplayArgs),
    /// Check every money invariant against the database, and list each row that breaks one
    ///
    /// Changes nothing and works beside a running server. Exits 1 when something is broken.
    Verify {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the API document (OpenAPI 3.1)
    Openapi,
    /// Print the completions for a shell, for instance: till completions bash > ~/.local/share/bash-completion/completions/till
    Completions {
        /// Which shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
struct TriggerArgs {
    /// What is to happen, by the name of the provider's webhook
    #[arg(value_enum)]
    event: trigger::TriggerEvent,
    /// The order it happens to, ord_…
    #[arg(long)]
    order: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct ReplayArgs {
    #[command(flatten)]
    which: ReplayWhich,
    /// Say what would change, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct ReplayWhich {
    /// The event: our id, pev_…, or the provider's
    #[arg(value_name = "ID")]
    event: Option<String>,
    /// Every event that arrived at this time or later, such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
}

#[derive(Debug, Args)]
struct ServeArgs {
    /// Start the simulator beside the server and use it as the payment provider
    #[arg(long)]
    with_simulator: bool,
}

#[derive(Debug, Args)]
struct DemoArgs {
    /// Exit as soon as the order is paid
    #[arg(long)]
    once: bool,
}

#[derive(Debug, Args)]
struct MigrateArgs {
    #[command(subcommand)]
    command: MigrateCommand,
}

#[derive(Debug, Subcommand)]
enum MigrateCommand {
    /// Apply what is missing
    Up {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Take back the newest migrations; refuses when orders or the like would go with their tables
    Down {
        /// How many
        #[arg(long, default_value_t = 1)]
        steps: u32,
        /// Delete what is in tables that go with them
        #[arg(long)]
        discard_data: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what is applied and what is missing; exits 1 when something is missing
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
enum ShopCommand {
    /// Make a shop
    Create {
        /// Its name, unique
        name: String,
        /// Whether its money is real
        #[arg(long, value_enum)]
        mode: ModeArg,
        /// An origin that browsers may send customers back to in live mode, such as `https://shop.example`; may
        /// be given several times
        #[arg(long = "allowed-origin", value_name = "ORIGIN")]
        allowed_origins: Vec<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Make a key; it is shown once (makes a test shop `default` when there is none)
    Create {
        /// For servers (secret) or browsers (publishable)
        #[arg(long, value_enum)]
        kind: KindArg,
        /// The shop, by name
        #[arg(long)]
        shop: Option<String>,
        /// The rights of a secret key, separated by commas; all when not given
        #[arg(long)]
        scopes: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List the keys (never their secrets)
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Revoke a key for ever
    Revoke {
        /// The key's id, key_…
        id: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
enum StaffCommand {
    /// Let somebody use the console; asks for their password, or reads it from a pipe
    Create {
        /// Their e-mail address, with which they sign in
        #[arg(long)]
        email: String,
        /// Their name; what is before the @ when not given
        #[arg(long)]
        name: Option<String>,
        /// What they may do; each role includes those before it
        #[arg(long, value_enum)]
        role: RoleArg,
        /// The only shop they may see, by name; every shop when not given
        #[arg(long)]
        shop: Option<String>,
        /// Make a password and show it once
        #[arg(long)]
        generate: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Give somebody another password; their sessions end
    Reset {
        /// Their e-mail address
        email: String,
        /// Make a password and show it once
        #[arg(long)]
        generate: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Let somebody in no more; their sessions end at once
    Disable {
        /// Their e-mail address
        email: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Let somebody who was disabled in again
    Enable {
        /// Their e-mail address
        email: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List everybody
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
enum CatalogueCommand {
    /// Create and change products from a file, all or none; exits 1 with every error when it is not good
    #[command(
        after_help = "JSON: an array of products as `PUT /v1/products/{sku}` takes them, each with its sku. \
        A product is replaced as a whole.\n\
        CSV: a header line sku,name,currency,price[,stock], then one row per price. Names, prices and, with \
        its column, the stock (empty: no limit) are replaced; the rest of a product stays as it is.\n\
        Products the file does not name are left alone."
    )]
    Import {
        /// The file, .csv or .json
        file: std::path::PathBuf,
        /// The shop, by name
        #[arg(long)]
        shop: Option<String>,
        /// Say what would be created and changed, and write nothing
        #[arg(long)]
        dry_run: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
struct SimulatorArgs {
    /// The port; any free one when 0
    #[arg(long, default_value_t = 12111)]
    port: u16,
    /// Where its webhooks go
    #[arg(long)]
    webhook_url: Option<String>,
    /// What its webhooks are signed with
    #[arg(long)]
    webhook_secret: Option<String>,
    /// The types of events it sends, with commas between them; at first all
    #[arg(long, value_delimiter = ',')]
    webhook_events: Option<Vec<String>>,
    /// Where it keeps its state over restarts
    #[arg(long)]
    state: Option<std::path::PathBuf>,
    /// Makes ids and chance repeatable
    #[arg(long)]
    seed: Option<u64>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ModeArg {
    Test,
    Live,
}

impl From<ModeArg> for Mode {
    fn from(mode: ModeArg) -> Mode {
        match mode {
            ModeArg::Test => Mode::Test,
            ModeArg::Live => Mode::Live,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum KindArg {
    Secret,
    Publishable,
}

impl From<KindArg> for KeyKind {
    fn from(kind: KindArg) -> KeyKind {
        match kind {
            KindArg::Secret => KeyKind::Secret,
            KindArg::Publishable => KeyKind::Publishable,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum RoleArg {
    /// Reads everything of the shops
    Viewer,
    /// Also notes, cancellations, replays
    Operator,
    /// Also refunds, captures and everything else that moves money
    Finance,
    /// Also people and the whole audit log
    Admin,
}

impl From<RoleArg> for Role {
    fn from(role: RoleArg) -> Role {
        match role {
            RoleArg::Viewer => Role::Viewer,
            RoleArg::Operator => Role::Operator,
            RoleArg::Finance => Role::Finance,
            RoleArg::Admin => Role::Admin,
        }
    }
}

/// Wrong use that clap cannot see, such as a shop that does not exist.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct WrongUse(String);

/// How long the end waits for what cannot be given up, such as looking up a host's name. What has to come to its end has
/// done so by then, or the command has failed before it began.
const LOOK_UPS: Duration = Duration::from_secs(1);

/// Runs the command this process was started with.
#[must_use]
pub fn run() -> ExitCode {
    // One TLS provider for everything that speaks TLS; a second call would only say there is one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli = Cli::parse();
    // Reads FAILPOINTS; held until the process ends.
    #[cfg(feature = "failpoints")]
    let _failpoints = fail::FailScenario::setup();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(Config::threads())
        .enable_all()
        .build();
    let outcome = match runtime {
        Ok(runtime) => {
            let outcome = runtime.block_on(dispatch(cli.command));
            runtime.shutdown_timeout(LOOK_UPS);
            outcome
        }
        Err(error) => Err(error.into()),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {}", output::in_full(&error));
            if cannot_reach_database(&error) {
                eprintln!(
                    "`till doctor` looks at the address and the settings, and says how to mend them"
                );
            }
            let wrong_use = error.is::<WrongUse>()
                || error.is::<ConfigError>()
                || matches!(
                    error.downcast_ref(),
                    Some(StartError::Config(_) | StartError::Provider(_))
                );
            ExitCode::from(if wrong_use { 2 } else { 1 })
        }
    }
}

/// Whether a command failed because nothing answers at the database's address.
fn cannot_reach_database(error: &anyhow::Error) -> bool {
    let store = match error.downcast_ref() {
        Some(StartError::Store(store)) => Some(store),
        _ => error.downcast_ref::<StoreError>(),
    };
    matches!(store, Some(StoreError::Unavailable(_)))
}

async fn dispatch(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Openapi => {
            output::line(&http::openapi::text())?;
            return Ok(ExitCode::SUCCESS);
        }
        Command::Completions { shell } => return completions(shell),
        Command::Doctor { json } => return doctor::doctor(json).await,
        // It takes none of them.
        Command::Simulator(_) => {}
        _ => refuse_unknown_variables()?,
    }
    let mut config = Config::load()?;
    if !matches!(command, Command::Demo(_) | Command::Simulator(_)) {
        config.check_database()?;
    }
    let tool = !matches!(command, Command::Serve(_) | Command::Worker);
    if tool && std::env::var_os("TILL_LOG__LEVEL").is_none() {
        // A tool's own words should stand alone; what goes wrong is still shown.
        config.log.level = "warn".to_owned();
    }
    telemetry::start(&config.log);
    match command {
        Command::Serve(args) => serve::serve(config, args.with_simulator).await,
        Command::Worker => serve::worker(config).await,
        Command::Demo(args) => demo::demo(config, args.once).await,
        Command::Migrate(args) => migrate::migrate(&config, args.command).await,
        Command::Shop { command } => manage::shop(&config, command).await,
        Command::Key { command } => manage::key(&config, command).await,
        Command::Staff { command } => staff::staff(&config, command).await,
        Command::Catalogue { command } => catalogue::catalogue(&config, command).await,
        Command::Simulator(args) => simulator::simulator(args).await,
        Command::Replay(args) => replay::replay(config, args).await,
        Command::Verify { json } => verify::verify(&config, json).await,
        Command::Trigger(args) => trigger::trigger(&config, args).await,
        Command::Openapi | Command::Completions { .. } | Command::Doctor { .. } => {
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn completions(shell: clap_complete::Shell) -> anyhow::Result<ExitCode> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "till", &mut text);
    std::io::stdout().write_all(&text)?;
    Ok(ExitCode::SUCCESS)
}
