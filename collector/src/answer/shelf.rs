//! What took long to make is kept for a moment, and made anew by one who asks while the others see
//! the old one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// For how long something is worth keeping.
#[derive(Clone, Copy, Debug)]
pub(super) struct Worth {
    /// What is made faster than this is not kept.
    pub(super) quick: Duration,
    /// Making it takes at most one part in so many of the time.
    pub(super) share: u32,
    /// Older than this it is not shown.
    pub(super) age_max: Duration,
}

/// What was made last.
#[derive(Debug)]
struct Kept<T> {
    /// The moment it is for, collector's clock.
    at_ms: i64,
    /// How long it is shown.
    shown: Duration,
    what: Arc<T>,
    /// Somebody makes it anew.
    renewed: bool,
}

impl<T> Kept<T> {
    /// How old it is at a moment; none before it.
    fn age(&self, now_ms: i64) -> Option<Duration> {
        let age_ms = u64::try_from(now_ms - self.at_ms).ok()?;
        Some(Duration::from_millis(age_ms))
    }
}

/// A place for one such thing.
#[derive(Debug)]
pub(super) struct Shelf<T> {
    worth: Worth,
    /// How often it was emptied, and what is there.
    place: Mutex<(u64, Option<Kept<T>>)>,
}

/// What is to be done about it.
pub(super) enum Shown<T> {
    /// It is good enough.
    Fresh(Arc<T>),
    /// It is shown once more, and whoever asked has it made anew.
    Old(Arc<T>),
    Nothing,
}

/// Since when somebody has been making it: what was changed later is not in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Begun(u64);

impl<T> Shelf<T> {
    /// An empty one.
    pub(super) fn new(worth: Worth) -> Shelf<T> {
        Shelf {
            worth,
            place: Mutex::new((0, None)),
        }
    }

    fn place(&self) -> MutexGuard<'_, (u64, Option<Kept<T>>)> {
        // Every change is one step.
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is shown at a moment.
    pub(super) fn shown(&self, now_ms: i64) -> Shown<T> {
        let mut place = self.place();
        let Some(kept) = place.1.as_mut() else {
            return Shown::Nothing;
        };
        let what = Arc::clone(&kept.what);
        match kept.age(now_ms) {
            Some(age) if age <= kept.shown => Shown::Fresh(what),
            Some(age) if age > self.worth.age_max => Shown::Nothing,
            Some(_) if kept.renewed => Shown::Fresh(what),
            Some(_) => {
                kept.renewed = true;
                Shown::Old(what)
            }
            None => Shown::Nothing,
        }
    }

    /// Said before it is made.
    pub(super) fn begin(&self) -> Begun {
        Begun(self.place().0)
    }

    /// Keeps what was made for a moment, unless the shelf was emptied meanwhile.
    pub(super) fn keep(&self, begun: Begun, (at_ms, took): (i64, Duration), what: &Arc<T>) {
        let mut place = self.place();
        if place.0 != begun.0 {
            return;
        }
        place.1 = (took >= self.worth.quick).then(|| Kept {
            at_ms,
            // Half of its age is left to make it anew.
            shown: (took * self.worth.share).min(self.worth.age_max / 2),
            what: Arc::clone(what),
            renewed: false,
        });
    }

    /// Empties it: what is there holds no more.
    pub(super) fn clear(&self) {
        let mut place = self.place();
        place.0 += 1;
        place.1 = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shelf() -> Shelf<()> {
        Shelf::new(Worth {
            quick: Duration::from_millis(100),
            share: 20,
            age_max: Duration::from_secs(60),
        })
    }

    fn kept(took_ms: u64) -> Shelf<()> {
        let shelf = shelf();
        let took = Duration::from_millis(took_ms);
        shelf.keep(shelf.begin(), (1_000_000, took), &Arc::new(()));
        shelf
    }

    fn shown(shelf: &Shelf<()>, after_ms: i64) -> &'static str {
        match shelf.shown(1_000_000 + after_ms) {
            Shown::Fresh(_) => "as it is",
            Shown::Old(_) => "once more",
            Shown::Nothing => "not",
        }
    }

    #[test]
    fn what_is_made_quickly_is_made_each_time() {
        assert_eq!(shown(&kept(99), 0), "not");
    }

    #[test]
    fn what_took_long_is_shown_for_a_while_and_made_anew_by_one_who_asks() {
        let shelf = kept(500);
        assert_eq!(shown(&shelf, 10_000), "as it is");
        assert_eq!(shown(&shelf, 10_001), "once more");
        assert_eq!(shown(&shelf, 10_002), "as it is", "somebody is making it");
        assert_eq!(shown(&shelf, 60_001), "not", "too old");
        assert_eq!(shown(&shelf, -1), "not", "the clock was turned back");
    }

    #[test]
    fn what_takes_very_long_is_made_anew_before_it_is_too_old() {
        let shelf = kept(10_000);
        assert_eq!(shown(&shelf, 30_000), "as it is");
        assert_eq!(shown(&shelf, 30_001), "once more");
    }

    #[test]
    fn what_was_begun_before_a_change_is_not_kept_after_it() {
        let shelf = kept(500);
        let begun = shelf.begin();
        shelf.clear();
        assert_eq!(shown(&shelf, 0), "not");
        let took = Duration::from_millis(500);
        shelf.keep(begun, (1_000_000, took), &Arc::new(()));
        assert_eq!(shown(&shelf, 0), "not");
        shelf.keep(shelf.begin(), (1_000_000, took), &Arc::new(()));
        assert_eq!(shown(&shelf, 0), "as it is");
    }
}
