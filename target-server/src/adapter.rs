//! The namespace's adapter: the library's local one, which also says how many sockets a broadcast was meant for.
//!
//! The library reports who refused a packet but not who took it, and its connect and disconnect callbacks can miss
//! one another (a socket that leaves while its connect callback is being scheduled never calls back), so a count kept
//! by callbacks drifts. Here the adapter asks the namespace itself, in one pass over ids per broadcast.
//!
//! Invariant: broadcasts come one at a time, from the publisher; so the last count belongs to the last broadcast.

use std::{
    convert::Infallible,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use socketioxide::{BroadcastError, adapter::Emitter};
use socketioxide_core::{
    adapter::{BroadcastOptions, CoreAdapter, CoreLocalAdapter, DefinedAdapter, SocketEmitter},
    packet::Packet,
};

/// How many sockets the last broadcast was meant for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recipients(Arc<AtomicU64>);

impl Recipients {
    /// Of the broadcast that was awaited last. Sockets that connect or leave during the broadcast may be off.
    pub(crate) fn of_last_broadcast(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// See the module.
pub(crate) struct CountingAdapter {
    local: CoreLocalAdapter<Emitter>,
    recipients: Recipients,
}

impl CoreAdapter<Emitter> for CountingAdapter {
    type Error = Infallible;
    type State = Recipients;
    type AckStream = <Emitter as SocketEmitter>::AckStream;
    type InitRes = ();

    fn new(recipients: &Recipients, local: CoreLocalAdapter<Emitter>) -> Self {
        Self { local, recipients: recipients.clone() }
    }

    fn init(self: Arc<Self>, on_success: impl FnOnce() + Send + 'static) {
        on_success();
    }

    fn broadcast(
        &self,
        packet: Packet,
        opts: BroadcastOptions,
    ) -> impl Future<Output = Result<(), BroadcastError>> + Send {
        let recipients = self.local.sockets(opts.clone()).len();
        self.recipients.0.store(recipients as u64, Ordering::Relaxed);
        std::future::ready(self.local.broadcast(packet, opts).map_err(BroadcastError::from))
    }

    async fn broadcast_with_ack(
        &self,
        packet: Packet,
        opts: BroadcastOptions,
        timeout: Option<Duration>,
    ) -> Result<Self::AckStream, Infallible> {
        Ok(self.local.broadcast_with_ack(packet, opts, timeout).0)
    }

    fn get_local(&self) -> &CoreLocalAdapter<Emitter> {
        &self.local
    }
}

impl DefinedAdapter for CountingAdapter {}
