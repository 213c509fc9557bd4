//! A site in miniature: a collector and agents, the real programs, in a folder of their own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Output;

use hostwell_proto::id::HostId;

use crate::ca::Identity;
use crate::program::{Program, binary, command, free_address, run};
use crate::wait::{seconds, until};

/// A collector with its configuration; it keeps its addresses and data when started again.
pub struct Collector {
    /// The running program.
    pub program: Program,
    /// Agents and operators.
    pub grpc: SocketAddr,
    /// Pages.
    pub web: SocketAddr,
    /// Its folder: `collector.toml`, `collector.log`, `data/`.
    pub folder: PathBuf,
}

impl Collector {
    /// Starts a collector in `folder` on free ports, without TLS.
    pub fn start(folder: &Path) -> Collector {
        Collector::start_with(folder, "")
    }

    /// The same with more lines of configuration behind the addresses.
    pub fn start_with(folder: &Path, more: &str) -> Collector {
        std::fs::create_dir_all(folder).unwrap();
        let (grpc, web) = (free_address(), free_address());
        let configuration = format!(
            "data_dir = {:?}\n[listen]\ngrpc = \"{grpc}\"\nweb = \"{web}\"\n{more}\n",
            folder.join("data")
        );
        std::fs::write(folder.join("collector.toml"), configuration).unwrap();
        let mut collector = Collector {
            program: launch(folder),
            grpc,
            web,
            folder: folder.to_owned(),
        };
        collector.program.until_listening(grpc);
        collector
    }

    /// Starts it again after it was stopped or killed.
    pub fn start_again(&mut self) {
        self.program = launch(&self.folder);
        self.program.until_listening(self.grpc);
    }

    /// The database.
    pub fn database(&self) -> PathBuf {
        self.folder.join("data").join("hostwell.db")
    }

    /// Where agents without TLS connect.
    pub fn url(&self) -> String {
        format!("http://{}", self.grpc)
    }

    /// Runs a command of the operator against it.
    pub fn ask(&self, arguments: &[&str]) -> Output {
        run(command(binary("hostwell"))
            .args(arguments)
            .args(["--server", &self.url()]))
    }
}

fn launch(folder: &Path) -> Program {
    let mut serve = command(binary("hostwell"));
    serve.arg("serve").arg("--config");
    serve.arg(folder.join("collector.toml"));
    Program::start(serve, &folder.join("collector.log"))
}

/// Configuration lines for `[tls]`.
pub fn tls_section(ca: Option<&Path>, identity: Option<&Identity>) -> String {
    let mut lines = String::from("[tls]\n");
    if let Some(ca) = ca {
        lines += &format!("ca = {ca:?}\n");
    }
    if let Some(identity) = identity {
        lines += &format!("cert = {:?}\nkey = {:?}\n", identity.cert, identity.key);
    }
    lines
}

/// An agent with its configuration; it keeps its identity and spool when started again.
pub struct Agent {
    /// The running program.
    pub program: Program,
    /// Its folder: `agent.toml`, `agent.log`, `state/`.
    pub folder: PathBuf,
}

impl Agent {
    /// Starts an agent in `folder`: one sample a second, sent at once, to `url`. `more` are lines
    /// of configuration and may end in a table. How full the disk is that the tests run on changes
    /// nothing.
    pub fn start(folder: &Path, url: &str, more: &str) -> Agent {
        std::fs::create_dir_all(folder).unwrap();
        let configuration = format!(
            "collector = \"{url}\"\ninterval = \"1s\"\nstate_dir = {:?}\n\
             spool.free_bytes_min = \"0B\"\nspool.free_ratio_min = \"0%\"\n{more}\n",
            folder.join("state")
        );
        std::fs::write(folder.join("agent.toml"), configuration).unwrap();
        Agent {
            program: Agent::launch(folder),
            folder: folder.to_owned(),
        }
    }

    /// Starts it again after it was stopped or killed.
    pub fn start_again(&mut self) {
        self.program = Agent::launch(&self.folder);
    }

    /// Its identity, once it has made one.
    #[track_caller]
    pub fn host_id(&self) -> HostId {
        let path = self.folder.join("state/host_id");
        until("the agent has an identity", seconds(20), || {
            std::fs::read_to_string(&path).ok()?.trim().parse().ok()
        })
    }

    fn launch(folder: &Path) -> Program {
        let mut agent = command(binary("hostwell-agent"));
        agent
            .arg("run")
            .arg("--config")
            .arg(folder.join("agent.toml"));
        Program::start(agent, &folder.join("agent.log"))
    }
}
