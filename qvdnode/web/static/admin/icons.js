// Line icons, drawn on a grid of 20. They repeat what the text beside them says.
import { html } from "../html.js";

const PATHS = {
  dashboard: "M3 3h6v8H3zM11 3h6v4h-6zM11 9h6v8h-6zM3 13h6v4H3z",
  vms: "M2.5 4h15v9.5h-15zM7 17h6M10 13.5V17",
  sessions: "M3 6h11M11 3l3 3-3 3M17 14H6M9 11l-3 3 3 3",
  users: "M10 10a3.2 3.2 0 1 0 0-6.4 3.2 3.2 0 0 0 0 6.4zM3.5 17c.6-3.4 3-5 6.5-5s5.900 1.600 6.500 5",
  tenants: "M4 17V4h7v13M11 8h5v9M2 17h16M6.500 7.500h2M6.500 11h2",
  flavours: "M3 6h8M15 6h2M3 14h2M9 14h8M13 4v4M7 12v4",
  images: "M10 2.500 17 6v8l-7 3.500L3 14V6zM3 6l7 3.500L17 6M10 9.500v8",
  nodes: "M3 3.500h14v5H3zM3 11.500h14v5H3zM6 6h.01M6 14h.01",
  tokens: "M12.500 11a4 4 0 1 0-3.700-2.500L3 14.300V17h2.700v-2H8v-2.300l1-.900a4 4 0 0 0 3.500-.8zM13.500 6.500h.01",
  audit: "M5 2.500h7l3.500 3.500v11.500H5zM8 9h5M8 12h5M8 15h3",
  search: "M9 14.500a5.500 5.500 0 1 0 0-11 5.500 5.500 0 0 0 0 11zM13 13l4 4",
  menu: "M3 5.500h14M3 10h14M3 14.500h14",
};

/** @param {{name: keyof typeof PATHS}} props */
export const Icon = ({ name }) => html`<svg class="icon" viewBox="0 0 20 20" aria-hidden="true" focusable="false">
  <path d=${PATHS[name]} /></svg>`;
