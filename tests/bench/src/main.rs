//! Measures Till beside what its databases and its web framework do by themselves, in one run on one machine, and
//! prints ratios with the raw figures. `tests/bench/run` builds everything, makes a PostgreSQL and calls this.
//!
//! Each comparison is made in rounds that alternate, on databases that were made for it: what disturbs the machine
//! for a while disturbs both sides.

mod baseline;
mod empty;
mod http;
mod large;
mod overload;
mod process;
mod report;
mod rows;
mod shop;
mod site;
mod sqlite;

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::baseline::Form;
use crate::http::{Connection, Outcome, Request};
use crate::large::Kind;
use crate::process::{Process, cpu_ms, free_port, memory_mib, until_quiet};
use crate::report::Report;
use crate::rows::Template;
use crate::site::{Engine, Postgres, Server, Site, Tools};

/// How many orders are many.
const MANY: i64 = 1_000_000;
/// How often lists and searches over few and over many are measured in turns; the middle one counts.
const LIST_ROUNDS: usize = 3;
/// How long background work may take to come to rest.
const REST: Duration = Duration::from_secs(20);

#[derive(Parser)]
#[command(about, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Wanted,
}

#[derive(Subcommand)]
enum Wanted {
    /// Measures; `tests/bench/run` gives the options
    Measure(Measure),
    /// Serves a handler that does nothing
    Empty {
        /// Where it listens
        port: u16,
    },
}

#[derive(Args)]
struct Measure {
    /// The program `till`
    #[arg(long)]
    till: PathBuf,
    /// An empty folder; databases are made in it
    #[arg(long)]
    work: PathBuf,
    /// A PostgreSQL server's address, with a user who may create databases
    #[arg(long)]
    postgres: String,
    /// Where its programs are
    #[arg(long)]
    postgres_bin: PathBuf,
    /// Its process
    #[arg(long)]
    postmaster: u32,
    /// Two minutes, without the lists over many orders
    #[arg(long)]
    quick: bool,
    /// How many orders the lists and searches go over; figures for the report come of 1,000,000 only
    #[arg(long)]
    large: Option<i64>,
    /// Only these parts, of all
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
    /// Only on this database
    #[arg(long)]
    engine: Option<Engine>,
    /// Where the figures are written for programs
    #[arg(long)]
    json: Option<PathBuf>,
}

/// What can be measured by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Placing orders
    Create,
    /// Three times as many orders as can be placed
    Overload,
    /// Orders from placed to paid
    Paid,
    /// Taking webhooks
    Webhooks,
    /// Reading orders
    Reads,
    /// Starting, and memory at rest
    Starts,
    /// Lists and searches
    Lists,
}

/// How much is measured.
#[derive(Clone)]
struct Effort {
    only: Vec<Part>,
    rounds: usize,
    time: Duration,
    paid: usize,
    webhooks: usize,
    starts: usize,
    large: Option<i64>,
}

impl Effort {
    fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let mut runtime = match cli.command {
        // As many threads as the server that it is compared with.
        Wanted::Empty { .. } => tokio::runtime::Builder::new_multi_thread(),
        Wanted::Measure(_) => tokio::runtime::Builder::new_current_thread(),
    };
    runtime.enable_all().build()?.block_on(async {
        match cli.command {
            Wanted::Empty { port } => empty::serve(port).await,
            Wanted::Measure(options) => measure(options).await,
        }
    })
}

async fn measure(options: Measure) -> anyhow::Result<()> {
    let tools = Tools {
        till: options.till,
        work: options.work,
        postgres: Postgres {
            url: options.postgres,
            bin: options.postgres_bin,
            postmaster: options.postmaster,
        },
    };
    let mut effort = Effort {
        only: options.only.clone(),
        rounds: 3,
        time: Duration::from_secs(5),
        paid: 2_000,
        webhooks: 10_000,
        starts: 7,
        large: options.large.or(Some(MANY)),
    };
    if options.quick {
        effort = Effort {
            only: options.only,
            rounds: 2,
            time: Duration::from_secs(2),
            paid: 500,
            webhooks: 1_000,
            starts: 3,
            large: options.large,
        };
    }
    let mut report = Report::default();
    for engine in [Engine::Sqlite, Engine::Postgres] {
        if options.engine.is_some_and(|only| only != engine) {
            continue;
        }
        let mut run = Run::begin(&tools, engine, effort.clone(), &mut report).await?;
        let placed = match effort.wants(Part::Create) {
            true => Some(run.creation().await?),
            false => None,
        };
        if effort.wants(Part::Overload) {
            run.overloaded().await?;
        }
        run.working(placed).await?;
        if let Some(many) = effort.large.filter(|_| effort.wants(Part::Lists)) {
            run.lists(many).await?;
        }
    }
    println!("{}", report.text());
    if let Some(file) = options.json {
        std::fs::write(file, format!("{:#}\n", report.json()))?;
    }
    Ok(())
}

