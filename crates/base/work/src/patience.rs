//! Trying again: with growing pauses, and an end.

use std::time::Duration;

use tokio::time::Instant;

/// How long what fails is tried again, and how fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// The first pause; each is twice the one before.
    pub first: Duration,
    /// The longest pause.
    pub most: Duration,
    /// What has failed for so long has failed.
    pub limit: Duration,
}

impl Patience {
    /// The pause after the attempt with this number, counted from 0.
    #[must_use]
    pub fn pause(&self, attempt: u32) -> Duration {
        self.first.saturating_mul(2_u32.saturating_pow(attempt.min(31))).min(self.most)
    }

    /// Carries out a step of the store until it succeeds or the limit is reached. A full disk and a server that is away
    /// are waited for without a limit: it is the operator who ends it, and nothing would be won by ending for it.
    pub async fn keep<T, R>(&self, doing: &str, step: impl Fn() -> R) -> Result<T, store::Error>
    where
        R: Future<Output = Result<T, store::Error>>,
    {
        let begun = Instant::now();
        let mut attempt = 0;
        loop {
            let error = match step().await {
                Ok(done) => return Ok(done),
                Err(error) if begun.elapsed() >= self.limit && !error.is_full() && !error.is_away() => {
                    return Err(error);
                }
                Err(error) => error,
            };
            let pause = self.pause(attempt);
            tracing::warn!(error = &error as &dyn std::error::Error, ?pause, "could not {doing}; trying again");
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const PATIENCE: Patience =
        Patience { first: Duration::from_secs(1), most: Duration::from_secs(10), limit: Duration::from_mins(1) };

    #[test]
    fn pauses_grow_to_the_longest() {
        let pauses: Vec<u64> = [0, 1, 2, 3, 4, 100].map(|attempt| PATIENCE.pause(attempt).as_secs()).to_vec();
        assert_eq!(pauses, [1, 2, 4, 8, 10, 10]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_fails_is_tried_again_until_the_limit_and_no_longer() {
        let tries = Cell::new(0);
        let failing = || {
            tries.set(tries.get() + 1);
            std::future::ready(Err::<(), _>(store::Error::Corrupt("row")))
        };
        let begun = Instant::now();
        assert!(PATIENCE.keep("read", failing).await.is_err());
        assert_eq!((tries.get(), begun.elapsed().as_secs()), (10, 65));
        let once = || std::future::ready(if tries.replace(0) == 0 { Ok(7) } else { Err(store::Error::Corrupt("row")) });
        assert_eq!(PATIENCE.keep("read", once).await.unwrap(), 7);
    }
}
