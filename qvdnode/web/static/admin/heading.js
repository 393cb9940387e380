// The heading of a view that was just reached.

/** Tell the heading to those who hear the page, by giving it the focus; and put it in the tab's title. */
export function arriveAtHeading() {
  const heading = document.querySelector("h1");
  document.title = heading ? `${heading.textContent} · qvdnode` : "qvdnode";
  if (!document.activeElement?.closest(".search, dialog")) heading?.focus();
}
