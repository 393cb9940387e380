// The strip of tasks at the foot of the page: what runs, how far it is, how it ended.
import { t } from "../core/words.js";
import { html } from "../html.js";
import { dismiss, tasks } from "./store.js";

/** The strip; nothing while there are no tasks. */
export const TaskStrip = () => html`<aside class="tasks" aria-label=${t("tasks")}>${tasks.value.length > 0 && html`
  <ul>${tasks.value.map((task) => html`<${TaskLine} key=${task.key} task=${task} />`)}</ul>`}</aside>`;

/** @param {{task: import("../core/tasks.js").Task}} props */
const TaskLine = ({ task }) => html`<li class=${task.state}>
  <span>${task.link ? html`<a href=${task.link}>${task.title}</a>` : task.title}</span>
  <span class="note">${task.state === "running" && html`<progress aria-label=${task.title} ...${
    typeof task.share === "number" ? { value: task.share, max: 1 } : {}} />`} ${task.note}</span>
  <span class="buttons">
    ${task.stop && html`<button type="button" onClick=${task.stop}>${t("stop_task")}</button>`}
    ${task.undo && html`<button type="button" onClick=${() => { dismiss(task.key); task.undo?.(); }}>${t("undo")}</button>`}
    ${task.state !== "running" && html`<button type="button" class="plain" aria-label=${t("close_what", { what: task.title })} onClick=${() => dismiss(task.key)}>${t("close")}</button>`}
  </span></li>`;
