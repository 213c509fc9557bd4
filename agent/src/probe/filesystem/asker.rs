//! A thread that asks `statvfs`, and is left behind when it hangs.
//!
//! One thread asks all mount points in turn. When an answer is overdue the thread stays where it
//! is (a task in uninterruptible sleep cannot be stopped), its mount point counts as stuck, and
//! another thread goes on with the others. The mount point is asked again when its thread comes
//! back. So at most one thread hangs for each mount point, and no more than [`LEFT_BEHIND_MAX`].

use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::time::{Duration, Instant};

use super::super::ProbeError;
use crate::source::{FilesystemStat, Source};

/// How long an answer may take. The kernel answers from memory, within microseconds.
const PATIENCE: Duration = Duration::from_millis(50);
/// How long all answers together may keep a tick waiting.
const PATIENCE_ALL: Duration = Duration::from_millis(200);
/// No more threads than this are left behind; what is not asked then is counted.
const LEFT_BEHIND_MAX: usize = 16;
/// A thread that only waits for the kernel needs little, but the allocator of the program it runs in
/// has its turn on it, too. What is never touched takes no memory.
const STACK_BYTES: usize = 256 << 10;

/// What came of asking for one mount point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The kernel answered.
    Stat(FilesystemStat),
    /// The kernel refused.
    Failed(io::ErrorKind),
    /// No answer yet, maybe never.
    Stuck,
    /// No time or no thread left to ask.
    Unasked,
}

type Asked = io::Result<FilesystemStat>;

/// The threads.
#[derive(Debug, Default)]
pub(super) struct Asker {
    worker: Option<Worker>,
    left_behind: Vec<Stuck>,
}

#[derive(Debug)]
struct Worker {
    questions: Sender<String>,
    answers: Receiver<Asked>,
}

/// A thread that has not come back, and where it went.
#[derive(Debug)]
struct Stuck {
    mountpoint: String,
    answers: Receiver<Asked>,
}

impl Asker {
    /// One answer for each mount point.
    ///
    /// # Errors
    /// No thread could be started.
    pub(super) fn ask(
        &mut self,
        source: &Source,
        mountpoints: &[&str],
    ) -> Result<Vec<Answer>, ProbeError> {
        // Whoever came back, with or without an answer, is no longer stuck.
        self.left_behind
            .retain(|stuck| matches!(stuck.answers.try_recv(), Err(TryRecvError::Empty)));
        let started = Instant::now();
        let mut answers = Vec::with_capacity(mountpoints.len());
        for mountpoint in mountpoints {
            answers.push(self.ask_one(source, mountpoint, started)?);
        }
        Ok(answers)
    }

    fn ask_one(
        &mut self,
        source: &Source,
        mountpoint: &str,
        started: Instant,
    ) -> Result<Answer, ProbeError> {
        if self.left_behind.iter().any(|s| s.mountpoint == mountpoint) {
            return Ok(Answer::Stuck);
        }
        let left = PATIENCE_ALL.saturating_sub(started.elapsed());
        if left.is_zero() || self.left_behind.len() >= LEFT_BEHIND_MAX {
            return Ok(Answer::Unasked);
        }
        let worker = match self.worker.take() {
            Some(worker) => worker,
            None => Worker::start(source).map_err(|e| ProbeError::io("statvfs", e))?,
        };
        if worker.questions.send(mountpoint.to_owned()).is_err() {
            // The thread is gone; the next mount point gets a new one.
            return Ok(Answer::Unasked);
        }
        match worker.answers.recv_timeout(PATIENCE.min(left)) {
            Ok(answer) => {
                self.worker = Some(worker);
                Ok(match answer {
                    Ok(stat) => Answer::Stat(stat),
                    Err(e) => Answer::Failed(e.kind()),
                })
            }
            Err(RecvTimeoutError::Timeout) => {
                self.left_behind.push(Stuck {
                    mountpoint: mountpoint.to_owned(),
                    answers: worker.answers,
                });
                Ok(Answer::Stuck)
            }
            Err(RecvTimeoutError::Disconnected) => Ok(Answer::Unasked),
        }
    }
}

impl Worker {
    fn start(source: &Source) -> io::Result<Worker> {
        let (questions, asked) = mpsc::channel::<String>();
        let (answer, answers) = mpsc::channel();
        let source = source.clone();
        std::thread::Builder::new()
            .name("statvfs".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || {
                for mountpoint in asked {
                    if answer.send(source.statvfs(&mountpoint)).is_err() {
                        return;
                    }
                }
            })?;
        Ok(Worker { questions, answers })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture(toml: &str) -> Source {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("syscalls.toml"), toml).unwrap();
        Source::fixture(dir.path()).unwrap()
    }

    #[test]
    fn a_mount_point_that_hangs_is_stuck_and_the_others_answer() {
        let source = fixture(
            "[statvfs.\"/a\"]\nblocks = 1\n[statvfs.\"/dead\"]\nhangs = true\n\
             [statvfs.\"/z\"]\nblocks = 2\n[statvfs.\"/err\"]\nerrno = 13\n",
        );
        let mut asker = Asker::default();
        for _ in 0..3 {
            let answers = asker.ask(&source, &["/a", "/dead", "/err", "/z"]).unwrap();
            assert!(matches!(answers[0], Answer::Stat(s) if s.blocks == 1));
            assert_eq!(answers[1], Answer::Stuck);
            assert_eq!(answers[2], Answer::Failed(io::ErrorKind::PermissionDenied));
            assert!(matches!(answers[3], Answer::Stat(s) if s.blocks == 2));
            assert_eq!(asker.left_behind.len(), 1, "asked a stuck one again");
        }
    }

    #[test]
    fn threads_left_behind_are_bounded_and_the_rest_counts_as_unasked() {
        let points: Vec<String> = (0..LEFT_BEHIND_MAX + 4).map(|i| format!("/{i}")).collect();
        let toml: String = points
            .iter()
            .map(|p| format!("[statvfs.\"{p}\"]\nhangs = true\n"))
            .collect();
        let source = fixture(&toml);
        let points: Vec<&str> = points.iter().map(String::as_str).collect();
        let mut asker = Asker::default();
        let mut answers = Vec::new();
        for _ in 0..2 * LEFT_BEHIND_MAX {
            answers = asker.ask(&source, &points).unwrap();
        }
        let stuck = answers.iter().filter(|a| **a == Answer::Stuck).count();
        assert_eq!((stuck, asker.left_behind.len()), (LEFT_BEHIND_MAX, 16));
        assert_eq!(answers[points.len() - 1], Answer::Unasked);
    }

    #[test]
    fn a_mount_point_that_comes_back_is_asked_again() {
        let source = fixture("[statvfs.\"/nfs\"]\nblocks = 3\n");
        let (back, answers) = mpsc::channel();
        let mut asker = Asker {
            worker: None,
            left_behind: vec![Stuck {
                mountpoint: "/nfs".to_owned(),
                answers,
            }],
        };
        assert_eq!(asker.ask(&source, &["/nfs"]).unwrap(), [Answer::Stuck]);
        back.send(Ok(FilesystemStat::default())).unwrap();
        assert!(matches!(
            asker.ask(&source, &["/nfs"]).unwrap()[0],
            Answer::Stat(s) if s.blocks == 3
        ));
    }
}
