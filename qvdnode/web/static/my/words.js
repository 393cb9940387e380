// What users read, one table a language. A missing word is an error that tests/web finds.

import { ES } from "./words.es.js";

/** @type {Record<string, Record<string, string>>} */
export const WORDS = {
  en: {
    title: "My desktops",
    login: "User name", password: "Password", tenant: "Organisation (if you were given one)", log_in: "Log in",
    log_out: "Log out", logged_in_as: "Logged in as {name}", none: "You have no desktops yet. Ask your administrator for one.",
    open: "Open", start: "Start", stop: "Stop", restart: "Restart", application: "Application",
    state_running: "Running", state_starting: "Starting", state_stopped: "Stopped",
    blocked: "Offline for maintenance",
    native: "With the native client", copy: "Copy", copied: "Copied",
    native_help: "On a Linux machine with qvdnode's client, run:",
    sure_stop: "Stop “{name}”? Programs in it are closed, and work that is not saved is lost.",
    sure_restart: "Restart “{name}”? Programs in it are closed, and work that is not saved is lost.",
    busy_start: "Starting…", busy_stop: "Stopping…", busy_restart: "Restarting…",
    no_server: "The server cannot be reached. Check your network; this page tries again by itself.",
    opening: "Opening the desktop…", try_again: "Try again", to_list: "My desktops", open_here: "Open it here",
    reconnecting: "The connection was lost. Opening the desktop again…",
    end_taken_over: "The desktop was opened somewhere else.", end_lost: "The connection to the desktop was lost; it runs on.",
    end_stopping: "The server restarts; the desktop runs on.", wrong_login: "The user name or the password is wrong, or the account is blocked.",
    gave_up: "The desktop cannot be reached. Check your network and try again.",
    ctrl_alt_del: "Ctrl+Alt+Del", super_key: "Super key", full_screen: "Full screen", clipboard: "Clipboard",
    text_mode: "Type with the phone's keyboard or an input method", keyboard: "Keyboard layout", bar: "Menu of the desktop",
    clipboard_help: "Text to paste in the desktop, or what was copied there:", to_desktop: "Send to the desktop", close: "Close",
    copied_there: "Copied in the desktop. Click to have it here.", too_long: "A text of more than {kib} KiB cannot be pasted.",
    files: "Files", files_of: "Files of {name}", files_place: "Where you are", home: "Home", folder_above: "Up",
    upload: "Upload…", drop_here: "Drop files here to upload them to this folder.", show_hidden: "Hidden files",
    no_files: "Nothing here yet.", files_cut: "This folder has more than can be shown; use the desktop for the rest.",
    room_left: "{size} left in your home.", other_file: "A link or the like; open it in the desktop.",
    no_folders: "Folders cannot be uploaded; pack them into one file first.", waiting: "Waiting…",
    upload_waits: "The connection is bad; going on soon…", uploaded: "Done, {size}", upload_stopped: "Stopped",
    cancel_upload: "Stop or remove {name}", sure_replace: "Replace “{name}” in this folder?",
    helper_asks: "{name} of your administration asks to see your desktop.", helper_asks_help: "{name} of your administration asks to see your desktop and to use its keyboard and pointer.",
    allow: "Allow", refuse: "Refuse", helper_sees: "{name} sees your desktop.", helper_helps: "{name} sees and uses your desktop.", end_help: "End it",
    not_typed: "This text cannot be typed in the desktop: {reason}", typing_field: "Keyboard of the desktop",
  },
  es: ES,
};

/** The language of WORDS to use. @param {readonly string[]} wanted the browser's, best first */
export function choose(wanted) {
  return wanted.map((tag) => tag.split("-")[0]).find((base) => base in WORDS) ?? "en";
}

/** A text with its gaps filled. @param {string} language @param {string} key @param {Record<string, string | number>} [gaps] */
export function word(language, key, gaps = {}) {
  const text = WORDS[language][key];
  if (text === undefined) throw new Error(`no word for ${key}`);
  return text.replace(/\{(\w+)\}/g, (_, name) => String(gaps[name]));
}
