//! One order for everyone: every change is stored, then emitted, then answered.
//!
//! A single task, the publisher, hands changes to the store in the order they come, lets many of them wait for the
//! same commit, and emits each in that same order. So all subscribers see the changes in one order, and a poster that
//! hangs up after its post was stored cannot keep it from being emitted.
//!
//! Between two broadcasts the publisher lets the sockets' own tasks run, so that a burst of posts committed together
//! does not fill the queue of a subscriber that keeps up. (That holds on one worker thread; with more, a worker that
//! the system does not schedule can hold a socket's task back for a while, which the queue has to cover.)
//!
//! Invariant: no lock is held across an emit; the packet is encoded once per broadcast.
//! Must not know: HTTP.

use std::sync::Arc;

use futures_util::{StreamExt, stream::FuturesOrdered};
use serde::Serialize;
use serde_json::value::RawValue;
use socketioxide::{BroadcastError, SocketError};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::{
    adapter::Recipients,
    faults::{Faults, Refusal, Verdict},
    metrics::{Fanout, Metrics},
    post::{Action, Change, Creator, Post},
    sockets::{Io, SocketRef},
    store::{Store, StoreError},
};

/// The event that carries every change.
pub(crate) const EVENT: &str = "posts";
/// Changes handed to the publisher and not looked at yet.
const QUEUE_CHANGES_MAX: usize = 1024;
/// Changes handed to the store and not emitted yet.
const STORING_CHANGES_MAX: usize = 1024;

/// Who gets a change.
#[derive(Debug, Clone)]
pub(crate) enum Audience {
    Everyone,
    /// Everyone but this socket.
    Others(SocketRef),
}

/// A change that is stored and emitted.
#[derive(Debug)]
pub(crate) struct Published {
    /// The post as JSON, the same bytes that the subscribers got.
    pub(crate) post: Box<RawValue>,
    pub(crate) creator: Creator,
    pub(crate) fanout: Fanout,
    /// The number of a new post, when the server keeps count of them.
    pub(crate) number: Option<u64>,
}

/// Why a change was not published.
#[derive(Debug)]
pub(crate) enum NotPublished {
    Store(StoreError),
    /// The post of this number is refused on command.
    Refused {
        number: u64,
        how: Refusal,
    },
}

impl From<StoreError> for NotPublished {
    fn from(why: StoreError) -> Self {
        Self::Store(why)
    }
}

type Answer = oneshot::Sender<Result<Published, NotPublished>>;

struct Request {
    change: Change,
    audience: Audience,
    answer: Answer,
}

struct Stored {
    number: Option<u64>,
    action: Action,
    outcome: Result<Post, StoreError>,
    audience: Audience,
    answer: Answer,
}

/// The way to the publisher.
#[derive(Clone)]
pub(crate) struct Publisher {
    requests: mpsc::Sender<Request>,
}

impl Publisher {
    /// Starts the publisher. Cancelling `closing` makes it finish what it holds and end.
    pub(crate) fn start(
        io: Io,
        recipients: Recipients,
        store: Arc<dyn Store>,
        metrics: Arc<Metrics>,
        faults: Option<Arc<Faults>>,
        closing: CancellationToken,
    ) -> (Self, JoinHandle<()>) {
        let (requests, queue) = mpsc::channel(QUEUE_CHANGES_MAX);
        let feed = Feed { io, recipients, store, metrics, faults };
        (Self { requests }, tokio::spawn(run(feed, queue, closing)))
    }

    /// Whether changes can still be taken.
    pub(crate) fn is_running(&self) -> bool {
        !self.requests.is_closed()
    }

    /// Stores and emits the change, then says what became of it.
    pub(crate) async fn publish(
        &self,
        change: Change,
        audience: Audience,
    ) -> Result<Published, NotPublished> {
        let (answer, answered) = oneshot::channel();
        let request = Request { change, audience, answer };
        self.requests.send(request).await.map_err(|_| StoreError::Stopped)?;
        answered.await.unwrap_or(Err(StoreError::Stopped.into()))
    }
}

struct Feed {
    io: Io,
    recipients: Recipients,
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    faults: Option<Arc<Faults>>,
}

