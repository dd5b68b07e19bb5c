//! Labelled points at which the crash suite ends the process. Nothing of this is in a build without
//! the feature `crash-points`.

/// Ends the process here, without any destructor, if `LEDGE_CRASH_POINT` says so: `NAME`, or
/// `NAME:N` for the N-th time that the point is passed.
#[inline]
pub fn crash_point(name: &'static str) {
    #[cfg(feature = "crash-points")]
    armed::pass(name);
    #[cfg(not(feature = "crash-points"))]
    let _ = name;
}

#[cfg(feature = "crash-points")]
mod armed {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static ARMED: LazyLock<Option<(String, u64)>> = LazyLock::new(|| {
        let armed = std::env::var("LEDGE_CRASH_POINT").ok()?;
        match armed.rsplit_once(':') {
            Some((name, nth)) => Some((name.to_owned(), nth.parse().ok()?)),
            None => Some((armed, 1)),
        }
    });
    static PASSED: AtomicU64 = AtomicU64::new(0);

    pub(super) fn pass(name: &str) {
        let Some((armed, nth)) = &*ARMED else { return };
        if armed == name && PASSED.fetch_add(1, Ordering::Relaxed) + 1 == *nth {
            std::process::abort();
        }
    }
}
