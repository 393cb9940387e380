// A plot over time that zooms by dragging, with its figures as text and as a table.
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { dateTime, number } from "../core/format.js";
import { column, sampled, summary, valueAt } from "../core/series.js";
import { currentLanguage, t } from "../core/words.js";
import { html } from "../html.js";

const HEIGHT = 180;
const ROWS = 12;
const COLOURS = ["--accent", "--warn", "--good", "--bad"];
const CLASSES = ["", "second", "third", "bad"];

/**
 * @typedef {object} Line
 * @property {string} path of the figure in a point, such as `vms.running`
 * @property {string} label
 *
 * @param {{title: string, unit: string, lines: Line[], points: import("../core/series.js").Point[], max?: number,
 *   to?: string, divide?: number}} props divide: what figures are divided by to be of the unit
 */
export function Chart({ title, unit, lines, points: given, max, to, divide = 1 }) {
  const points = divide === 1 ? given : given.map((point) => divided(point, lines, divide));
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const plot = useRef(/** @type {any} */ (null));
  const latest = useRef({ points, max });
  latest.current = { points, max };
  useEffect(() => {
    const place = /** @type {HTMLElement} */ (box.current);
    const draw = () => {
      plot.current?.destroy();
      plot.current = new uPlot(options(place.clientWidth, lines, () => latest.current.max), [[]], place);
      plot.current.setData(dataOf(lines, latest.current.points));
    };
    draw();
    const resize = new ResizeObserver(() => plot.current?.setSize({ width: place.clientWidth, height: HEIGHT }));
    resize.observe(place);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", draw);
    return () => {
      resize.disconnect();
      dark.removeEventListener("change", draw);
      plot.current?.destroy();
      plot.current = null;
    };
  }, []);
  useEffect(() => refresh(plot.current, dataOf(lines, points)), [given]);
  return html`<figure class="card plot">
    <figcaption><h3>${to ? html`<a href=${to}>${title}</a>` : title}</h3>
      <span class="legend">${lines.map((line, index) => html`<${Said} key=${line.path} line=${line} unit=${unit} points=${points} tone=${CLASSES[index]} />`)}</span></figcaption>
    <div class="canvas" ref=${box} aria-hidden="true"></div>
    <details><summary>${t("as_table")}<span class="visually-hidden">: ${title}</span></summary><${Figures} title=${title} lines=${lines} points=${points} /></details></figure>`;
}

/**
 * Show newer data; what the reader zoomed into stays in view.
 * @param {any} plot
 * @param {(number | null)[][]} data
 */
function refresh(plot, data) {
  if (!plot) return;
  const { min, max } = plot.scales.x;
  const moments = plot.data[0];
  const zoomed = moments.length > 1 && (min > moments[0] || max < moments.at(-1));
  plot.setData(data, !zoomed);
  if (zoomed) plot.setScale("x", { min, max });
}

/** @param {number | null} value */
const writtenFigure = (value) => (value === null ? "–" : number(value, currentLanguage()));

/** The newest figure, and the least and most. @param {any} props */
function Said({ line, unit, points, tone }) {
  const said = summary(column(points, line.path));
  return html`<span class=${tone}>${line.label} <strong>${said ? writtenFigure(said.last) : "–"}${unit && ` ${unit}`}</strong>
    ${said && html`<span class="visually-hidden">${t("least_most", { least: writtenFigure(said.least), most: writtenFigure(said.most) })}</span>`}</span>`;
}

/** @param {any} props */
const Figures = ({ title, lines, points }) => html`<div class="scroll" tabindex="0" role="region" aria-label=${title}><table>
  <thead><tr><th scope="col">${t("field.at")}</th>${lines.map((/** @type {Line} */ line) => html`<th scope="col" class="number" key=${line.path}>${line.label}</th>`)}</tr></thead>
  <tbody>${sampled(points, ROWS).map((point) => html`<tr key=${point.at}><th scope="row">${dateTime(new Date(point.at * 1000).toISOString(), currentLanguage())}</th>
    ${lines.map((/** @type {Line} */ line) => html`<td class="number" key=${line.path}>${writtenFigure(valueAt(point, line.path))}</td>`)}</tr>`)}</tbody></table></div>`;

/**
 * @param {import("../core/series.js").Point} point
 * @param {Line[]} lines
 * @param {number} by
 */
const divided = (point, lines, by) => ({ ...point, ...Object.fromEntries(lines.map(({ path }) => {
  const value = valueAt(point, path);
  return [path, value === null ? null : value / by];
})) });

/** @param {Line[]} lines @param {import("../core/series.js").Point[]} points */
const dataOf = (lines, points) => [column(points, "at"), ...lines.map((line) => column(points, line.path))];

const hours = (/** @type {any} */ _plot, /** @type {number[]} */ moments) => moments.map((moment) =>
  new Intl.DateTimeFormat(currentLanguage(), { hour: "2-digit", minute: "2-digit", hour12: false }).format(moment * 1000));
const figures = (/** @type {any} */ _plot, /** @type {number[]} */ values) => values.map(writtenFigure);

/**
 * @param {number} width
 * @param {Line[]} lines
 * @param {() => number | undefined} max
 * @returns {import("uplot").Options}
 */
function options(width, lines, max) {
  const style = getComputedStyle(document.documentElement);
  const colour = (/** @type {string} */ name) => style.getPropertyValue(name).trim();
  const axis = () => ({ stroke: colour("--muted"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 } });
  return {
    width, height: HEIGHT, legend: { show: false }, cursor: { drag: { x: true, y: false } },
    scales: { y: { range: (/** @type {any} */ _plot, /** @type {number} */ _least, /** @type {number} */ most) => [0, max() ?? Math.max(4, Math.ceil((most ?? 0) * 1.1))] } },
    axes: [{ ...axis(), values: hours, space: 70, size: 34 }, { ...axis(), size: 56, values: figures }],
    series: [{}, ...lines.map((line, index) => ({
      label: line.label, stroke: colour(COLOURS[index]), width: 2, points: { show: false },
      fill: lines.length === 1 ? colour("--accent-soft") : undefined,
    }))],
  };
}
