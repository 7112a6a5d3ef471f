//! The serial cost of posts and sockets: when a frame may go out, given all that went before it.
//!
//! A post starts when its first frame is there and the posts before it are done, and costs `per_post`; then every
//! socket costs `per_socket`, in the order in which the frames come. The times of a post lie on a grid from its start,
//! so a frame that is late does not push those behind it, and the cost is kept on average.
//!
//! Must not know: clocks.

use std::collections::BTreeMap;

use super::plan::Pace;

/// Posts whose frames may still come.
const POSTS_MAX: usize = 4096;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Pacer {
    /// When all posts so far are done.
    cursor_ns: u64,
    started: BTreeMap<u64, Started>,
}

#[derive(Debug)]
struct Started {
    /// When the first socket's turn begins.
    at_ns: u64,
    frames: u64,
}

impl Pacer {
    /// When the next frame of `post` is due, which is ready at `now_ns` and goes to one of `sockets`.
    pub(super) fn due(&mut self, post: u64, pace: Pace, sockets: u64, now_ns: u64) -> u64 {
        let cost = |frames: u64| pace.per_socket_ns.saturating_mul(frames);
        let cursor_ns = &mut self.cursor_ns;
        let started = self.started.entry(post).or_insert_with(|| {
            let at_ns = now_ns.max(*cursor_ns).saturating_add(pace.per_post_ns);
            *cursor_ns = at_ns.saturating_add(cost(sockets));
            Started { at_ns, frames: 0 }
        });
        started.frames += 1;
        let due_ns = started.at_ns.saturating_add(cost(started.frames));
        // More frames than sockets were counted: they take their time too.
        self.cursor_ns = self.cursor_ns.max(due_ns);
        if self.started.len() > POSTS_MAX {
            self.started.pop_first();
        }
        due_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: u64 = 1000;
    const MS: u64 = 1000 * US;

    #[test]
    fn sockets_of_a_post_are_evenly_spaced_whatever_comes_late() {
        let mut pacer = Pacer::default();
        let pace = Pace { per_post_ns: 0, per_socket_ns: 20 * US };
        let due: Vec<u64> = [0, 0, 1, 70, 70].map(|now| pacer.due(0, pace, 5, MS + now * US)).into();
        assert_eq!(due, [20, 40, 60, 80, 100].map(|at| MS + at * US));
        assert_eq!(pacer.due(1, pace, 5, MS + 30 * US), MS + 120 * US, "behind the post before it");
        assert_eq!(pacer.due(2, pace, 5, 9 * MS), 9 * MS + 20 * US, "after a rest it starts when it comes");
    }

    #[test]
    fn twice_the_capacity_grows_half_a_second_per_second() {
        let mut pacer = Pacer::default();
        let pace = Pace { per_post_ns: 100 * MS, per_socket_ns: 0 };
        for post in 0..600 {
            let offered = post * 50 * MS;
            let latency = pacer.due(post, pace, 10, offered) - offered;
            assert_eq!(latency, 100 * MS + post * 50 * MS);
            assert_eq!(pacer.due(post, pace, 10, offered + MS), offered + latency, "all sockets at once");
        }
    }

    #[test]
    fn more_frames_than_sockets_are_paid_for() {
        let mut pacer = Pacer::default();
        let pace = Pace { per_post_ns: 0, per_socket_ns: MS };
        assert_eq!([0, 0, 0].map(|now| pacer.due(0, pace, 1, now)), [MS, 2 * MS, 3 * MS]);
        assert_eq!(pacer.due(1, pace, 1, 0), 4 * MS);
    }
}
