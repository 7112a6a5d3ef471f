//! Numbers for people: durations, counts, bytes and shares.
