//! Work that takes a while, where no other question waits for it.

use tokio::task::JoinError;

use super::AnswerError;

/// Does it; `doing` names it in an error: "the backtest".
pub(super) async fn aside<T: Send + 'static>(
    doing: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, AnswerError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|source| cut_off(doing, source))
}

/// Of a task that did not come to its end.
pub(super) fn cut_off(doing: &'static str, source: JoinError) -> AnswerError {
    AnswerError::CutOff { doing, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_that_panics_is_a_fault_of_the_program_and_not_of_the_question() {
        let panics = || -> u8 { panic!("index 7 of 3") };
        let error = aside("the backtest", panics).await.unwrap_err();
        assert!(matches!(error, AnswerError::CutOff { .. }), "{error:?}");
        let text = format!("{:#}", anyhow::Error::new(error));
        let words = "the backtest was cut off by a fault in this program: ";
        assert!(text.starts_with(words), "{text}");
        assert!(text.contains("index 7 of 3"), "{text}");
        assert_eq!(aside("the backtest", || 7).await.unwrap(), 7);
    }
}
