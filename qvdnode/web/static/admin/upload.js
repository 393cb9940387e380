// Sends an image's tar to the node; tells how much went over.
import { problemOf } from "../api.js";
import { LineReader } from "../core/import_lines.js";
import { Unreachable } from "../core/problem.js";

/**
 * @param {string} url
 * @param {File} file
 * @param {(sent: number) => void} onProgress bytes that went over so far
 * @returns {{done: Promise<{version: number}>, stop: () => void}}
 */
export function upload(url, file, onProgress) {
  const request = new XMLHttpRequest();
  const lines = new LineReader();
  let read = 0;
  /** @type {import("../core/import_lines.js").ImportLine} */
  let last = {};
  const take = () => {
    last = lines.take(request.responseText.slice(read)).at(-1) ?? last;
    read = request.responseText.length;
  };
  const done = new Promise((/** @type {(version: {version: number}) => void} */ resolve, reject) => {
    request.upload.onprogress = (event) => onProgress(event.loaded);
    request.onprogress = take;
    request.onerror = () => reject(new Unreachable());
    request.onabort = () => reject(new DOMException("stopped", "AbortError"));
    request.onload = () => {
      take();
      if (last.version) resolve(last.version);
      else reject(problemOf(last.problem?.status ?? request.status, last.problem ?? parsed(request.responseText)));
    };
  });
  request.open("POST", url);
  request.setRequestHeader("Content-Type", "application/x-tar");
  request.send(file);
  return { done, stop: () => request.abort() };
}

/** @param {string} text */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}
