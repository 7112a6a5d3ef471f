"""Locust with its own Socket.IO user. How it measures: the post carries the time, and the handler of the event fires Locust's
`request` event with the difference as its response time, as the documentation of `SocketIOUser` says to do."""

import os
import random
import time

import gevent
from gevent.event import Event
from locust import HttpUser, constant_throughput, events, task
from locust.contrib.socketio import SocketIOUser

SUBSCRIBERS = int(os.environ["FEED_SUBSCRIBERS"])
RATE = int(os.environ["FEED_RATE"])
SECONDS, SETTLE_SECONDS, DRAIN_SECONDS = (
    float(os.environ[f"FEED_{name}"]) for name in ("SECONDS", "SETTLE_SECONDS", "DRAIN_SECONDS")
)

CONNECT_SECONDS_MAX = 60

posting = Event()
connected = 0


class Subscriber(SocketIOUser):
    fixed_count = SUBSCRIBERS
    host = os.environ["FEED_URL"]

    def on_start(self):
        self.sio.on("posts", self.on_post)
        self.sio.on("disconnect", self.on_disconnect)
        self.sio.connect(self.host, transports=["websocket"], wait_timeout=30)
        global connected
        connected += 1

    def on_post(self, data):
        sent_ms = float(data["post"]["title"].split()[1])
        self.request("posts", time.time() * 1000 - sent_ms)

    def on_disconnect(self, reason=None):
        if reason != self.sio.reason.CLIENT_DISCONNECT:
            self.request("disconnect", 0)

    def request(self, name, response_time_ms):
        self.environment.events.request.fire(
            request_type="WSR", name=name, response_time=response_time_ms, response_length=0, exception=None, context={}
        )

    @task
    def stay(self):
        gevent.sleep(3600)

    def on_stop(self):
        self.sio.disconnect()


class Writer(HttpUser):
    """One a second each: a Locust user waits for its reply."""

    fixed_count = RATE
    host = os.environ["FEED_URL"]
    wait_time = constant_throughput(1)

    def on_start(self):
        posting.wait()
        gevent.sleep(random.random())  # or all would post at the same moments

    @task
    def write(self):
        if posting.is_set():
            self.client.post("/feed/post", json={"title": f"sent {time.time() * 1000:.3f} {id(self)}", "content": "x" * 200})


@events.init.add_listener
def plan(environment, **_):
    def schedule():
        end = time.monotonic() + CONNECT_SECONDS_MAX
        while connected < SUBSCRIBERS and time.monotonic() < end:
            gevent.sleep(0.5)
        gevent.sleep(SETTLE_SECONDS)
        posting.set()
        gevent.sleep(SECONDS)
        posting.clear()
        gevent.sleep(DRAIN_SECONDS)
        environment.runner.quit()

    environment.events.spawning_complete.add_listener(lambda **_: gevent.spawn(schedule))
