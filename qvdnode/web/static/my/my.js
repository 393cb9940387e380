// The page of a user: log in, see one's desktops, open and start and stop them.
import { Refusal, ask, make, say } from "./dom.js";
import { filesDialog } from "./files.js";

const REFRESH_MS = 5000;
const SINCE_BUSY_MS = 1000;

const page = /** @type {HTMLElement} */ (document.getElementById("page"));
document.documentElement.lang = (await import("./dom.js")).language;
document.title = say("title");

/** @type {{id: number, name: string, tenant: string} | null} */
let user = null;
/** @type {Map<number, string>} What is being done to desktops, by their ids. */
const busy = new Map();
/** @type {Map<number, string>} Why the last action failed. */
const failures = new Map();
/** @type {any} */
let shown = null;
let timer = 0;

/** @param {string} [problem] */
function showLogin(problem = "") {
  clearTimeout(timer);
  shown = null;
  const kept = { login: localStorage.getItem("qvd-login") ?? "", tenant: localStorage.getItem("qvd-tenant") ?? "" };
  const message = make("p", { class: "problem", role: "alert" }, problem);
  const login = /** @type {HTMLInputElement} */ (make("input", { id: "login", name: "username", autocomplete: "username", required: true, autocapitalize: "off", spellcheck: "false", value: kept.login }));
  const password = /** @type {HTMLInputElement} */ (make("input", { id: "password", name: "password", type: "password", autocomplete: "current-password", required: true }));
  const tenant = /** @type {HTMLInputElement} */ (make("input", { id: "tenant", name: "tenant", autocomplete: "organization", autocapitalize: "off", spellcheck: "false", value: kept.tenant }));
  const button = /** @type {HTMLButtonElement} */ (make("button", { class: "main" }, say("log_in")));
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    message.textContent = "";
    button.disabled = true;
    try {
      user = await ask("POST", "/my/session", {
        login: login.value.trim(), password: password.value, ...(tenant.value.trim() && { tenant: tenant.value.trim() }),
      });
      localStorage.setItem("qvd-login", login.value.trim());
      localStorage.setItem("qvd-tenant", tenant.value.trim());
      if (!goBack()) await refresh();
    } catch (error) {
      const wrong = error instanceof Refusal && error.status === 401;
      message.textContent = wrong ? say("wrong_login") : error instanceof Error ? error.message : String(error);
      password.select();
    } finally {
      button.disabled = false;
    }
  };
  page.replaceChildren(
    make("form", { class: "login", submit },
      make("h1", {}, say("title")),
      message,
      make("label", { for: "login" }, say("login")), login,
      make("label", { for: "password" }, say("password")), password,
      make("label", { for: "tenant" }, say("tenant")), tenant,
      button));
  (kept.login ? password : login).focus();
}

/** To the desktop whose page sent the user here to log in. */
function goBack() {
  const wanted = new URLSearchParams(location.search).get("open");
  if (!wanted || !/^\d{1,10}$/.test(wanted)) return false;
  location.replace(`/my/desktop?id=${wanted}`);
  return true;
}

async function refresh(background = false) {
  clearTimeout(timer);
  let wait = REFRESH_MS;
  try {
    user ??= await ask("GET", "/my/session");
    const found = await ask("GET", "/my/desktops", undefined, { background });
    render(found, "");
    if (busy.size) wait = SINCE_BUSY_MS;
  } catch (error) {
    if (error instanceof Refusal && error.status === 401) {
      user = null;
      return showLogin();
    }
    render(shown, error instanceof Error ? error.message : String(error));
  }
  timer = setTimeout(() => document.hidden ? undefined : refresh(true), wait);
}

document.addEventListener("visibilitychange", () => document.hidden || !user || refresh(true));

