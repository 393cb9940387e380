// One event stream for all tabs of a browser: HTTP/1.1 allows six connections to a host, and a stream
// a tab would leave the seventh without any. The tab that holds the lock listens and tells the others.

const NAME = "qvd-live";
const RETRY_MS = 15_000;
const POLL_MS = 5_000;
const KINDS = ["tenant", "user", "flavour", "image", "vm", "session", "node", "token", "audit"];

/**
 * @typedef {object} Change
 * @property {string} kind of the object; `resync` if events were lost and all is to be read again
 * @property {string | number} [id]
 * @property {string} [change] insert, update or delete
 * @property {string} [state]
 */

/**
 * Hear of changes until the returned function is called.
 * @param {string} path of the stream
 * @param {(change: Change) => void} onChange
 * @param {(state: "live" | "polling") => void} onState
 */
export function live(path, onChange, onState) {
  const channel = new BroadcastChannel(NAME);
  const ending = new AbortController();
  channel.onmessage = ({ data }) => (data.state ? onState(data.state) : onChange(data));
  const tell = (/** @type {any} */ message) => {
    channel.postMessage(message);
    if (message.state) onState(message.state);
    else onChange(message);
  };
  const listen = () => new Promise((/** @type {(value?: unknown) => void} */ done) => {
    ending.signal.addEventListener("abort", listenTo(path, tell, done));
  });
  navigator.locks.request(NAME, { signal: ending.signal }, listen).catch(() => {});
  return () => {
    ending.abort();
    channel.close();
  };
}

/**
 * Listen to the stream; while there is none, say `resync` at times, so that lists are read again.
 * @param {string} path
 * @param {(message: any) => void} tell
 * @param {() => void} done
 */
function listenTo(path, tell, done) {
  /** @type {EventSource} */
  let stream;
  let retry = 0;
  let poll = 0;
  const open = () => {
    stream = new EventSource(path);
    stream.onopen = () => {
      if (poll) tell({ kind: "resync" });
      clearInterval(poll);
      poll = 0;
      tell({ state: "live" });
    };
    stream.onerror = () => {
      if (!poll) poll = setInterval(() => tell({ kind: "resync" }), POLL_MS);
      tell({ state: "polling" });
      // The browser tries again by itself unless the answer was no event stream.
      if (stream.readyState === EventSource.CLOSED) retry = setTimeout(open, RETRY_MS);
    };
    for (const kind of KINDS) {
      stream.addEventListener(kind, (event) => tell(JSON.parse(event.data)));
    }
    stream.addEventListener("resync", () => tell({ kind: "resync" }));
    stream.addEventListener("end", () => tell({ kind: "end" }));
  };
  open();
  return () => {
    clearInterval(poll);
    clearTimeout(retry);
    stream.close();
    done();
  };
}
