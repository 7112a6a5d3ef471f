//! The Socket.IO side: one namespace, `/`, to which everyone may listen and nobody speaks.

use std::{fmt, sync::Arc};

use prometheus::IntCounter;
use serde::Deserialize;
use socketioxide::{SocketIo, extract::TryData, handler::ConnectHandler, layer::SocketIoLayer};

use crate::{
    adapter::{CountingAdapter, Recipients},
    config::Config,
    tokens::Tokens,
};

/// The one handle to all sockets.
pub(crate) type Io = SocketIo<CountingAdapter>;
/// A connected socket.
pub(crate) type SocketRef = socketioxide::extract::SocketRef<CountingAdapter>;

/// What a broadcast may be larger than the body that caused it: action, ids, names and times around the text.
const ENVELOPE_BYTES_MAX: usize = 4096;

/// What a subscriber says is short: a pong.
const READ_BUFFER_BYTES: usize = 512;

/// Builds the one io handle and the layer that answers `/socket.io/`. Whoever holds the handle can use it: the
/// namespace exists before the handle is given away.
pub(crate) fn build(
    config: &Config,
    recipients: Recipients,
    connected_total: IntCounter,
    tokens: Arc<Tokens>,
) -> (SocketIoLayer<CountingAdapter>, Io) {
    let max_payload_bytes = config.max_payload_bytes.saturating_add(ENVELOPE_BYTES_MAX);
    let (layer, io) = SocketIo::builder()
        .ping_interval(config.ping_interval)
        .ping_timeout(config.ping_timeout)
        .max_buffer_size(config.socket_buffer_packets)
        .max_payload(max_payload_bytes as u64)
        .ws_read_buffer_size(READ_BUFFER_BYTES)
        .ws_max_message_size(max_payload_bytes)
        .ws_max_frame_size(max_payload_bytes)
        .with_adapter::<CountingAdapter>(recipients)
        .build_layer();
    let on_connect = async move || connected_total.inc();
    if config.socket_auth {
        let admit = async move |TryData(auth): TryData<Auth>| admit(auth.ok(), &tokens);
        io.ns("/", on_connect.with(admit));
    } else {
        io.ns("/", on_connect);
    }
    (layer, io)
}

/// Sockets connected now; none once the server closes.
pub(crate) fn connected(io: &Io) -> usize {
    io.of("/").map_or(0, |namespace| namespace.sockets().len())
}

/// The auth payload of CONNECT.
#[derive(Deserialize)]
struct Auth {
    token: String,
}

/// Becomes the message of the CONNECT_ERROR.
#[derive(Debug)]
struct NotAdmitted(String);

impl fmt::Display for NotAdmitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn admit(auth: Option<Auth>, tokens: &Tokens) -> Result<(), NotAdmitted> {
    let Some(auth) = auth else {
        return Err(NotAdmitted("not authenticated: connect with auth {token}".to_owned()));
    };
    tokens.verify(&auth.token).map(|_| ()).map_err(|why| NotAdmitted(why.to_string()))
}
