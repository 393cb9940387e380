// Seeing a user's desktop, or helping in it, after the user agreed in it.
import { useEffect, useRef, useState } from "preact/hooks";
import { call } from "../api.js";
import { t } from "../core/words.js";
import { html } from "../html.js";
import { Dialog } from "./dialog.js";
import { may } from "./store.js";
import { Trouble } from "./trouble.js";

const MOVES_EVERY_MS = 40;

/** The two buttons of a desktop that somebody uses. @param {{vm: any}} props */
export function Assist({ vm }) {
  const [open, setOpen] = useState(/** @type {{secret: string, helps: boolean} | null} */ (null));
  const [error, setError] = useState(/** @type {any} */ (null));
  if (!vm.viewer || !may("POST", `/vms/${vm.id}/assistance`)) return null;
  const ask = async (/** @type {boolean} */ helps) => {
    setError(null);
    try {
      setOpen({ secret: (await call("POST", `/vms/${vm.id}/assistance`, { helps })).key, helps });
    } catch (refused) {
      setError(refused);
    }
  };
  return html`<section class="card stack"><h2>${t("assist.title")}</h2><p class="muted">${t("assist.about")}</p>
    <${Trouble} error=${error} />
    <div class="buttons"><button type="button" id="assist-see" onClick=${() => ask(false)}>${t("assist.see")}</button>
      <button type="button" id="assist-help" onClick=${() => ask(true)}>${t("assist.help")}</button></div>
    ${open && html`<${View} ...${open} onClose=${() => setOpen(null)} />`}</section>`;
}

/** @param {{secret: string, helps: boolean, onClose: () => void}} props */
function View({ secret, helps, onClose }) {
  const canvas = useRef(/** @type {HTMLCanvasElement | null} */ (null));
  const [state, setState] = useState({ type: "asked", reason: "" });
  useEffect(() => {
    const socket = new WebSocket(`wss://${location.host}/assistance?key=${encodeURIComponent(secret)}`);
    socket.onmessage = async (event) => {
      if (typeof event.data === "string") setState(JSON.parse(event.data));
      else await draw(canvas.current, event.data);
    };
    socket.onclose = () => setState((was) => was.type === "ended" ? was : { type: "ended", reason: "" });
    const stop = helps && canvas.current ? takeInput(canvas.current, (said) => {
      if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(said));
    }) : () => {};
    return () => {
      stop();
      socket.close();
    };
  }, [secret]);
  return html`<${Dialog} title=${t("assist.title")} onClose=${onClose}>
    <p role="status">${t(`assist.state.${state.type}`)} ${state.reason}</p>
    <canvas ref=${canvas} class="assisted" tabindex="0" width="1" height="1" aria-label=${t("assist.title")} hidden=${state.type !== "shared"}></canvas>
    <div class="buttons"><button type="button" id="assist-end" onClick=${onClose}>${t("assist.end")}</button></div></${Dialog}>`;
}

/** @param {HTMLCanvasElement | null} canvas @param {Blob} picture */
async function draw(canvas, picture) {
  if (!canvas) return;
  const image = await createImageBitmap(picture);
  if (canvas.width !== image.width || canvas.height !== image.height) Object.assign(canvas, { width: image.width, height: image.height });
  canvas.getContext("2d")?.drawImage(image, 0, 0);
  canvas.dataset.shown = "1";
  image.close();
}

/** @param {HTMLCanvasElement} canvas @param {(said: object) => void} send */
function takeInput(canvas, send) {
  const ending = new AbortController();
  let last = 0;
  const pointer = (/** @type {PointerEvent} */ event) => {
    if (event.type === "pointermove" && event.timeStamp - last < MOVES_EVERY_MS) return;
    last = event.timeStamp;
    const place = canvas.getBoundingClientRect();
    const x = Math.round((event.clientX - place.left) * canvas.width / place.width);
    const y = Math.round((event.clientY - place.top) * canvas.height / place.height);
    send({ type: "pointer", x: Math.max(0, x), y: Math.max(0, y), buttons: event.buttons & 7 });
    if (event.type === "pointerdown") canvas.focus();
  };
  const key = (/** @type {KeyboardEvent} */ event) => {
    if (event.code === "Escape" || !/^\w{1,32}$/.test(event.code)) return;
    event.preventDefault();
    event.stopPropagation();
    send({ type: "key", code: event.code, down: event.type === "keydown" });
  };
  for (const name of ["pointermove", "pointerdown", "pointerup"]) canvas.addEventListener(name, /** @type {any} */ (pointer), { signal: ending.signal });
  for (const name of ["keydown", "keyup"]) canvas.addEventListener(name, /** @type {any} */ (key), { signal: ending.signal });
  canvas.addEventListener("contextmenu", (event) => event.preventDefault(), { signal: ending.signal });
  return () => ending.abort();
}
