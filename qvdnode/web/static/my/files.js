// The files of a desktop's home: a list to walk through, downloads, and uploads by a button or by
// drag and drop. A dialog, for the list of desktops and for a desktop that is open.
import { Refusal, ask, language, make, say } from "./dom.js";
import { above, below, keyOf, sendParts, sizeText } from "./transfers.js";

const AGAIN = new Set([0, 408, 429, 502, 503, 504]);
const dates = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });

/**
 * @param {number | string} id of the desktop @param {string} name
 * @param {{closed?: () => void}} [to]
 */
export function filesDialog(id, name, to = {}) {
  const base = `/my/desktops/${id}`;
  let path = "";
  let hidden = false;
  /** @type {any} */
  let shown = null;
  const problem = make("p", { class: "problem", role: "alert" });
  const room = make("p", { class: "room" });
  const list = make("ul", { class: "entries" });
  const place = make("nav", { class: "place", "aria-label": say("files_place") });
  const transfers = make("ul", { class: "transfers", "aria-live": "polite" });
  const choice = /** @type {HTMLInputElement} */ (make("input", { type: "file", id: "files-choice", multiple: true, hidden: true, change: () => {
    void sendAll([...choice.files ?? []]);
    choice.value = "";
  } }));
  const upload = /** @type {HTMLButtonElement} */ (make("button", { type: "button", id: "files-upload", class: "main", click: () => choice.click() }, say("upload")));
  const showHidden = /** @type {HTMLInputElement} */ (make("input", { type: "checkbox", id: "files-hidden", change: () => { hidden = showHidden.checked; render(); } }));
  const close = make("button", { type: "button", id: "files-close", click: () => dialog.close() }, say("close"));
  const hint = make("p", { class: "room" }, say("drop_here"));
  const dialog = /** @type {HTMLDialogElement} */ (make("dialog", {
    class: "files", "aria-label": say("files_of", { name }), close: () => to.closed?.(),
    dragover: (/** @type {DragEvent} */ event) => { event.preventDefault(); dialog.classList.add("over"); },
    dragleave: () => dialog.classList.remove("over"),
    drop,
  }, make("header", {}, make("h2", {}, say("files_of", { name })), close), place, problem, list, hint, room,
    make("div", { class: "actions" }, upload, choice, make("label", {}, showHidden, say("show_hidden"))), transfers));

  async function load() {
    problem.textContent = "";
    try {
      shown = await ask("GET", `${base}/files?path=${encodeURIComponent(path)}`);
    } catch (error) {
      problem.textContent = textOf(error);
      if (error instanceof Refusal && error.status === 404 && path) go("");
      return;
    }
    render();
  }

  /** @param {string} where */
  function go(where) {
    path = where;
    void load();
  }

  function render() {
    if (!shown) return;
    const steps = path ? path.split("/") : [];
    place.replaceChildren(...[["", say("home")], ...steps.map((step, at) => [steps.slice(0, at + 1).join("/"), step])].flatMap(([where, text], at) => [
      at ? " / " : "",
      where === path ? make("span", { "aria-current": "page" }, text) : make("button", { type: "button", class: "link", click: () => go(where) }, text),
    ]));
    const items = shown.items.filter((/** @type {any} */ item) => hidden || !item.name.startsWith("."));
    list.replaceChildren(
      ...(path ? [make("li", {}, make("button", { type: "button", class: "link", click: () => go(above(path)) }, say("folder_above")))] : []),
      ...items.map(row));
    if (!items.length && !path) list.append(make("li", { class: "room" }, say("no_files")));
    if (shown.is_cut) list.append(make("li", { class: "room" }, say("files_cut")));
    room.textContent = say("room_left", { size: sizeText(shown.free_bytes, language) });
    upload.hidden = hint.hidden = !shown.may_upload;
  }

  /** @param {any} item */
  function row(item) {
    const where = below(path, item.name);
    const name = item.kind === "folder" ? make("button", { type: "button", class: "link", click: () => go(where) }, `${item.name}/`)
      : item.kind === "file" && shown.may_download ? make("a", { href: `${base}/file?path=${encodeURIComponent(where)}`, download: item.name }, item.name)
        : make("span", { title: item.kind === "other" ? say("other_file") : "" }, item.name);
    return make("li", { "data-name": item.name }, name,
      make("span", { class: "size" }, item.kind === "file" ? sizeText(item.size_bytes, language) : ""),
      make("time", { datetime: item.modified_at }, dates.format(new Date(item.modified_at))));
  }

  /** @param {DragEvent} event */
  function drop(event) {
    event.preventDefault();
    dialog.classList.remove("over");
    void take(event.dataTransfer);
  }

  /** What was dropped, here or on the desktop. @param {DataTransfer | null} data */
  async function take(data) {
    const entries = [...data?.items ?? []].filter((item) => item.kind === "file");
    const folders = entries.some((item) => item.webkitGetAsEntry?.()?.isDirectory);
    const files = entries.filter((item) => !item.webkitGetAsEntry?.()?.isDirectory).map((item) => item.getAsFile());
    if (folders) problem.textContent = say("no_folders");
    await sendAll(files.filter((file) => file !== null));
  }

  /** @param {File[]} files */
  async function sendAll(files) {
    if (!shown) await load();
    const known = new Set(shown?.items.map((/** @type {any} */ item) => item.name));
    const jobs = files.map((file) => job(file, path, known.has(file.name)));
    // One after the other: together they would not be faster, and the first would be there later.
    for (const run of jobs) await run();
    if (files.length) await load();
  }

  /** @param {File} file @param {string} folder @param {boolean} taken */
  function job(file, folder, taken) {
    const ending = new AbortController();
    const bar = make("progress", { max: Math.max(file.size, 1), value: 0, "aria-label": file.name });
    const state = make("span", { class: "size" }, say("waiting"));
    const stop = /** @type {HTMLButtonElement} */ (make("button", { type: "button", "aria-label": say("cancel_upload", { name: file.name }), click: () => ending.abort() }, "✕"));
    const line = make("li", { "data-upload": file.name }, make("span", {}, file.name), bar, state, stop);
    transfers.append(line);
    /** @param {string} outcome @param {string} text */
    const over = (outcome, text) => {
      line.dataset.outcome = outcome;
      state.textContent = text;
      bar.remove();
      stop.textContent = "✕";
      stop.onclick = () => line.remove();
    };
    return async () => {
      if (ending.signal.aborted) return over("stopped", say("upload_stopped"));
      if (taken && !confirm(say("sure_replace", { name: file.name }))) return over("stopped", say("upload_stopped"));
      const query = new URLSearchParams({
        folder, name: file.name, size: String(file.size), key: await keyOf(folder, file), replace: String(taken),
      });
      try {
        await sendParts(file.size, (begin, end) => {
          ending.signal.throwIfAborted();
          return ask("PUT", `${base}/upload?${query}&offset=${begin}`, file.slice(begin, end), { signal: ending.signal });
        }, {
          part: shown.part_bytes_max,
          progress: (received) => {
            bar.setAttribute("value", String(received));
            state.textContent = `${sizeText(received, language)} / ${sizeText(file.size, language)}`;
          },
          again: (error) => !ending.signal.aborted && error instanceof Refusal && AGAIN.has(error.status),
          wait: (ms) => new Promise((done) => { state.textContent = say("upload_waits"); setTimeout(done, ms); }),
        });
        over("done", say("uploaded", { size: sizeText(file.size, language) }));
      } catch (error) {
        if (!ending.signal.aborted) return over("failed", textOf(error));
        await ask("DELETE", `${base}/upload?${query}`).catch(() => {});
        over("stopped", say("upload_stopped"));
      }
    };
  }

  document.body.append(dialog);
  return {
    show() {
      if (!dialog.open) dialog.showModal();
      void load();
    },
    /** @param {DataTransfer | null} data */
    take(data) {
      if (!dialog.open) dialog.showModal();
      return take(data);
    },
  };
}

/** @param {unknown} error */
const textOf = (error) => error instanceof Error ? error.message : String(error);
