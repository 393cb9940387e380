// Starts the page that <html data-start> names. A network that changes in the middle (a cable, a VPN, a container)
// makes browsers give up what they load; then the page is loaded again, instead of staying empty.

const KEY = "qvd-boot";
const TRIES = 3;
const PAUSE_MS = 500;
const TEXTS = {
  en: ["The page could not be loaded whole.", "Try again"],
  es: ["La página no se ha podido cargar entera.", "Reintentar"],
};

async function boot() {
  try {
    await import(document.documentElement.dataset.start ?? "");
    sessionStorage.removeItem(KEY);
  } catch (error) {
    console.warn(error);
    const tries = Number(sessionStorage.getItem(KEY) ?? 0) + 1;
    sessionStorage.setItem(KEY, String(tries));
    if (tries < TRIES) setTimeout(() => location.reload(), PAUSE_MS * tries);
    else giveUp();
  }
}

function giveUp() {
  sessionStorage.removeItem(KEY);
  const [text, again] = navigator.language.startsWith("es") ? TEXTS.es : TEXTS.en;
  const notice = document.createElement("p");
  notice.className = "notice bad";
  notice.role = "alert";
  const button = document.createElement("button");
  button.textContent = again;
  button.onclick = () => location.reload();
  notice.append(text, button);
  (document.getElementById("app") ?? document.querySelector("main"))?.append(notice);
}

boot();
