// The farm at a glance: what needs a person, figures with the list behind each, plots.
import { useEffect, useState } from "preact/hooks";
import { call } from "../../api.js";
import { addressOf, withQuery } from "../../core/address.js";
import { number } from "../../core/format.js";
import { merged } from "../../core/series.js";
import { currentLanguage, t, tn } from "../../core/words.js";
import { html } from "../../html.js";
import { Chart } from "../chart.js";
import { useResource } from "../resource.js";
import { go, place } from "../store.js";
import { Trouble } from "../trouble.js";

const EVERY_MS = 5_000;
const RANGES = /** @type {Record<string, number>} */ ({ "30m": 1800, "6h": 21_600, "24h": 86_400 });

export function Dashboard() {
  const range = place.value.query.range in RANGES ? place.value.query.range : "30m";
  const { points, error } = useFigures(RANGES[range]);
  return html`<div class="stack"><h1 tabindex="-1">${t("dashboard")}</h1>
    <${Attention} /><${Tiles} />
    <div class="page-head"><h2>${t("figures")}</h2><div class="range" role="group" aria-label=${t("range_of_time")}>
      ${Object.keys(RANGES).map((name) => html`<button key=${name} type="button" aria-pressed=${String(name === range)}
        onClick=${() => go(addressOf("", "", { range: name }), { replace: true })}>${t(`range.${name}`)}</button>`)}</div></div>
    <p class="muted">${t("figures_help")}</p>
    <${Trouble} error=${error} />
    <div class="plots">${plots(points.at(-1)).map((plot) => html`<${Chart} key=${`${plot.title}-${range}`} ...${plot} points=${points} />`)}</div></div>`;
}

/** The plots of the dashboard. @param {any} last the newest point */
const plots = (last) => [
  { title: t("plot.desktops"), unit: "", to: addressOf("vms"), lines: [
    { path: "vms.running", label: t("state.running") }, { path: "vms.hibernated", label: t("state.hibernated") },
    { path: "queue", label: t("plot.queue") }, { path: "vms.failed", label: t("state.failed") }] },
  { title: t("plot.users"), unit: "", to: addressOf("sessions", "", { open: "true" }), lines: [{ path: "users", label: t("plot.connected") }] },
  { title: t("plot.cpu"), unit: "%", to: addressOf("nodes"), max: 100, lines: [{ path: "cpu_percent", label: t("plot.used") }] },
  { title: t("plot.memory"), unit: "GiB", divide: 1024, to: addressOf("nodes"), max: last && last.memory_total_mib / 1024, lines: [
    { path: "memory_used_mib", label: t("plot.used") }, { path: "memory_free_mib", label: t("plot.free") }] },
  { title: t("plot.starts"), unit: "", to: addressOf("vms", "", { state: "failed" }), lines: [
    { path: "starts", label: t("plot.started") }, { path: "failures", label: t("plot.failed") }] },
  { title: t("plot.logins"), unit: "ms", to: addressOf("sessions"), lines: [
    { path: "login_p50_ms", label: "p50" }, { path: "login_p99_ms", label: "p99" }] },
];

/** The figures of a span of time, the newest every five seconds. @param {number} span seconds */
function useFigures(span) {
  const [points, setPoints] = useState(/** @type {import("../../core/series.js").Point[]} */ ([]));
  const [error, setError] = useState(/** @type {Error | null} */ (null));
  useEffect(() => {
    let timer = 0;
    let gone = false;
    let since = 0;
    /** @type {import("../../core/series.js").Point[]} */
    let known = [];
    const read = async () => {
      try {
        const asked = since || Math.floor(Date.now() / 1000) - span;
        const answer = document.hidden ? null : await call("GET", withQuery("/figures", { since: asked }), undefined, { background: true });
        if (gone) return;
        if (answer) {
          known = merged(known, answer.points, span);
          since = Math.floor(known.at(-1)?.at ?? asked);
          setPoints(known);
          setError(null);
        }
      } catch (/** @type {any} */ problem) {
        if (!gone) setError(problem);
      }
      if (!gone) timer = setTimeout(read, EVERY_MS);
    };
    read();
    return () => { gone = true; clearTimeout(timer); };
  }, [span]);
  return { points, error };
}

const isOf = (/** @type {string} */ kind) => (/** @type {any} */ change) => change.kind === kind;

/** Figures of the whole farm; each leads to its list. */
function Tiles() {
  const all = useResource("/vms?limit=1", isOf("vm")).data;
  const running = useResource("/vms?limit=1&state=running", isOf("vm")).data;
  const failed = useResource("/vms?limit=1&state=failed", isOf("vm")).data;
  const open = useResource("/sessions?limit=1&open=true", isOf("session")).data;
  const people = useResource("/users?limit=1", isOf("user")).data;
  return html`<div class="tiles">
    <${Tile} label=${t("tile.running")} value=${running?.total} to=${addressOf("vms", "", { state: "running" })} />
    <${Tile} label=${t("tile.connected")} value=${open?.total} to=${addressOf("sessions", "", { open: "true" })} />
    <${Tile} label=${t("tile.failed")} value=${failed?.total} bad=${failed?.total > 0} to=${addressOf("vms", "", { state: "failed" })} />
    <${Tile} label=${t("tile.desktops")} value=${all?.total} to=${addressOf("vms")} />
    <${Tile} label=${t("tile.users")} value=${people?.total} to=${addressOf("users")} /></div>`;
}

/** @param {{label: string, value: number | undefined, to: string, bad?: boolean}} props */
const Tile = ({ label, value, to, bad }) => html`<a class=${bad ? "card tile bad" : "card tile"} href=${to}>
  <span class="value">${value === undefined ? "–" : number(value, currentLanguage())}</span><span class="label">${label}</span></a>`;

/** What needs a person; a quiet line if nothing does. */
function Attention() {
  const nodes = useResource("/nodes?limit=1000", isOf("node")).data;
  const here = useResource("/node", isOf("node")).data;
  const failed = useResource("/vms?limit=1&state=failed", isOf("vm")).data;
  const images = useResource("/images?limit=1", isOf("image")).data;
  const flavours = useResource("/flavours?limit=1", isOf("flavour")).data;
  if (!nodes || !here || !failed || !images || !flavours) return html`<p class="muted">${t("loading")}</p>`;
  const away = nodes.items.filter((/** @type {any} */ node) => !node.alive && !["left", "removed"].includes(node.state));
  const notices = [
    here.not_ready && { tone: "bad", text: t("attention.not_ready", { node: here.name, reason: here.not_ready }), to: addressOf("nodes") },
    ...away.map((/** @type {any} */ node) => ({ tone: "bad", text: t("attention.node_away", { node: node.name, reason: node.reason ?? "" }), to: addressOf("nodes", node.id) })),
    failed.items.length > 0 && { tone: "warn", text: tn("attention.failed", failed.total ?? 1), to: addressOf("vms", "", { state: "failed" }) },
    !images.items.length && { tone: "", text: t("attention.no_image"), to: addressOf("new", "images") },
    images.items.length > 0 && !flavours.items.length && { tone: "", text: t("attention.no_flavour"), to: addressOf("new", "flavours") },
  ].filter(Boolean);
  return html`<section class="stack" aria-label=${t("attention")}>${notices.length
    ? notices.map((/** @type {any} */ notice) => html`<p key=${notice.text} class=${`notice ${notice.tone}`}><span class="grow">${notice.text}</span><a href=${notice.to}>${t("see")}</a></p>`)
    : html`<p class="notice good">${t("attention.none")}</p>`}</section>`;
}
