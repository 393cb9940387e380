// One's own access: the sessions in browsers, a link for another device, the way out.
import { useState } from "preact/hooks";
import { call } from "../../api.js";
import { dateTime } from "../../core/format.js";
import { currentLanguage, t } from "../../core/words.js";
import { html } from "../../html.js";
import { Moment } from "../cell.js";
import { useResource } from "../resource.js";
import { CopyLine } from "../same_as.js";
import { me } from "../store.js";
import { Trouble } from "../trouble.js";

export function Access() {
  const { data, error, reload } = useResource("/web-sessions");
  const [link, setLink] = useState(/** @type {any} */ (null));
  const [trouble, setTrouble] = useState(/** @type {Error | null} */ (null));
  const attempt = (/** @type {() => Promise<void>} */ action) => action().then(() => setTrouble(null), setTrouble);
  const leave = async () => {
    await call("DELETE", "/session");
    me.value = null;
  };
  const end = async (/** @type {any} */ session) => {
    await call("DELETE", `/web-sessions/${session.id}`);
    if (session.here) me.value = null;
    else reload();
  };
  const makeLink = async () => setLink(await call("POST", "/session/links"));
  return html`<div class="stack">
    <div class="page-head"><h1 tabindex="-1">${t("access.title")}</h1><div class="buttons"><button type="button" onClick=${() => attempt(leave)}>${t("access.leave")}</button></div></div>
    <p>${t("access.as", { name: me.value.name })} ${me.value.ends_at && html`<span class="muted">${t("access.until", { time: dateTime(me.value.ends_at, currentLanguage()) })}</span>`}</p>
    <${Trouble} error=${trouble ?? error} retry=${reload} />
    <section class="card stack"><h2>${t("access.link")}</h2><p>${t("access.link_help")}</p>
      ${link ? html`<div class="same-as"><${CopyLine} text=${link.url} label=${t("access.link")} /></div>`
        : html`<div class="buttons"><button type="button" onClick=${() => attempt(makeLink)}>${t("access.make_link")}</button></div>`}</section>
    <section class="stack"><h2>${t("access.sessions")}</h2>
      ${data && html`<div class="scroll" tabindex="0" role="region" aria-label=${t("access.sessions")}><table>
        <thead><tr><th scope="col">${t("field.source")}</th><th scope="col">${t("field.agent")}</th><th scope="col">${t("field.created_at")}</th>
          <th scope="col">${t("field.seen_at")}</th><th scope="col" class="actions"><span class="visually-hidden">${t("actions")}</span></th></tr></thead>
        <tbody>${data.items.map((/** @type {any} */ session) => html`<tr key=${session.id}><th scope="row"><code>${session.source}</code> ${session.here && html`<span class="badge accent">${t("access.here")}</span>`}</th>
          <td><span class="long" title=${session.agent}>${session.agent}</span></td><td><${Moment} at=${session.created_at} /></td><td><${Moment} at=${session.seen_at} /></td>
          <td class="actions"><button type="button" onClick=${() => attempt(() => end(session))}>${t("access.end")}<span class="visually-hidden"> ${session.source}</span></button></td></tr>`)}</tbody></table></div>`}</section></div>`;
}