async fn run(feed: Feed, mut queue: mpsc::Receiver<Request>, closing: CancellationToken) {
    let mut storing = FuturesOrdered::new();
    let mut open = true;
    loop {
        tokio::select! {
            Some(request) = queue.recv(), if storing.len() < STORING_CHANGES_MAX => {
                if let Some((number, request)) = feed.take(request) {
                    storing.push_back(store(Arc::clone(&feed.store), number, request));
                }
            }
            Some(stored) = storing.next() => {
                feed.announce(stored).await;
                tokio::task::yield_now().await;
            }
            () = closing.cancelled(), if open => {
                open = false;
                queue.close();
            }
            else => break,
        }
    }
}

async fn store(store: Arc<dyn Store>, number: Option<u64>, request: Request) -> Stored {
    let Request { change, audience, answer } = request;
    let action = change.action();
    let outcome = match change {
        Change::Create(post) => store.create_post(post).await,
        Change::Update(edit) => store.update_post(edit).await,
        Change::Delete(removal) => store.delete_post(removal).await,
    };
    Stored { number, action, outcome, audience, answer }
}

impl Feed {
    /// Numbers new posts in the order in which they are emitted, and refuses those that are to be refused.
    fn take(&self, request: Request) -> Option<(Option<u64>, Request)> {
        let (Some(faults), Change::Create(post)) = (&self.faults, &request.change) else {
            return Some((None, request));
        };
        match faults.take(&post.id, &post.title) {
            Verdict::Taken { number } => Some((Some(number), request)),
            Verdict::Refused { number, how } => {
                // The poster may have hung up.
                let _ = request.answer.send(Err(NotPublished::Refused { number, how }));
                None
            }
        }
    }

    async fn announce(&self, stored: Stored) {
        let Stored { number, action, outcome, audience, answer } = stored;
        let published = match outcome {
            Ok(post) => Ok(Published { number, ..self.emit(action, post, audience).await }),
            Err(why) => Err(why.into()),
        };
        // The poster may have hung up; the change is stored and emitted all the same.
        let _ = answer.send(published);
    }

    async fn emit(&self, action: Action, post: Post, audience: Audience) -> Published {
        let json = post_json(&post);
        let event = Event { action, post: &json };
        let to = match audience {
            Audience::Everyone => self.io.of("/"),
            Audience::Others(poster) => Some(poster.broadcast()),
        };
        // Once the sockets are closed there is no namespace and nobody to tell.
        let fanout = match to {
            Some(to) => {
                let emitted = to.emit(EVENT, &event).await;
                fanout(self.recipients.of_last_broadcast(), emitted)
            }
            None => Fanout::default(),
        };
        self.metrics.count_emit(action, fanout, packet_bytes(action, &json));
        Published { post: json, creator: post.creator, fanout, number: None }
    }
}

/// What subscribers get.
#[derive(Serialize)]
pub(crate) struct Event<'a> {
    pub(crate) action: Action,
    pub(crate) post: &'a RawValue,
}

/// The post as JSON, for subscribers and the poster alike.
pub(crate) fn post_json(post: &Post) -> Box<RawValue> {
    serde_json::value::to_raw_value(post).expect("a post is texts and times, which JSON can hold")
}

/// The Engine.IO text that carries the event, in bytes.
pub(crate) fn packet_bytes(action: Action, post: &RawValue) -> u64 {
    const AROUND: &str = r#"42["posts",{"action":"","post":}]"#;
    (AROUND.len() + action.word().len() + post.get().len()) as u64
}