/// The measurements on one engine.
struct Run<'r> {
    empty: Site,
    template: Template,
    effort: Effort,
    report: &'r mut Report,
    name: &'static str,
    _simulator: Process,
}

impl<'r> Run<'r> {
    async fn begin(
        tools: &Tools,
        engine: Engine,
        effort: Effort,
        report: &'r mut Report,
    ) -> anyhow::Result<Run<'r>> {
        let name = match engine {
            Engine::Sqlite => "SQLite",
            Engine::Postgres => "PostgreSQL",
        };
        let (empty, simulator) = Site::make(tools, engine).await?;
        let template = template(&empty).await?;
        Ok(Run {
            empty,
            template,
            effort,
            report,
            name,
            _simulator: simulator,
        })
    }

    /// Placing orders, beside the same rows put in without a server. Returns how many in a second.
    async fn creation(&mut self) -> anyhow::Result<f64> {
        let mut placed = Vec::new();
        let mut costs = Vec::new();
        let mut bare: Vec<(String, Vec<f64>)> = Vec::new();
        for round in 0..self.effort.rounds {
            for (at, (name, rate)) in self.bare(round)?.into_iter().enumerate() {
                match bare.get_mut(at) {
                    Some((_, rates)) => rates.push(rate),
                    None => bare.push((name, vec![rate])),
                }
            }
            let site = self.empty.copy(&format!("create{round}"))?;
            let server = site.serve().await?;
            let before = cpu_ms(&server.roots)?;
            let outcome = shop::place(&site, self.effort.time, None).await?;
            let cpu = cpu_ms(&server.roots)? - before;
            costs.push(cpu / f64::from(u32::try_from(outcome.count)?));
            self.loaded(&server)?;
            self.rate("orders placed over HTTP", &outcome);
            placed.push(outcome.rate);
            server.process.stop()?;
            site.remove()?;
        }
        let rate = mean(&placed);
        self.calm(0.8 * rate).await?;
        let name = self.name;
        let cost = format!("{:.3} ms", mean(&costs));
        self.report
            .raw(format!("{name}: processor time of an order placed"), cost);
        for (name, rates) in &bare {
            let shown: Vec<String> = rates.iter().map(|rate| format!("{rate:.0}")).collect();
            self.report
                .raw(name.clone(), format!("{} /s", shown.join(", ")));
        }
        let best = |form: &str| {
            let rates = bare.iter().filter(|(name, _)| name.contains(form));
            rates.map(|(_, rates)| mean(rates)).fold(0.0, f64::max)
        };
        match self.empty.engine {
            Engine::Sqlite => self
                .report
                .set("sqlite_create_vs_raw_commit", rate / best("raw")),
            Engine::Postgres => {
                let (five, one) = (best("five statements"), best("one statement"));
                self.report.set("pg_create_vs_pgbench_5", rate / five);
                self.report.set("pg_create_vs_pgbench_1", rate / one);
            }
        }
        Ok(rate)
    }

    /// How long orders take at a pace the server can keep.
    async fn calm(&mut self, pace: f64) -> anyhow::Result<()> {
        let site = self.empty.copy("calm")?;
        let server = site.serve().await?;
        let outcome = shop::place(&site, 2 * self.effort.time, Some(pace)).await?;
        self.rate("orders placed at 80 % of that pace", &outcome);
        server.process.stop()?;
        site.remove()
    }

    /// The rates without a server, by their names.
    fn bare(&self, round: usize) -> anyhow::Result<Vec<(String, f64)>> {
        let mut rates = Vec::new();
        if self.empty.engine == Engine::Sqlite {
            let site = self.empty.copy(&format!("raw{round}"))?;
            let rate = baseline::raw_commits(&site, &self.template, self.effort.time)?;
            rates.push((
                "SQLite: raw loop, one commit for each order".to_owned(),
                rate,
            ));
            site.remove()?;
            return Ok(rates);
        }
        for (form, said) in [
            (Form::Statements, "five statements"),
            (Form::Single, "one statement"),
        ] {
            // It does best with few clients; the better of both is what counts.
            for clients in [8, shop::CONNECTIONS] {
                let site = self.empty.copy(&format!("pgbench{round}"))?;
                let time = self.effort.time;
                let rate = baseline::pgbench(&site, &self.template, form, clients, time)?;
                rates.push((
                    format!("PostgreSQL: pgbench, {said}, {clients} clients"),
                    rate,
                ));
                site.remove()?;
            }
        }
        Ok(rates)
    }

    /// Paying, webhooks and reads on one database, and how a server starts on it afterwards.
    async fn working(&mut self, placed: Option<f64>) -> anyhow::Result<()> {
        let site = self.empty.copy("working")?;
        let server = site.serve().await?;
        if self.effort.wants(Part::Paid) {
            self.paid(&site, &server).await?;
        }
        if self.effort.wants(Part::Webhooks) {
            let webhooks = shop::deliver(&site, &server, self.effort.webhooks).await?;
            self.rate("webhooks taken", &webhooks.in_order);
            self.rate("webhooks taken of orders far apart", &webhooks.far_apart);
            if let Some(placed) = placed {
                let rate = webhooks.in_order.rate;
                self.report.set("webhook_vs_create", rate / placed);
            }
        }
        if self.effort.wants(Part::Reads) {
            shop::place_some(&site, shop::FORGOTTEN).await?;
            until_quiet(&server.roots, REST).await?;
            self.reads(&site).await?;
        }
        self.loaded(&server)?;
        server.process.stop()?;
        if self.effort.wants(Part::Starts) {
            self.starts(&site).await?;
        }
        site.remove()
    }

    async fn paid(&mut self, site: &Site, server: &Server) -> anyhow::Result<()> {
        shop::pay_first(site).await?;
        let count = self.effort.paid;
        let paid = shop::pay(site, server, "paid", count).await?;
        site.enables(&["*"]).await?;
        let all = shop::pay(site, server, "all", count).await?;
        site.enables(&site::enabled_events()?).await?;
        for (what, paid) in [
            ("orders from placed to paid", paid),
            ("with every event the provider has", all),
        ] {
            let cost = match paid.cpu_ms {
                Some(cost) => format!("{cost:.2} ms each"),
                None => "not known what each cost: work was left over".to_owned(),
            };
            let said = format!("{:.0} /s, {cost}", paid.rate);
            self.report.raw(format!("{}: {what}", self.name), said);
        }
        let key = match site.engine {
            Engine::Sqlite => "paid_order_cpu_ms_sqlite",
            Engine::Postgres => "paid_order_cpu_ms_pg",
        };
        if let Some(cost) = paid.cpu_ms {
            self.report.set(key, cost);
        }
        Ok(())
    }

    /// Reading orders whose answers the server still has, and others, in turns with a handler that does nothing.
    async fn reads(&mut self, site: &Site) -> anyhow::Result<()> {
        let port = free_port()?;
        let program = std::env::current_exe()?;
        let _nothing = Process::start(Command::new(program).args(["empty", &port.to_string()]))?;
        while Connection::open(port).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let (mut known, mut others, mut nothings) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..self.effort.rounds {
            let nothing = shop::read_nothing(port, self.effort.time).await?;
            self.rate("empty handler", &nothing);
            nothings.push(nothing.rate);
            for (what, count, rates) in [
                ("orders read by id", shop::REMEMBERED, &mut known),
                (
                    "orders read that were forgotten",
                    shop::FORGOTTEN,
                    &mut others,
                ),
            ] {
                let read = shop::read(site, count, self.effort.time).await?;
                self.rate(what, &read);
                rates.push(read.rate);
            }
        }
        let ratio = |rates: &[f64]| mean(rates) / mean(&nothings);
        // Who waits for a payment asks for the same order again and again.
        self.report.set("read_vs_empty_handler", ratio(&known));
        self.report.raw(
            format!("{}: forgotten ones, against an empty handler", self.name),
            format!("{:.2}", ratio(&others)),
        );
        Ok(())
    }

    /// How long a server takes to start, and its memory when it has nothing to do.
    async fn starts(&mut self, site: &Site) -> anyhow::Result<()> {
        let mut starts = Vec::new();
        for round in 1..=self.effort.starts {
            let server = site.serve().await?;
            starts.push(server.start_ms);
            if round == self.effort.starts {
                let quiet = until_quiet(&server.roots, REST).await?;
                let (idle, _) = memory_mib(server.process.id())?;
                self.report.raw(
                    format!("{}: memory when idle", self.name),
                    format!("{idle:.1} MiB"),
                );
                if quiet {
                    self.report.set("rss_idle_mib", idle);
                }
            }
            server.process.stop()?;
        }
        starts.sort_by(f64::total_cmp);
        let median = starts[starts.len() / 2];
        let shown: Vec<String> = starts.iter().map(|start| format!("{start:.0}")).collect();
        self.report.raw(
            format!("{}: start to ready", self.name),
            format!("{} ms", shown.join(", ")),
        );
        self.report.set("start_ms", median);
        Ok(())
    }

    /// Lists and searches over few and over many orders, in turns: the machine's speed wanders.
    async fn lists(&mut self, many: i64) -> anyhow::Result<()> {
        let small = self.empty.copy("few")?;
        self.filled(&small, 0, large::FEW)?;
        let big = small.copy("many")?;
        self.filled(&big, large::FEW, many)?;
        let mut rounds = Vec::new();
        for _ in 0..LIST_ROUNDS {
            let few = asked(&small, large::FEW).await?;
            let taken = asked(&big, many).await?;
            rounds.push(few.into_iter().zip(taken).collect::<Vec<_>>());
        }
        for (at, question) in large::QUESTIONS.iter().enumerate() {
            let (kind, key) = match question.kind {
                Kind::List => ("list", Some("list_1m_vs_10k")),
                Kind::Search => ("search", Some("search_1m_vs_10k")),
                Kind::Gathering => ("search that gathers all it finds, not counted", None),
            };
            let mut times: Vec<(f64, f64)> = rounds.iter().map(|round| round[at]).collect();
            times.sort_by(|a, b| (a.1 / a.0).total_cmp(&(b.1 / b.0)));
            let (few, taken) = times[LIST_ROUNDS / 2];
            let growth = taken / few;
            let name = format!("{}: {kind}, {}", self.name, question.name);
            self.report.raw(
                name,
                format!("{few:.2} ms, then {taken:.2} ms with {many} orders: {growth:.2}"),
            );
            if let Some(key) = key.filter(|_| many == MANY) {
                self.report.set(key, growth);
            }
        }
        big.remove()?;
        small.remove()
    }

    fn filled(&self, site: &Site, from: i64, to: i64) -> anyhow::Result<()> {
        let begun = Instant::now();
        large::fill(site, &self.template, from, to)?;
        eprintln!(
            "  {}: {to} orders put in after {:.0} s",
            self.name,
            begun.elapsed().as_secs_f64()
        );
        Ok(())
    }

    fn rate(&mut self, what: &str, outcome: &Outcome) {
        let said = format!(
            "{:.0} /s, p50 {:.1} ms, p99 {:.1} ms",
            outcome.rate, outcome.p50_ms, outcome.p99_ms
        );
        self.report.raw(format!("{}: {what}", self.name), said);
    }

    fn loaded(&mut self, server: &Server) -> anyhow::Result<()> {
        let (_, most) = memory_mib(server.process.id())?;
        self.report.set("rss_load_mib", most);
        self.report.raw(
            format!("{}: most memory", self.name),
            format!("{most:.1} MiB"),
        );
        Ok(())
    }
}

