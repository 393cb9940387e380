// Logs in with an API token; a one-time link logs in by itself.
import { useState } from "preact/hooks";
import { call } from "../api.js";
import { addressOf } from "../core/address.js";
import { Unreachable } from "../core/problem.js";
import { t } from "../core/words.js";
import { html } from "../html.js";
import { LanguageChoice } from "./language_choice.js";
import { go, me, place } from "./store.js";
import { Trouble } from "./trouble.js";

/** @param {{said: Error | null}} props said: why the link did not log in */
export function Login({ said }) {
  const [error, setError] = useState(said);
  const [busy, setBusy] = useState(false);
  const submit = async (/** @type {any} */ event) => {
    event.preventDefault();
    const token = new FormData(event.target).get("token");
    setBusy(true);
    setError(null);
    try {
      me.value = await call("POST", "/session", { token });
      if (place.value.page === "login") go(addressOf(""), { replace: true });
    } catch (/** @type {any} */ problem) {
      setError(problem);
    }
    setBusy(false);
  };
  return html`<main class="sign-in"><form class="card" onSubmit=${submit}>
    <h1 class="brand"><img src=${new URL("../style/icon.svg", import.meta.url).href} alt="" />qvdnode</h1>
    <p class="muted">${t("login.help")}</p>
    <input class="visually-hidden" name="username" value="qvdnode" autocomplete="username" tabindex="-1" aria-hidden="true" readonly />
    <div class="field"><label for="token">${t("login.token")}</label>
      <input id="token" name="token" type="password" autocomplete="current-password" required autofocus /></div>
    <${Trouble} error=${error} />
    <button class="primary" disabled=${busy}>${t("login.enter")}</button>
    <details><summary>${t("login.no_token")}</summary><p>${t("login.no_token_help")} <code>qvd web link</code></p></details>
    <${LanguageChoice} /></form></main>`;
}

/**
 * Log in with the key of a one-time link, if the address has one. The key leaves the address at once.
 * @returns {Promise<Error | null>} why it did not work
 */
export async function useLink() {
  const key = location.hash.slice(1);
  if (place.value.page !== "login" || !key) return null;
  history.replaceState(null, "", addressOf("login"));
  try {
    me.value = await call("POST", "/session", { link: key });
    go(addressOf(""), { replace: true });
    return null;
  } catch (/** @type {any} */ problem) {
    // It did not get there: the key goes back, so that loading the page again tries it again.
    if (problem instanceof Unreachable) history.replaceState(null, "", `${addressOf("login")}#${key}`);
    return problem;
  }
}