/// The emit reports one error per socket that refused; every other recipient has the packet in its queue.
fn fanout(recipients: u64, emitted: Result<(), BroadcastError>) -> Fanout {
    let mut fanout = Fanout::default();
    match emitted {
        Ok(()) => {}
        Err(BroadcastError::Socket(refusals)) => {
            for refusal in refusals {
                match refusal {
                    SocketError::InternalChannelFull => fanout.refused_buffer_full += 1,
                    SocketError::Closed => fanout.refused_closed += 1,
                }
            }
        }
        Err(BroadcastError::Serialize(_) | BroadcastError::Adapter(_)) => fanout.refused_other = recipients,
    }
    fanout.enqueued = recipients.saturating_sub(fanout.refused());
    fanout
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::Semaphore;

    use super::*;
    use crate::{
        clock,
        config::Config,
        post::{NewPost, Page, PageRequest, PostEdit, PostRemoval},
        sockets,
        tokens::Tokens,
        user::{Credentials, NewUser},
    };

    #[test]
    fn every_refusal_is_counted_under_its_cause() {
        let refusals = vec![SocketError::Closed, SocketError::InternalChannelFull, SocketError::Closed];
        let fanout = fanout(10, Err(BroadcastError::Socket(refusals)));
        assert_eq!(
            fanout,
            Fanout { enqueued: 7, refused_buffer_full: 1, refused_closed: 2, refused_other: 0 }
        );
        assert_eq!(fanout.refused(), 3);
    }

    #[test]
    fn more_refusals_than_known_sockets_do_not_underflow() {
        let fanout = fanout(0, Err(BroadcastError::Socket(vec![SocketError::Closed])));
        assert_eq!((fanout.enqueued, fanout.refused()), (0, 1));
    }

    /// A store that finishes the post "early" long before the post "late" that it was given first.
    struct Overtaking {
        late: Semaphore,
        early_is_done: Semaphore,
    }

    #[async_trait::async_trait]
    impl Store for Overtaking {
        async fn create_post(&self, post: NewPost) -> Result<Post, StoreError> {
            if post.title == "late" {
                self.late.acquire().await.unwrap().forget();
            } else {
                self.early_is_done.add_permits(1);
            }
            Ok(post.stored_as("Ada".to_owned()))
        }

        async fn create_user(&self, _: NewUser) -> Result<(), StoreError> {
            unreachable!()
        }
        async fn credentials(&self, _: &str) -> Result<Option<Credentials>, StoreError> {
            unreachable!()
        }
        async fn status(&self, _: &str) -> Result<Option<String>, StoreError> {
            unreachable!()
        }
        async fn set_status(&self, _: &str, _: &str) -> Result<(), StoreError> {
            unreachable!()
        }
        async fn update_post(&self, _: PostEdit) -> Result<Post, StoreError> {
            unreachable!()
        }
        async fn delete_post(&self, _: PostRemoval) -> Result<Post, StoreError> {
            unreachable!()
        }
        async fn post(&self, _: &str) -> Result<Option<Post>, StoreError> {
            unreachable!()
        }
        async fn page(&self, _: PageRequest) -> Result<Page, StoreError> {
            unreachable!()
        }
        fn takes_writes(&self) -> bool {
            true
        }
        async fn close(&self) {}
    }

    fn new_post(title: &str) -> Change {
        Change::Create(NewPost {
            id: title.to_owned(),
            creator_id: "u".to_owned(),
            title: title.to_owned(),
            content: "some content".to_owned(),
            image_url: None,
            at: clock::now(),
        })
    }

    #[tokio::test]
    async fn a_change_that_is_stored_early_waits_for_those_before_it() {
        let store = Arc::new(Overtaking { late: Semaphore::new(0), early_is_done: Semaphore::new(0) });
        let tokens = Arc::new(Tokens::new(None, Duration::from_secs(1)));
        let metrics = Arc::new(Metrics::new().unwrap());
        let recipients = Recipients::default();
        let config = Config::default();
        let (_layer, io) = sockets::build(&config, recipients.clone(), metrics.sockets_total.clone(), tokens);
        let closing = CancellationToken::new();
        let (publisher, running) =
            Publisher::start(io, recipients, store.clone(), metrics.clone(), None, closing.clone());
        let publish = |title: &str| {
            let (publisher, change) = (publisher.clone(), new_post(title));
            tokio::spawn(async move { publisher.publish(change, Audience::Everyone).await.unwrap() })
        };
        let late = publish("late");
        let early = publish("early");
        store.early_is_done.acquire().await.unwrap().forget();
        // One thread: every task that can go on does so before this one is polled again this often.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!(!late.is_finished() && !early.is_finished(), "emitted out of order");
        store.late.add_permits(1);
        assert!(late.await.unwrap().post.get().contains("late"));
        assert!(early.await.unwrap().post.get().contains("early"));

        closing.cancel();
        running.await.unwrap();
        let refused = publisher.publish(new_post("after the end"), Audience::Everyone).await;
        assert!(matches!(refused, Err(NotPublished::Store(StoreError::Stopped))));
        assert!(!publisher.is_running());
    }
}
