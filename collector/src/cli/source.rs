//! Where answers come from: a running collector, or a database file at rest.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::at_rest;
use super::console::Console;
use crate::answer::range::format_ms;
use crate::answer::{self, Answer, Check, Question, Setup};
use crate::api::{Client, ConnectError};
use crate::auth::ClientTls;
use crate::clock::Clock;
use crate::store::Store;

/// Where answers come from
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Where answers come from")]
pub(super) struct SourceArgs {
    /// Ask this collector [default: the one on this machine, http://127.0.0.1:7443]
    #[arg(
        long,
        value_name = "URL",
        env = "HOSTWELL_SERVER",
        hide_env_values = true
    )]
    server: Option<String>,
    /// Read this database file instead, also while a collector writes it
    #[arg(long, value_name = "FILE", env = "HOSTWELL_DB", hide_env_values = true)]
    db: Option<PathBuf>,
    /// The authority that signed the collector's certificate (PEM), for https
    #[arg(long, value_name = "FILE", env = "HOSTWELL_CA", hide_env_values = true)]
    ca: Option<PathBuf>,
    /// Own certificate (PEM), where the collector wants one
    #[arg(
        long,
        value_name = "FILE",
        env = "HOSTWELL_CERT",
        hide_env_values = true
    )]
    cert: Option<PathBuf>,
    /// The key of --cert (PEM)
    #[arg(
        long,
        value_name = "FILE",
        env = "HOSTWELL_KEY",
        hide_env_values = true
    )]
    key: Option<PathBuf>,
}

/// The folder `hostwell up` uses when nobody says where.
pub(super) const DEFAULT_DATA: &str = "./hostwell-data";

/// Name of the database inside a data folder.
pub(super) const DATABASE: &str = "hostwell.db";

/// The variable that names another folder than [`DEFAULT_DATA`].
pub(super) const DATA_VARIABLE: &str = "HOSTWELL_DATA_DIR";

/// An opened source.
pub(super) enum Source {
    /// A running collector.
    Server(Client),
    /// A file.
    File(File),
}

/// A database file.
pub(super) struct File {
    path: PathBuf,
    store: Store,
    now_ms: i64,
}

impl SourceArgs {
    /// Opens what was asked for; says on the console when it is not the obvious.
    pub(super) async fn open(&self, console: &mut Console) -> anyhow::Result<Source> {
        match (&self.server, &self.db) {
            (Some(_), Some(_)) => bail!("--server and --db exclude each other: ask one of them"),
            (Some(url), None) => Ok(Source::Server(self.connect(url).await?)),
            (None, Some(path)) => {
                let file = File::open(path).await?;
                // An answer from yesterday's file must not pass for today's.
                let moment = format_ms(file.now_ms);
                console.message(&format!("reading {} as of {moment}", path.display()));
                Ok(Source::File(file))
            }
            (None, None) => match self.connect(self.default_server()).await {
                Ok(client) => Ok(Source::Server(client)),
                Err(ConnectError::Absent { .. }) => self.fall_back(console).await,
                Err(other) => Err(other.into()),
            },
        }
    }

    /// With no collector at the default address, and none asked for: what `hostwell up` left.
    async fn fall_back(&self, console: &mut Console) -> anyhow::Result<Source> {
        let path = data_folder().join(DATABASE);
        let server = self.default_server();
        if !path.exists() {
            bail!(
                "no collector answers at {server}, and there is no {}; start one with \
                 `hostwell up`, or say where: --server URL or --db FILE",
                path.display()
            );
        }
        let file = File::open(&path).await?;
        console.message(&format!(
            "no collector at {server}; reading {} as of {}",
            path.display(),
            format_ms(file.now_ms)
        ));
        Ok(Source::File(file))
    }

