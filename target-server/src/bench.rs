//! What `benches/` measures in here: the encoding of a broadcast, without the sockets.

use socketioxide_core::{Str, Value, packet::Packet, parser::Parse};
use socketioxide_parser_common::CommonParser;

use crate::{
    clock,
    feed::{EVENT, Event, post_json},
    post::{Action, NewPost, Post},
    user::ANONYMOUS_NAME,
};

/// A new post that is stored and not emitted yet.
pub struct Broadcast {
    post: Post,
}

impl Broadcast {
    /// Of a post with these words.
    pub fn of_post(title: &str, content: &str) -> Self {
        let post = NewPost {
            id: uuid::Uuid::now_v7().to_string(),
            creator_id: uuid::Uuid::now_v7().to_string(),
            title: title.to_owned(),
            content: content.to_owned(),
            image_url: None,
            at: clock::now(),
        };
        Self { post: post.stored_as(ANONYMOUS_NAME.to_owned()) }
    }

    /// Encodes it as the publisher and the library do, once for all sockets: the text of the Socket.IO packet.
    ///
    /// # Panics
    /// Never: a post is texts and times.
    pub fn encode(&self) -> Str {
        let json = post_json(&self.post);
        let event = Event { action: Action::Create, post: &json };
        let data = CommonParser.encode_value(&event, Some(EVENT)).expect("an event is JSON");
        match CommonParser.encode(Packet::event("/", data)) {
            Value::Str(text, _) => text,
            Value::Bytes(_) => unreachable!("the parser encodes to text"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::packet_bytes;

    #[test]
    fn the_counted_bytes_are_those_of_the_packet() {
        let broadcast = Broadcast::of_post("a \"title\"", "some content");
        let text = broadcast.encode();
        assert!(text.starts_with(r#"2["posts",{"action":"create","post":{"_id":""#), "{text}");
        // Engine.IO puts its message type in front.
        assert_eq!(packet_bytes(Action::Create, &post_json(&broadcast.post)), 1 + text.len() as u64);
    }
}
