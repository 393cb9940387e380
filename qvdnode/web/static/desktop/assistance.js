// A helper asks to see this desktop. Pictures go only from here, only after the user agreed, and only
// while the mark is on the screen; the node has no other way to them.
import { make, say } from "../my/dom.js";

const EVERY_MS = 250;
const PICTURE_MAX = 1 << 20;

/**
 * @param {{canvas: () => HTMLCanvasElement | null, key: (code: string, down: boolean) => void,
 *   refuse: (key: string) => void, focus: () => void}} to
 */
export function assistance(to) {
  /** @type {HTMLElement | null} */
  let box = null;
  /** @type {WebSocket | null} */
  let socket = null;
  let timer = 0;
  let buttons = 0;

  function away() {
    box?.remove();
    box = null;
    document.documentElement.classList.remove("shared");
    to.focus();
  }

  /** @param {{key: string, helper: string, helps: boolean}} wish */
  function ask(wish) {
    if (box) return to.refuse(wish.key);
    const name = wish.helper;
    const text = wish.helps ? say("helper_asks_help", { name }) : say("helper_asks", { name });
    const yes = make("button", { type: "button", class: "main", id: "help-yes", click: () => { away(); share(wish); } }, say("allow"));
    const no = make("button", { type: "button", id: "help-no", click: () => { away(); to.refuse(wish.key); } }, say("refuse"));
    box = make("div", { id: "help-question", role: "alertdialog", "aria-label": text }, make("p", {}, text), make("div", { class: "row" }, yes, no));
    document.body.append(box);
    no.focus();
  }

  /** @param {{key: string, helper: string, helps: boolean}} wish */
  function share(wish) {
    const own = socket = new WebSocket(`wss://${location.host}/my/assistance?key=${encodeURIComponent(wish.key)}`);
    const name = wish.helper;
    own.onopen = () => {
      document.documentElement.classList.add("shared");
      box = make("div", { id: "help-mark", role: "status" },
        make("span", {}, wish.helps ? say("helper_helps", { name }) : say("helper_sees", { name })),
        make("button", { type: "button", id: "help-end", click: end }, say("end_help")));
      document.body.append(box);
      void send(own, "");
    };
    own.onmessage = (event) => take(JSON.parse(event.data));
    own.onclose = () => {
      if (socket === own) end();
    };
  }

  /** The desktop as it is now, if it has changed since. @param {WebSocket} own @param {string} before */
  async function send(own, before) {
    if (socket !== own || own.readyState !== WebSocket.OPEN) return;
    let seen = before;
    const canvas = to.canvas();
    if (canvas && canvas.width > 1 && own.bufferedAmount === 0) {
      const picture = await pictureOf(canvas, 0.8) ?? await pictureOf(canvas, 0.4);
      if (picture) {
        const sum = await crypto.subtle.digest("SHA-256", await picture.arrayBuffer());
        seen = String(new Uint32Array(sum));
        if (seen !== before && own.readyState === WebSocket.OPEN) own.send(picture);
      }
    }
    timer = setTimeout(() => void send(own, seen), EVERY_MS);
  }

  /** @param {any} said */
  function take(said) {
    const canvas = to.canvas();
    if (said.type === "ended") end();
    else if (said.type === "key") to.key(said.code, said.down);
    else if (said.type === "pointer" && canvas) point(canvas, said);
  }

  /** As the user's own pointer would be. @param {HTMLCanvasElement} canvas @param {{x: number, y: number, buttons: number}} at */
  function point(canvas, at) {
    const place = canvas.getBoundingClientRect();
    const facts = {
      bubbles: true, cancelable: true, view: window, buttons: at.buttons,
      clientX: place.left + at.x * place.width / canvas.width, clientY: place.top + at.y * place.height / canvas.height,
    };
    canvas.dispatchEvent(new MouseEvent("mousemove", facts));
    for (const button of [0, 1, 2]) {
      const bit = [1, 4, 2][button];
      if ((at.buttons ^ buttons) & bit) canvas.dispatchEvent(new MouseEvent(at.buttons & bit ? "mousedown" : "mouseup", { ...facts, button }));
    }
    buttons = at.buttons & 7;
  }

  function end() {
    const before = socket;
    socket = null;
    clearTimeout(timer);
    before?.close();
    away();
  }
  return { ask, end };
}

/** @param {HTMLCanvasElement} canvas @param {number} quality @returns {Promise<Blob | null>} null if it is too large */
const pictureOf = (canvas, quality) => new Promise((done) => canvas.toBlob((blob) => done(blob && blob.size <= PICTURE_MAX ? blob : null), "image/webp", quality));
