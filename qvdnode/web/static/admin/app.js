// Starts the administration page.
import { render } from "preact";
import { call, onSignedOut } from "../api.js";
import { t } from "../core/words.js";
import { Unreachable } from "../core/problem.js";
import { html } from "../html.js";
import { language, startLanguage } from "../language.js";
import { Login, useLink } from "./login.js";
import { Shell } from "./shell.js";
import { arrive, go, me } from "./store.js";
import { Trouble } from "./trouble.js";

/** @param {{said: Error | null}} props */
function App({ said }) {
  const name = language.value; // drawn again in another language
  if (me.value) return html`<${Shell} key=${name} />`;
  if (said instanceof Unreachable) {
    return html`<main class="sign-in"><div class="card"><h1 class="brand">qvdnode</h1><${Trouble} error=${said} retry=${() => location.reload()} /></div></main>`;
  }
  return html`<${Login} key=${name} said=${said} />`;
}

/** Addresses of the page are followed without loading it again. @param {MouseEvent} event */
function follow(event) {
  const link = event.target instanceof Element ? event.target.closest("a") : null;
  const plain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
  if (!link || !plain || link.target || link.hasAttribute("download") || link.origin !== location.origin) return;
  if (link.getAttribute("href")?.startsWith("#")) {
    event.preventDefault();
    document.getElementById(link.hash.slice(1))?.focus();
  } else if (link.pathname.startsWith("/ui/")) {
    event.preventDefault();
    go(link.pathname + link.search);
    scrollTo(0, 0);
  }
}

await startLanguage();
addEventListener("popstate", arrive);
document.addEventListener("click", follow);
let trouble = await useLink();
if (!me.value) {
  try {
    me.value = await call("GET", "/session");
  } catch (/** @type {any} */ error) {
    me.value = null;
    if (error instanceof Unreachable) trouble = error;
  }
}
onSignedOut(() => { me.value = null; });
document.title = `${t("login.title")} · qvdnode`;
const root = document.getElementById("app");
if (root) render(html`<${App} said=${trouble} />`, root);
