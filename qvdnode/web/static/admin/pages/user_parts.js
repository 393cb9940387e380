// What belongs to a user: desktops and sessions.
import { html } from "../../html.js";
import { RelatedSessions, RelatedVms } from "./related.js";

/** @param {{object: any}} props */
export const UserParts = ({ object }) => html`<${RelatedVms} query=${{ user_id: object.id }} />
  <${RelatedSessions} query=${{ user_id: object.id }} />`;
