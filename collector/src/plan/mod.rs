//! What the numbers mean for those who plan: today, how much of the time a host was there.

pub mod availability;