/** @param {any} found @param {string} problem */
function render(found, problem) {
  const state = JSON.stringify([found, problem, [...busy], [...failures]]);
  if (state === page.dataset.state) return;
  // What is open stays open, and the focus where it is.
  const open = new Set([...page.querySelectorAll("details[open]")].map((one) => one.id));
  const focused = document.activeElement?.id;
  page.dataset.state = state;
  shown = found;
  const items = found?.items ?? [];
  page.replaceChildren(
    make("header", {},
      make("h1", {}, say("title")),
      make("span", { class: "who" }, say("logged_in_as", { name: user ? user.name : "" })),
      make("button", { id: "log-out", click: logOut }, say("log_out"))),
    make("p", { class: "problem", role: "alert" }, problem),
    found?.browser_refusal ? make("p", { class: "note" }, found.browser_refusal) : "",
    found && !items.length ? make("p", { class: "note" }, say("none")) : "",
    make("ul", { class: "desktops" }, ...items.map((/** @type {any} */ item) => card(item, found))));
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  if (focused) document.getElementById(focused)?.focus();
}

/** @param {any} item @param {any} found */
function card(item, found) {
  const doing = busy.get(item.id);
  const failure = failures.get(item.id);
  const state = item.blocked ? say("blocked") : doing ? say(`busy_${doing}`) : say(`state_${item.state}`);
  const runs = item.state === "running";
  const can = !item.blocked && !doing;
  return make("li", { class: `desktop ${item.blocked ? "blocked" : item.state}`, "data-id": item.id },
    make("div", { class: "name" }, make("h2", {}, item.name), make("span", { class: "state" }, state),
      item.kind === "application" ? make("span", { class: "kind" }, say("application")) : null),
    failure ? make("p", { class: "problem", role: "alert" }, failure) : null,
    make("div", { class: "actions" },
      can && !found.browser_refusal ? make("a", { id: `open-${item.id}`, class: "main", href: `/my/desktop?id=${item.id}` }, say("open")) : null,
      can && !runs ? make("button", { id: `start-${item.id}`, click: () => act(item, "start") }, say("start")) : null,
      can && runs && item.files !== "none" ? make("button", { id: `files-${item.id}`, click: () => filesOf(item).show() }, say("files")) : null,
      can && item.state !== "stopped" ? make("button", { id: `restart-${item.id}`, click: () => act(item, "restart") }, say("restart")) : null,
      can && item.state !== "stopped" ? make("button", { id: `stop-${item.id}`, click: () => act(item, "stop") }, say("stop")) : null),
    make("details", { id: `native-${item.id}` }, make("summary", {}, say("native")), native(item, found)));
}

/** @param {any} item @param {any} found */
function native(item, found) {
  const host = found.client_port === 8443 ? location.hostname : `${location.hostname}:${found.client_port}`;
  const login = user && user.tenant !== "default" ? `${user.name}@${user.tenant}` : user?.name ?? "";
  const line = `qvd connect ${quoted(host)} --user ${quoted(login)} --vm ${item.id}`;
  const button = make("button", { id: `copy-${item.id}`, click: async () => {
    await navigator.clipboard.writeText(line);
    button.textContent = say("copied");
  } }, say("copy"));
  return make("div", { class: "native" }, make("p", {}, say("native_help")), make("code", {}, line), button);
}

/** @type {Map<number, ReturnType<typeof filesDialog>>} */
const dialogs = new Map();

/** @param {any} item */
function filesOf(item) {
  const dialog = dialogs.get(item.id) ?? filesDialog(item.id, item.name);
  dialogs.set(item.id, dialog);
  return dialog;
}

/** As a shell reads it. @param {string} text */
function quoted(text) {
  return /^[A-Za-z0-9_.@:/-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** @param {any} item @param {"start" | "stop" | "restart"} verb */
async function act(item, verb) {
  if (verb !== "start" && !confirm(say(`sure_${verb}`, { name: item.name }))) return;
  busy.set(item.id, verb);
  failures.delete(item.id);
  void refresh();
  try {
    await ask("POST", `/my/desktops/${item.id}/${verb}`);
  } catch (error) {
    failures.set(item.id, error instanceof Error ? error.message : String(error));
  }
  busy.delete(item.id);
  await refresh();
}

async function logOut() {
  try {
    await ask("DELETE", "/my/session");
  } catch (error) {
    if (!(error instanceof Refusal) || error.status !== 401) return render(shown, String(error));
  }
  user = null;
  showLogin();
}

try {
  user = await ask("GET", "/my/session");
  if (!goBack()) await refresh();
} catch (error) {
  if (error instanceof Refusal && error.status === 401) showLogin();
  else showLogin(error instanceof Error ? error.message : String(error));
}