    fn default_server(&self) -> &'static str {
        // Whoever says whom to trust means an encrypted connection.
        match self.ca {
            Some(_) => "https://localhost:7443",
            None => "http://127.0.0.1:7443",
        }
    }

    async fn connect(&self, url: &str) -> Result<Client, ConnectError> {
        let tls = ClientTls {
            ca: self.ca.clone(),
            cert: self.cert.clone(),
            key: self.key.clone(),
            name: None,
        };
        Client::connect(url, &tls).await
    }

    /// Opens what was asked for, for `doctor`: what is wrong comes as a check, not as an error.
    pub(super) async fn examine(&self, console: &mut Console) -> (Vec<Check>, Option<Source>) {
        let asked = match (&self.server, &self.db) {
            (Some(url), _) => url.clone(),
            (None, Some(path)) => path.display().to_string(),
            (None, None) => self.default_server().to_string(),
        };
        match self.open(console).await {
            Ok(source @ Source::Server(_)) => {
                let check = Check::fine("collector", format!("answers at {asked}"));
                (vec![check], Some(source))
            }
            Ok(source) if self.db.is_some() => {
                let check = Check::fine("file", format!("{asked} can be read"));
                (vec![check], Some(source))
            }
            Ok(source) => {
                let check = Check::watch(
                    "collector",
                    format!("none runs at {asked}: nothing is being collected here"),
                    "start one: `hostwell up`, or `systemctl start hostwell`",
                );
                (vec![check], Some(source))
            }
            Err(error) => {
                let remedy = if self.db.is_some() {
                    "give the path of a hostwell.db, or ask the collector: --server URL"
                } else {
                    "is it running (`systemctl status hostwell`), is the address right, do --ca, \
                     --cert and --key fit its [tls]?"
                };
                let subject = if self.db.is_some() {
                    "file"
                } else {
                    "collector"
                };
                (
                    vec![Check::wrong(subject, format!("{error:#}"), remedy)],
                    None,
                )
            }
        }
    }
}

/// Where `hostwell up` keeps its data when nobody says where.
pub(super) fn data_folder() -> PathBuf {
    std::env::var_os(DATA_VARIABLE)
        .filter(|folder| !folder.is_empty())
        .map_or_else(|| PathBuf::from(DEFAULT_DATA), PathBuf::from)
}

impl File {
    async fn open(path: &Path) -> anyhow::Result<File> {
        let store = Store::open_read_only(path).await?;
        let now_ms = answer::last_beat_ms(&store, clock_ms()).await?;
        Ok(File {
            path: path.to_path_buf(),
            store,
            now_ms,
        })
    }

    /// Changes go through the one writer: while a collector runs, that is the collector.
    async fn change(&self, question: Question) -> anyhow::Result<Answer> {
        let store = Store::open(at_rest::options(self.path.clone()))
            .await
            .context(
                "open the file to change it; with a collector running, ask it: --server URL",
            )?;
        // An edit happens now, whatever moment the file speaks for.
        let answer = answer::answer(&store, &Setup::default(), question, clock_ms()).await;
        store.close().await?;
        Ok(answer?)
    }
}

impl Source {
    /// Asks one question.
    pub(super) async fn ask(&self, question: Question) -> anyhow::Result<Answer> {
        match self {
            Source::File(file)
                if matches!(question, Question::EditHost { .. } | Question::EditRisks(_)) =>
            {
                file.change(question).await
            }
            Source::File(file) => {
                let setup = Setup::default();
                Ok(answer::answer(&file.store, &setup, question, file.now_ms).await?)
            }
            Source::Server(client) => {
                let json = serde_json::to_string(&question)?;
                let text = client.ask(&json).await?;
                Answer::from_json(&text)
                    .context("read the collector's answer; its version may not fit this program's")
            }
        }
    }

    /// Writes a copy of the database to a new file; its size in bytes. A running collector
    /// chooses its pace itself.
    pub(super) async fn backup(&self, to: &Path, rate: Option<u64>) -> anyhow::Result<u64> {
        match self {
            Source::File(file) => Ok(file.store.backup(to, rate).await?),
            Source::Server(client) => client.backup(to, |_, _| {}).await,
        }
    }
}

/// The wall clock, milliseconds since the Unix epoch.
pub(super) fn clock_ms() -> i64 {
    Clock::system().now_ms()
}
