// The frame around every view: search, the way to all pages, the strip of tasks.
import { useEffect, useState } from "preact/hooks";
import { call } from "../api.js";
import { addressOf } from "../core/address.js";
import { KINDS } from "../core/kinds/index.js";
import { t } from "../core/words.js";
import { html } from "../html.js";
import { live } from "../live.js";
import { Question } from "./action_dialog.js";
import { followDesktops } from "./farm_tasks.js";
import { arriveAtHeading } from "./heading.js";
import { Icon } from "./icons.js";
import { LanguageChoice } from "./language_choice.js";
import { Lazy } from "./lazy.js";
import { Search } from "./search.js";
import { changed, connection, may, me, place, said } from "./store.js";
import { TaskStrip } from "./task_strip.js";

const VIEWS = {
  dashboard: () => import("./pages/dashboard.js").then((module) => module.Dashboard),
  access: () => import("./pages/access.js").then((module) => module.Access),
  create: () => import("./pages/create.js").then((module) => module.CreatePage),
  list: () => import("./pages/list.js").then((module) => module.ListPage),
  detail: () => import("./pages/detail.js").then((module) => module.DetailPage),
  importImage: () => import("./pages/import_image.js").then((module) => module.ImportImage),
};

const GROUPS = [
  { title: "group.desktops", pages: ["vms", "sessions", "flavours", "images"] },
  { title: "group.people", pages: ["users", "tenants"] },
  { title: "group.farm", pages: ["nodes", "tokens", "audit"] },
];

export function Shell() {
  const [menu, setMenu] = useState(false);
  const { page, id } = place.value;
  useEffect(() => {
    const stops = [
      live("/api/v1/events", (change) => (change.kind === "end" ? checkSession() : changed(change)), (state) => { connection.value = state; }),
      followDesktops(),
    ];
    return () => stops.forEach((stop) => stop());
  }, []);
  useEffect(() => {
    setMenu(false);
    arriveAtHeading();
  }, [page, id]);
  const groups = GROUPS.map(({ title, pages }) => ({ title, pages: pages.filter((name) => may("GET", KINDS[name].path)) }))
    .filter((group) => group.pages.length);
  return html`<div class="shell"><a class="skip" href="#main">${t("skip")}</a>
    <header class="top">
      <button type="button" class="menu-button" aria-expanded=${String(menu)} aria-controls="nav" aria-label=${t("menu")} onClick=${() => setMenu(!menu)}><${Icon} name="menu" /></button>
      <a class="brand" href=${addressOf("")}><img src=${new URL("../style/icon.svg", import.meta.url).href} alt="" />qvdnode</a>
      ${may("GET", "/search") && html`<${Search} />`}<span class="spacer"></span>
      ${connection.value === "polling" && html`<span class="badge warn" title=${t("polling_help")}>${t("polling")}</span>`}
      <a class="button" href=${addressOf("access")}>${me.value.name}</a></header>
    <nav id="nav" class=${menu ? "nav open" : "nav"} aria-label=${t("main_menu")}>
      ${may("GET", "/figures") && html`<ul><${Way} page="" icon="dashboard" text=${t("dashboard")} /></ul>`}
      ${groups.map((group) => html`<div key=${group.title}><h2>${t(group.title)}</h2><ul>${group.pages.map((name) =>
        html`<${Way} key=${name} page=${name} icon=${name} text=${t(`kinds.${KINDS[name].name}`)} />`)}</ul></div>`)}
      <${LanguageChoice} /></nav>
    <main class="main" id="main" tabindex="-1"><${View} key=${`${page}/${id}`} /></main>
    <${TaskStrip} /><${Question} /><div class="visually-hidden" role="status">${said.value}</div></div>`;
}

/** @param {{page: string, icon: any, text: string}} props */
const Way = ({ page, icon, text }) => html`<li><a href=${addressOf(page)} aria-current=${isWithin(page) ? "page" : undefined}><${Icon} name=${icon} />${text}</a></li>`;

/** @param {string} page */
const isWithin = (page) => place.value.page === page || (place.value.page === "new" && place.value.id === page);

function View() {
  const { page, id } = place.value;
  const lazy = (/** @type {() => Promise<any>} */ load, /** @type {any} */ props = {}) =>
    html`<${Lazy} load=${load} props=${props} onShown=${arriveAtHeading} />`;
  if (page === "" || page === "login") return may("GET", "/figures") ? lazy(VIEWS.dashboard) : lazy(VIEWS.list, { kind: KINDS.vms });
  if (page === "access") return lazy(VIEWS.access);
  if (page === "new" && id === "images") return lazy(VIEWS.importImage);
  if (page === "new" && KINDS[id]?.fields) return lazy(VIEWS.create, { kind: KINDS[id] });
  const kind = KINDS[page];
  if (!kind || (id && !kind.single)) return html`<div class="stack"><h1 tabindex="-1">${t("no_page")}</h1><p><a href=${addressOf("")}>${t("to_dashboard")}</a></p></div>`;
  return id ? lazy(VIEWS.detail, { kind, id }) : lazy(VIEWS.list, { kind });
}

/** The stream ended by the server's will: perhaps the session is over. */
const checkSession = () => { call("GET", "/session", undefined, { background: true }).catch(() => {}); };
