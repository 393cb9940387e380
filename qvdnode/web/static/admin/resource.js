// Reads something from the API and again when it changes.
import { useEffect, useRef, useState } from "preact/hooks";
import { call } from "../api.js";
import { watch } from "./store.js";

const QUIET_MS = 250;
const LEAST_GAP_MS = 1_000;

/**
 * @param {string | null} path below /api/v1; null reads nothing
 * @param {(change: import("../live.js").Change) => boolean} [concerns] which changes make it read again
 * @returns {{data: any, error: Error | null, busy: boolean, stale: boolean, reload: () => void}} stale:
 *   the data is that of another page of the list, shown until this one is there
 */
export function useResource(path, concerns = () => false) {
  const [state, setState] = useState({ path, data: /** @type {any} */ (null), error: null, busy: true });
  const [round, setRound] = useState({ count: 0, background: false });
  const test = useRef(concerns);
  test.current = concerns;

  useEffect(() => {
    if (path === null) return undefined;
    const leaving = new AbortController();
    setState((before) => ({ ...before, busy: true }));
    call("GET", path, undefined, { background: round.background, signal: leaving.signal }).then(
      (data) => setState({ path, data, error: null, busy: false }),
      (error) => {
        if (leaving.signal.aborted) return;
        setState((before) => ({ path, data: before.path === path ? before.data : null, error, busy: false }));
      });
    return () => leaving.abort();
  }, [path, round]);

  useEffect(() => {
    let timer = 0;
    let last = 0;
    const again = () => {
      timer = 0;
      last = Date.now();
      setRound(({ count }) => ({ count: count + 1, background: true }));
    };
    const stop = watch((change) => {
      if (timer || !(change.kind === "resync" || test.current(change))) return;
      timer = setTimeout(again, Math.max(QUIET_MS, last + LEAST_GAP_MS - Date.now()));
    });
    return () => { stop(); clearTimeout(timer); };
  }, [path]);

  const reload = () => setRound(({ count }) => ({ count: count + 1, background: false }));
  // While another path is read, the last one's data is not shown as if it were its own.
  const stale = state.path !== path;
  return { ...state, busy: state.busy || stale, stale, data: !stale || sameList(state.path, path) ? state.data : null, reload };
}

/**
 * Whether two paths are pages of one list: the old rows may stay until the new ones are there.
 * @param {string | null} one
 * @param {string | null} other
 */
const sameList = (one, other) => one !== null && other !== null && one.split("?")[0] === other.split("?")[0];
