//! Waiting for what should come about, with an end and a reason.

use std::time::{Duration, Instant};

use super::StackError;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);

/// Looks until `look` finds it (`Ok`) and gives back how long that took and what it found; `Err` says what is there
/// instead, and a failure to look counts as such.
///
/// # Errors
/// [`StackError::Late`] after `patience`.
pub async fn until<T, F>(
    what: &str,
    patience: Duration,
    mut look: impl FnMut() -> F,
) -> Result<(Duration, T), StackError>
where
    F: Future<Output = Result<T, String>>,
{
    let began = Instant::now();
    loop {
        let last = match look().await {
            Ok(found) => return Ok((began.elapsed(), found)),
            Err(last) => last,
        };
        if began.elapsed() >= patience {
            return Err(StackError::Late { what: what.to_owned(), seconds: patience.as_secs(), last });
        }
        tokio::time::sleep(LOOK).await;
    }
}
