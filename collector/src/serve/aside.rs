//! Work that may wait: on a thread of its own, behind those who wait for an answer.

use anyhow::Context;
use tokio::sync::oneshot;

/// How far behind: a thread that competes for a processor has the threefold share of one that is so
/// "nice". Further behind, and those who wait for an answer would wait for a lock that it holds.
const NICE: i32 = 5;

/// Runs `work` on a thread of its own, and what it has others do that block (reading, judging) on
/// further ones, all of them a little behind the rest of the program.
pub(super) async fn aside(
    name: &str,
    work: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let (ended, end) = oneshot::channel();
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            // The runtime's other threads are begun from here, and stand back like this one.
            step_back();
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let _ = ended.send(runtime.map(|runtime| runtime.block_on(work)));
        })
        .with_context(|| format!("start the thread for {name}"))?;
    let ran = end.await.with_context(|| format!("{name} panicked"))?;
    ran.with_context(|| format!("start the runtime for {name}"))
}

/// Of this thread alone: so Linux reads "the calling process".
fn step_back() {
    if let Err(error) = rustix::process::nice(NICE) {
        // It is no worse than before.
        tracing::debug!(%error, "work that may wait competes with what is urgent");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::getpriority_process;

    #[tokio::test]
    async fn what_is_done_aside_stands_back_and_nothing_else_does() {
        let here = getpriority_process(None).unwrap();
        let (said, heard) = oneshot::channel();
        let work = async move {
            let own = getpriority_process(None).unwrap();
            let reading = tokio::task::spawn_blocking(|| getpriority_process(None).unwrap());
            said.send((own, reading.await.unwrap())).unwrap();
        };
        aside("a test", work).await.unwrap();
        let behind = (here + NICE).min(19);
        assert_eq!(heard.await.unwrap(), (behind, behind));
        assert_eq!(getpriority_process(None).unwrap(), here);
    }

    #[tokio::test]
    async fn work_that_panics_is_an_error() {
        let error = aside("a test", async { panic!("as it should") }).await;
        assert!(format!("{:#}", error.unwrap_err()).contains("a test panicked"));
    }
}
