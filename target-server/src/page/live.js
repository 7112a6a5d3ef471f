// A listener's Socket.IO (protocol 5, over Engine.IO 4 on one WebSocket, namespace /): connects, answers pings, hands
// on events, and comes back after a break, ever more slowly while that fails.

const OPEN_MS_MAX = 10_000;
const FIRST_PAUSE_MS = 500;
const PAUSE_MS_MAX = 10_000;

export class Live {
  #url;
  #token;
  #onState;
  #onEvent;
  #socket = null;
  #timer = 0;
  #failures = 0;
  /** Longest silence of a server that lives; it says so itself. */
  #silenceMs = OPEN_MS_MAX;

  /** Whether events arrive now. */
  connected = false;

  /**
   * `token()` is shown on connecting, if there is one. `onState(word, why)`: connecting, live, offline, refused.
   * `onEvent(name, value)` is called for every event.
   */
  constructor(url, { token, onState, onEvent }) {
    this.#url = url;
    this.#token = token;
    this.#onState = onState;
    this.#onEvent = onEvent;
  }

  /** Connects now, whatever was before. */
  open() {
    this.#drop();
    this.#onState("connecting");
    this.#socket = new WebSocket(this.#url);
    this.#socket.onmessage = ({ data }) => this.#take(data);
    this.#socket.onclose = () => this.#retry();
    this.#silenceMs = OPEN_MS_MAX;
    this.#watch();
  }

  #drop() {
    clearTimeout(this.#timer);
    this.connected = false;
    if (this.#socket === null) return;
    this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket.close();
    this.#socket = null;
  }

  #retry() {
    this.#drop();
    this.#onState("offline");
    // Spread out, so that the pages of a server that was away do not all come back at once.
    const pause = Math.min(FIRST_PAUSE_MS * 2 ** this.#failures, PAUSE_MS_MAX) * (0.5 + Math.random() / 2);
    this.#failures += 1;
    this.#timer = setTimeout(() => this.open(), pause);
  }

  /** A connection can be dead without saying so. */
  #watch() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#retry(), this.#silenceMs);
  }

  #take(packet) {
    this.#watch();
    try {
      this.#read(packet);
    } catch (error) {
      console.warn(`the server sent what is no Socket.IO: ${error.message}`);
      this.#retry();
    }
  }

  #read(packet) {
    switch (packet[0]) {
      case "0": {
        const { pingInterval, pingTimeout } = JSON.parse(packet.slice(1));
        this.#silenceMs = pingInterval + pingTimeout;
        const token = this.#token();
        this.#socket.send(token ? `40${JSON.stringify({ token })}` : "40");
        break;
      }
      case "1":
        this.#retry();
        break;
      case "2":
        this.#socket.send("3");
        break;
      case "4":
        this.#message(packet);
        break;
    }
  }

  #message(packet) {
    switch (packet[1]) {
      case "0":
        this.#failures = 0;
        this.connected = true;
        this.#onState("live");
        break;
      case "1":
        this.#retry();
        break;
      case "2": {
        const [name, value] = JSON.parse(packet.slice(packet.indexOf("[")));
        this.#onEvent(name, value);
        break;
      }
      case "4": {
        // Asking again would not help: whoever changes the token opens again.
        const { message } = JSON.parse(packet.slice(2));
        this.#drop();
        this.#onState("refused", message);
        break;
      }
    }
  }
}
