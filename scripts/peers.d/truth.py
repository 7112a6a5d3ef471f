"""What really happened to the posts of one run: from the reference server's truth log, or, against the null target, which
keeps none, from witnesses of our own.

A latency is the time from the start of a post to the moment at which the server wrote the first copy to a subscriber.
The start is what the tool calls it: peers write theirs into the title of the post, feedmark's is in its posts.csv. Times are
ns of the realtime clock.
"""

import array
import gzip
import json
import math
import re
import selectors
import socket
import struct
import threading
import time

from processes import CannotMeasure

SO_TIMESTAMPNS = 35  # socket(7); Python does not name it
WITNESSES_LAST = 3
RANKS = 100  # deliveries between the first and the last of a post that stand for all of them
HANDSHAKE_SECONDS_MAX = 10


def quantile(ordered, q):
    """The value at a quantile of sorted values, None of none."""
    return ordered[max(math.ceil(q * len(ordered) - 1e-6), 1) - 1] if ordered else None


class Truth:
    """From the truth log (docs/truth-log.md) of a server that has ended."""

    def __init__(self, path):
        self.titles = {}
        self.posted_ns = []
        self.connected_ns = []
        self.first_writes = array.array("q"), array.array("q")  # post, when
        self.dropped, self.duplicated = [], []  # posts, one for each pair or extra copy
        self.copies = self.killed = 0
        offset_ns = None
        ended = False
        for line in gzip.open(path, "rt"):
            event = json.loads(line)
            kind = event["e"]
            if kind == "write":
                self.copies += 1
                if event["copy"]:
                    self.duplicated.append(event["p"])
                else:
                    self.first_writes[0].append(event["p"])
                    self.first_writes[1].append(event["at"] + offset_ns)
            elif kind == "post":
                self.titles[event["p"]] = event["title"]
                self.posted_ns.append(event["at"] + offset_ns)
            elif kind == "connected":
                self.connected_ns.append(event["done"] + offset_ns)
            elif kind == "drop":
                if event["why"] == "fault":
                    self.dropped.append(event["p"])
            elif kind == "closed":
                self.killed += event["why"] == "killed"
            elif kind == "clock":
                offset_ns = offset_ns or event["real"] - event["mono"]
            elif kind == "end":
                ended = event["lost"] == 0
        if not ended:
            raise CannotMeasure(f"the truth log {path.name} is not whole: leave this host alone and try again")

    @property
    def first_post_ns(self):
        return min(self.posted_ns, default=None)

    @property
    def subscribers(self):
        """Connected before the first post."""
        return sum(connected_ns < self.first_post_ns for connected_ns in self.connected_ns)

    def losses(self, start_ns):
        """Of the posts that have a start: dropped pairs, extra copies; and sockets killed."""
        dropped, duplicated = (
            sum(start_ns(self.titles[post]) is not None for post in posts) for posts in (self.dropped, self.duplicated)
        )
        return f"{dropped:,} dropped, {duplicated:,} duplicated, {self.killed} killed"

    def of_posts(self, start_ns):
        """How many posts have a start, how many first copies of them the server wrote, and their sorted latencies in ns."""
        starts = {post: start for post, title in self.titles.items() if (start := start_ns(title)) is not None}
        posts, at = self.first_writes
        latencies_ns = sorted(when - starts[post] for post, when in zip(posts, at) if post in starts)
        return len(starts), len(latencies_ns), latencies_ns


class Witnesses:
    """Subscribers of the null target before and after the tool's own, with the kernel's receive stamps.

    It writes to its subscribers one after the other, in the order in which they came: one witness that came first and some
    that came last see when a post began and when it had reached everyone, and what lies between is evenly spaced.
    """

    def __init__(self, url, subscribers):
        self.address = re.fullmatch(r"http://(.+):(\d+)", url).groups()
        self.subscribers = subscribers
        self.stamps = {}  # title: (first ns, last ns)
        self.selector = selectors.DefaultSelector()
        self.stopped = False
        self._join()
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def join_last(self):
        """To be called when the tool's subscribers are connected. Some, because a place that became free is given anew."""
        for _ in range(WITNESSES_LAST):
            self._join()

    def stop(self):
        self.stopped = True
        self.thread.join()
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()

    def _join(self):
        stream = socket.create_connection(self.address, HANDSHAKE_SECONDS_MAX)
        stream.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        stream.sendall(
            b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: witness\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            b"\x81\x82\0\0\0\x0040"  # the text `40`, masked with zeros: CONNECT
        )
        answer = b""
        while b'40{"' not in answer:
            answer += (read := stream.recv(4096))
            if not read:
                raise CannotMeasure(f"the null target hung up on a witness after {answer!r}")
        stream.setblocking(False)
        self.selector.register(stream, selectors.EVENT_READ, bytearray())

    def _watch(self):
        while not self.stopped:
            for key, _ in self.selector.select(0.2):
                self._read(key.fileobj, key.data)

    def _read(self, stream, waiting):
        data, control, *_ = stream.recvmsg(1 << 16, socket.CMSG_SPACE(16))
        stamp_ns = time.time_ns()
        for level, kind, value in control:
            if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
                seconds, ns = struct.unpack("ll", value)
                stamp_ns = seconds * 1_000_000_000 + ns
        if not data:
            self.selector.unregister(stream)
        # A title that is cut is found whole in the next read. Heartbeats need no answer: the null target asks for none.
        waiting += data
        end = 0
        for found in re.finditer(rb'"title": ?"([^"]*)"', waiting):
            title, end = found[1].decode(), found.end()
            first_ns, last_ns = self.stamps.get(title, (stamp_ns, stamp_ns))
            self.stamps[title] = min(first_ns, stamp_ns), max(last_ns, stamp_ns)
        del waiting[:end]

    @property
    def first_post_ns(self):
        return min((first for first, _ in self.stamps.values()), default=None)

    @property
    def copies(self):
        return len(self.stamps) * self.subscribers

    def of_posts(self, start_ns):
        """As [`Truth.of_posts`]; the latencies are those of `RANKS` deliveries a post."""
        starts = {title: start for title in self.stamps if (start := start_ns(title)) is not None}
        latencies_ns = []
        for title, start in starts.items():
            first, last = self.stamps[title]
            latencies_ns += (first + (last - first) * rank // (RANKS - 1) - start for rank in range(RANKS))
        latencies_ns.sort()
        return len(starts), len(starts) * self.subscribers, latencies_ns
