//! The real programs: found or built, started with their output in a file, killed on drop.

use std::ffi::OsStr;
use std::fs::File;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Once;
use std::time::Duration;

use rustix::process::{Pid, Signal};

use crate::wait::{seconds, until, until_true};

/// The folder of the profile this test was built in (`target/debug`, `target/release`).
pub fn profile_folder() -> PathBuf {
    let exe = std::env::current_exe().unwrap();
    exe.parent().unwrap().parent().unwrap().to_owned()
}

/// The repository's root.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// Path of one of our two programs, built first unless `make test` has just done so.
pub fn binary(name: &str) -> PathBuf {
    static BUILT: Once = Once::new();
    // Other builds of the programs, such as packaged ones, can be tried the same way.
    if let Some(folder) = std::env::var_os("HOSTWELL_BIN") {
        return Path::new(&folder).join(name);
    }
    let folder = profile_folder();
    BUILT.call_once(|| {
        if std::env::var_os("HOSTWELL_PREBUILT").is_some() {
            return;
        }
        let mut cargo = command(env!("CARGO"));
        cargo.args(["build", "--quiet", "-p", "hostwell", "-p", "hostwell-agent"]);
        if folder.ends_with("release") {
            cargo.arg("--release");
        }
        let status = cargo.current_dir(repository()).status().unwrap();
        assert!(status.success(), "building the programs: {status}");
    });
    folder.join(name)
}

/// A command; the one place where tests make them.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    #[allow(
        clippy::disallowed_methods,
        reason = "the products execute nothing; their tests start them"
    )]
    Command::new(program)
}

/// Where a program of another package is, by its name in PATH or the system's folders.
///
/// Panics with the Debian package's name when it is missing: `make test` installs it.
#[track_caller]
pub fn foreign(name: &str, package: &str) -> PathBuf {
    find(name).unwrap_or_else(|| panic!("{name} is missing: apt-get install {package}"))
}

/// The same, where it may be missing.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':')
        .chain(["/usr/sbin", "/sbin", "/usr/lib/pcp/bin"])
        .map(|folder| Path::new(folder).join(name))
        .find(|candidate| candidate.is_file())
}

/// A loopback address whose port was free a moment ago.
pub fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> Output {
    command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|e| panic!("start {command:?}: {e}"))
}

/// What a finished command printed on stdout.
///
/// Panics with its stderr when it did not exit 0.
#[track_caller]
pub fn stdout(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{}\n{text}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

/// A program that runs until it is stopped. Killed on drop.
pub struct Program {
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts a command with stdout and stderr in the file `log`, appended to.
    pub fn start(mut command: Command, log: &Path) -> Program {
        let file = File::options().append(true).create(true).open(log).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap_or_else(|e| panic!("start {command:?}: {e}"));
        Program {
            child,
            log: log.to_owned(),
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has printed.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Waits until it has printed `text`.
    #[track_caller]
    pub fn until_printed(&mut self, text: &str, deadline: Duration) {
        until(format!("prints {text:?}"), deadline, || {
            let log = self.log();
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("ended with {status} before it printed {text:?}:\n{log}");
            }
            log.contains(text).then_some(())
        });
    }

    /// Waits until it accepts connections at an address.
    #[track_caller]
    pub fn until_listening(&mut self, address: SocketAddr) {
        until(format!("listens on {address}"), seconds(20), || {
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("ended with {status} instead of listening:\n{}", self.log());
            }
            TcpStream::connect(address).ok().map(drop)
        });
    }

    /// Whether it still runs.
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Asks it to stop (SIGTERM) and waits for its end.
    #[track_caller]
    pub fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait(seconds(20))
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(&mut self, deadline: Duration) -> ExitStatus {
        let log = self.log.clone();
        let mut status = None;
        until_true(format!("{} ends", log.display()), deadline, || {
            match self.child.try_wait().unwrap() {
                Some(s) => {
                    status = Some(s);
                    true
                }
                None => false,
            }
        });
        status.unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}
