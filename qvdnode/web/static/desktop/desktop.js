// One desktop in the browser: gets a ticket, opens the WebSocket, shows what noVNC draws, and opens the
// desktop again when the connection breaks.
import { Refusal, ask, language, make, say } from "../my/dom.js";
import { filesDialog } from "../my/files.js";
import RFB from "../vendor/novnc.mjs";
import { assistance } from "./assistance.js";
import { fillBar } from "./bar.js";
import { Channel } from "./channel.js";
import { TEXT_BYTES_MAX, shareClipboard } from "./clipboard.js";
import { takeKeyboard } from "./keyboard.js";
import { LAYOUTS, layoutOfKeys, layoutOfLanguage } from "./layouts.js";

const AGAIN_MS = [0, 500, 1000, 2000, 4000, 8000, 8000, 8000];
const TYPED_MAX = 4000;
const QUALITY = 7;
const COMPRESSION = 1;

// Chromium only.
const keyboardOfSystem = /** @type {any} */ (navigator).keyboard;
const id = new URLSearchParams(location.search).get("id") ?? "";
const screen = /** @type {HTMLElement} */ (document.getElementById("screen"));
const field = /** @type {HTMLTextAreaElement} */ (document.getElementById("field"));
const curtain = /** @type {HTMLElement} */ (document.getElementById("curtain"));
const bar = /** @type {HTMLElement} */ (document.getElementById("bar"));
document.documentElement.lang = language;
field.setAttribute("aria-label", say("typing_field"));

/** @type {{rfb: any, channel: Channel, keyboard: any, clipboard: any} | null} */
let open = null;
let attempts = 0;
let timer = 0;
let textMode = matchMedia("(pointer: coarse) and (hover: none)").matches;
let layout = localStorage.getItem("qvd-keyboard") ?? "";
/** @type {any} */
let menu = null;

const helpers = assistance({
  canvas: () => screen.querySelector("canvas"),
  key: (code, down) => open?.rfb.sendKey(0, code, down),
  refuse: (key) => open?.channel.tell({ type: "refuse", key }),
  focus: () => open?.keyboard.focus(),
});

/** @param {string} sentence @param {...Node} actions */
function cover(sentence, ...actions) {
  curtain.hidden = false;
  curtain.replaceChildren(make("div", {}, make("p", {}, sentence), ...actions));
}

const again = (/** @type {string} */ label) => make("button", { type: "button", class: "main", id: "again", click: () => { attempts = 0; void start(say("opening")); } }, label);
const toList = () => make("a", { href: "/my/" }, say("to_list"));

/** @param {string} sentence */
async function start(sentence) {
  clearTimeout(timer);
  close();
  cover(sentence);
  let ticket;
  try {
    ({ ticket } = await ask("POST", `/my/desktops/${id}/ticket`));
  } catch (error) {
    const status = error instanceof Refusal ? error.status : -1;
    if (status === 401) location.replace(`/my/?open=${id}`);
    else if (status === 0 || status === 503) lost(error instanceof Error ? error.message : "");
    else cover(error instanceof Error ? error.message : String(error), again(say("try_again")), toList());
    return;
  }
  show(ticket);
}

/** @param {string} ticket */
function show(ticket) {
  let ended = false;
  const size = screen.getBoundingClientRect();
  const channel = new Channel(`wss://${location.host}/my/screen`, {
    type: "open", ticket, width: Math.max(1, Math.floor(size.width)), height: Math.max(1, Math.floor(size.height)),
    keyboard: layout, timezone: Intl.DateTimeFormat().resolvedOptions().timeZone || undefined,
  }, {
    message: (said) => {
      switch (said.type) {
        case "progress":
          cover(said.sentence);
          break;
        case "shown":
          attempts = 0;
          curtain.hidden = true;
          document.documentElement.dataset.shown = String(performance.now());
          here.keyboard.focus();
          break;
        case "assistance":
          helpers.ask(said);
          break;
        case "typed":
          if (!said.done) menu.notice(say("not_typed", { reason: said.sentence }));
          break;
        case "ended":
          ended = true;
          over(said);
          break;
      }
    },
    closed: () => {
      if (!ended && open === here) lost("");
    },
  });
  const rfb = new RFB(screen, channel.rfb, { shared: true });
  rfb.resizeSession = true;
  rfb.qualityLevel = QUALITY;
  rfb.compressionLevel = COMPRESSION;
  rfb.focusOnClick = !textMode;
  rfb.background = "transparent";
  const type = (/** @type {string} */ text) => {
    for (let at = 0; at < text.length; at += TYPED_MAX) channel.tell({ type: "text", text: text.slice(at, at + TYPED_MAX) });
  };
  const clipboard = shareClipboard(rfb, {
    tooLong: () => menu.notice(say("too_long", { kib: TEXT_BYTES_MAX / 1024 })),
    waiting: (text) => menu.notice(say("copied_there"), () => navigator.clipboard.writeText(text)),
  });
  const keyboard = takeKeyboard(rfb, screen, field, { type, paste: (data) => clipboard.send(data?.getData("text/plain")) });
  keyboard.setTextMode(textMode);
  rfb.addEventListener("clipboard", (/** @type {any} */ event) => clipboard.received(event.detail.text));
  rfb.addEventListener("desktopname", () => {});
  const here = { rfb, channel, keyboard, clipboard };
  open = here;
}