/// How long lists and searches over so many orders take, in milliseconds.
async fn asked(site: &Site, count: i64) -> anyhow::Result<Vec<f64>> {
    let server = site.serve().await?;
    until_quiet(&server.roots, REST).await?;
    let taken = large::ask(site, count, 30).await?;
    server.process.stop()?;
    Ok(taken)
}

/// One order as the server writes it, once all that follows in the background is written.
async fn template(empty: &Site) -> anyhow::Result<Template> {
    let site = empty.copy("template")?;
    let server = site.serve().await?;
    let mut connection = Connection::open(site.port).await?;
    let request = shop::order(&site.authorization(), "template", 0);
    connection.send(&request).await?.expect(201)?;
    let search = Request::get("/v1/orders?q=template-0", &site.authorization());
    let started = Instant::now();
    while started.elapsed() < REST {
        let found = connection.send(&search).await?.json(200)?;
        if found["data"]
            .as_array()
            .is_some_and(|orders| !orders.is_empty())
        {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    server.process.stop()?;
    let template = Template::read(&site)?;
    site.remove()?;
    Ok(template)
}

fn mean(numbers: &[f64]) -> f64 {
    let count = u32::try_from(numbers.len()).map_or(1.0, f64::from);
    numbers.iter().sum::<f64>() / count.max(1.0)
}
