//! The words of a metric's name, and what each stands for in a run.

use crate::run_result::ProcessUse;
use crate::{LatencySummary, RunResult};

macro_rules! names {
    ($(#[$attribute:meta])* $type:ident { $($(#[$doc:meta])* $variant:ident = $name:literal,)* }) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $type {
            $($(#[$doc])* $variant,)*
        }

        impl $type {
            /// All of them, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            pub(super) fn named(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|this| this.name() == name)
            }
        }
    };
}

names! {
    /// A latency series.
    Series {
        /// Arrival - intended time, over owed pairs.
        Delivery = "delivery",
        /// First delivery of a post - intended time.
        FirstDelivery = "first_delivery",
        /// Last owed delivery of a post - intended time.
        FullFanout = "full_fanout",
        /// Full fan-out - first delivery.
        Spread = "spread",
        /// POST's response complete - actual send.
        ServiceTime = "service_time",
        /// POST's response complete - intended time.
        ResponseTime = "response_time",
        /// Actual send - intended time.
        SendLag = "send_lag",
        /// Processing - kernel receive stamp.
        ReceiveDelay = "receive_delay",
        /// From the first byte of a connection to its confirmed Socket.IO CONNECT.
        Connect = "connect",
    }
}

names! {
    /// A number of things that should not happen.
    Count {
        /// Owed pairs that never arrived.
        Missing = "missing",
        /// Owed pairs that arrived after the deadline.
        Late = "late",
        /// Extra copies of an owed pair.
        Duplicate = "duplicate",
        /// First copies that a later post of the same writer overtook.
        Reordered = "reordered",
        /// Deliveries that nobody was owed.
        Unexpected = "unexpected",
        /// Posts that were refused or never answered.
        FailedPosts = "failed_posts",
        /// Posts that were never sent, the most posts being in flight.
        DroppedPosts = "dropped_posts",
        /// Subscribers that could not connect.
        FailedConnections = "failed_connections",
        /// Subscribers that lost their connection.
        LostConnections = "lost_connections",
    }
}

names! {
    /// Whose resources.
    Side {
        /// The server under load, where its process is known.
        Target = "target",
        /// The load generator.
        Generator = "generator",
    }
}

impl Series {
    /// Its values come from the deliveries of a post, and are infinite where one that they need is late or missing.
    pub const fn is_of_deliveries(self) -> bool {
        matches!(self, Self::Delivery | Self::FirstDelivery | Self::FullFanout | Self::Spread)
    }

    /// The series as a run has it.
    pub const fn of(self, run: &RunResult) -> &LatencySummary {
        let latency = &run.latency_ns;
        match self {
            Self::Delivery => &latency.delivery,
            Self::FirstDelivery => &latency.first_delivery,
            Self::FullFanout => &latency.full_fanout,
            Self::Spread => &latency.spread,
            Self::ServiceTime => &latency.service_time,
            Self::ResponseTime => &latency.response_time,
            Self::SendLag => &latency.send_lag,
            Self::ReceiveDelay => &latency.receive_delay,
            Self::Connect => &run.connections.connect_ns.total,
        }
    }
}

impl Count {
    /// How many there were in the steady phase, or for connections in the run.
    pub const fn of(self, run: &RunResult) -> u64 {
        match self {
            Self::Missing => run.deliveries.missing,
            Self::Late => run.deliveries.late,
            Self::Duplicate => run.deliveries.duplicate,
            Self::Reordered => run.deliveries.reordered,
            Self::Unexpected => run.deliveries.unexpected,
            Self::FailedPosts => run.posts.failed,
            Self::DroppedPosts => run.posts.dropped,
            Self::FailedConnections => run.connections.failed,
            Self::LostConnections => run.connections.lost,
        }
    }
}

impl Side {
    pub(super) const fn of(self, run: &RunResult) -> Option<&ProcessUse> {
        match self {
            Self::Target => run.resources.target.as_ref(),
            Self::Generator => Some(&run.resources.generator),
        }
    }
}
