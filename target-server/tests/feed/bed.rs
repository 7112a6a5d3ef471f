//! A server in this process, and what a test asks of it.

use std::{
    net::SocketAddr,
    thread::{self, JoinHandle},
    time::Duration,
};

use reqwest::{
    Method,
    blocking::{Client, RequestBuilder, Response},
};
use serde_json::{Value, json};
use target_server::{Config, Durability, Secret, ServeError, StoreKind, serve};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot};

use crate::subscriber::Subscriber;

/// Longer than anything here takes; a wait that reaches it fails the test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);
pub(crate) const SECRET: &str = "a secret that the tests know";
pub(crate) const PASSWORD: &str = "hunter2";

/// A running server. Dropped, it stops.
pub(crate) struct Bed {
    pub(crate) address: SocketAddr,
    pub(crate) client: Client,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<(), ServeError>>>,
}

pub(crate) fn memory() -> Config {
    Config {
        store: StoreKind::Memory,
        open_posting: true,
        jwt_secret: Some(Secret::new(SECRET)),
        ..Config::default()
    }
}

pub(crate) fn sqlite(folder: &TempDir) -> Config {
    let path = folder.path().join("feed.db");
    Config { store: StoreKind::sqlite(path, Durability::Full), ..memory() }
}

/// A client that fails instead of hanging.
pub(crate) fn client() -> Client {
    Client::builder().timeout(PATIENCE).build().unwrap()
}

/// Looks until `look` finds something.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..PATIENCE.as_millis() / BETWEEN_LOOKS.as_millis() {
        if let Some(found) = look() {
            return found;
        }
        thread::sleep(BETWEEN_LOOKS);
    }
    panic!("never: {what}");
}

/// The value of a metric in Prometheus text; labels are part of the name.
pub(crate) fn metric(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.split(' ').next() == Some(name))?;
    line.rsplit(' ').next()?.parse().ok()
}

impl Bed {
    pub(crate) fn start(config: Config) -> Self {
        Self::try_start(config).unwrap()
    }

    /// On one worker thread the order of tasks does not depend on the machine's other work.
    pub(crate) fn start_on_one_thread(config: Config) -> Self {
        Self::try_start_on(1, config).unwrap()
    }

    /// An error when the server ends before it answers.
    pub(crate) fn try_start(config: Config) -> Result<Self, ServeError> {
        Self::try_start_on(2, config)
    }

    fn try_start_on(threads: usize, config: Config) -> Result<Self, ServeError> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = thread::spawn(move || {
            runtime.block_on(serve(listener, config, async move {
                let _ = stopped.await;
            }))
        });
        let mut bed = Self { address, client: client(), stop: Some(stop), thread: Some(thread) };
        eventually("the server answers or ends", || {
            let ended = bed.thread.as_ref().is_some_and(JoinHandle::is_finished);
            (ended || bed.get("/healthz").send().is_ok()).then_some(())
        });
        match bed.thread.take_if(|thread| thread.is_finished()) {
            Some(ended) => Err(ended.join().unwrap().unwrap_err()),
            None => Ok(bed),
        }
    }

    /// Stops the server and says how it ended.
    pub(crate) fn stop(mut self) -> Result<(), ServeError> {
        self.ask_to_stop();
        self.thread.take().unwrap().join().unwrap()
    }

    /// Does not wait.
    pub(crate) fn ask_to_stop(&mut self) {
        drop(self.stop.take());
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(path))
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    /// Posts without a token.
    pub(crate) fn post(&self, title: &str) -> Response {
        self.request(Method::POST, "/feed/post").json(&words(title)).send().unwrap()
    }

    pub(crate) fn subscribe(&self) -> Subscriber {
        Subscriber::connect(self.address)
    }

    /// Signs up and logs in: (token, user id).
    pub(crate) fn login(&self, email: &str) -> (String, String) {
        let body = json!({"email": email, "password": PASSWORD, "name": "Ada"});
        let signup = self.request(Method::PUT, "/auth/signup").json(&body).send().unwrap();
        assert_eq!(signup.status(), 201);
        let answer: Value =
            self.request(Method::POST, "/auth/login").json(&body).send().unwrap().json().unwrap();
        (answer["token"].as_str().unwrap().to_owned(), answer["userId"].as_str().unwrap().to_owned())
    }

    pub(crate) fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").send().unwrap().text().unwrap();
        metric(&text, name).unwrap_or_else(|| panic!("no {name} in {text}"))
    }

    pub(crate) fn await_metric(&self, name: &str, wanted: f64) {
        eventually(&format!("{name} is {wanted}"), || (self.metric(name) == wanted).then_some(()));
    }

    pub(crate) fn page(&self, query: &str) -> Value {
        self.get(&format!("/feed/posts{query}")).send().unwrap().json().unwrap()
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        self.ask_to_stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A valid body.
pub(crate) fn words(title: &str) -> Value {
    json!({"title": title, "content": "some content"})
}

pub(crate) fn header(response: &Response, name: &str) -> u64 {
    response.headers()[name].to_str().unwrap().parse().unwrap()
}
