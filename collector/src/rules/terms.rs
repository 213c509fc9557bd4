//! When what was found is one entry of the register, and one message: the same terms where they are
//! kept, where others are told, and where a past is replayed.

/// How often a collector looks: what it finds at once it tells at once.
pub const TURN_MS: u64 = 15_000;

/// A finding that opens so soon after it closed is the entry it was: one that comes and goes is one
/// entry, not many.
pub const DAMPING_MS: i64 = 3_600_000;

/// Unless the configuration says otherwise, that a risk is open is told at most so often, as long as it
/// is not worse.
pub const FLOOR_MINUTES: u32 = 60;

/// The same rule on so many hosts at once is one cause, most likely, and one message.
pub const HOSTS_MIN: usize = 3;