// In the user's language, where the reason is one that every user meets.
const ENDINGS = new Set(["taken_over", "lost", "stopping"]);

/** @param {{code: string, sentence: string}} said */
function sentenceOf(said) {
  return ENDINGS.has(said.code) ? say(`end_${said.code}`) : said.sentence;
}

/** The node has said why this session is over. @param {{code: string, sentence: string, again: boolean}} said */
function over(said) {
  if (said.again) {
    lost(sentenceOf(said));
    return;
  }
  close();
  document.documentElement.dataset.ended = said.code;
  menu.close();
  cover(sentenceOf(said), again(say(said.code === "taken_over" ? "open_here" : "try_again")), toList());
}

/** Try again by itself, later each time. @param {string} sentence */
function lost(sentence) {
  close();
  if (attempts >= AGAIN_MS.length) {
    cover(sentence || say("gave_up"), again(say("try_again")), toList());
    return;
  }
  const wait = AGAIN_MS[attempts++];
  cover(sentence || say("reconnecting"), toList());
  clearTimeout(timer);
  timer = setTimeout(() => start(sentence || say("reconnecting")), wait);
}

function close() {
  helpers.end();
  const before = open;
  open = null;
  before?.keyboard.stop();
  before?.channel.close();
  before?.rfb.disconnect();
  delete document.documentElement.dataset.shown;
}

async function guessLayout() {
  if (layout in LAYOUTS) return;
  // Chromium only, and it never answers in a page that is not in front.
  const map = await Promise.race([
    keyboardOfSystem?.getLayoutMap().catch(() => null),
    new Promise((done) => setTimeout(done, 300, null)),
  ]);
  layout = (map && layoutOfKeys((code) => map.get(code))) ?? layoutOfLanguage(navigator.language);
}

async function fullScreen() {
  if (document.fullscreenElement) {
    await document.exitFullscreen();
    return;
  }
  await document.documentElement.requestFullscreen();
  // Alt+Tab, Ctrl+W and the like reach the desktop then; a long Esc leaves.
  await keyboardOfSystem?.lock?.().catch(() => {});
  open?.keyboard.focus();
}

// Files that are dropped on the desktop go to the folder that the panel shows.
const files = filesDialog(id, "", { closed: () => open?.keyboard.focus() });
screen.addEventListener("dragover", (event) => event.preventDefault());
screen.addEventListener("drop", (event) => {
  event.preventDefault();
  void files.take(event.dataTransfer);
});

addEventListener("online", () => open || curtain.hidden || start(say("reconnecting")));
addEventListener("pagehide", close);

if (!/^\d{1,10}$/.test(id)) {
  location.replace("/my/");
} else {
  await guessLayout();
  menu = fillBar(bar, {
    layout,
    chord: (codes) => open?.keyboard.chord(codes),
    textMode: (on) => { textMode = on; open?.keyboard.setTextMode(on); if (open) open.rfb.focusOnClick = !on; },
    fullScreen,
    clipboard: () => open?.clipboard.text ?? "",
    paste: (text) => open?.clipboard.send(text),
    setLayout: (chosen) => { layout = chosen; localStorage.setItem("qvd-keyboard", chosen); attempts = 0; void start(say("opening")); },
    focus: () => open?.keyboard.focus(),
    files: files.show,
  });
  menu.showTextMode(textMode);
  void start(say("opening"));
}
