// The WebSocket of one desktop: binary frames are RFB, text frames our control messages. noVNC gets an
// object that looks like a WebSocket which carries nothing but RFB.

export class Channel {
  /**
   * @param {string} url
   * @param {object} opening the first message
   * @param {{message: (said: any) => void, closed: () => void}} to
   */
  constructor(url, opening, to) {
    const socket = new WebSocket(url);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    /** What noVNC takes for its WebSocket. */
    this.rfb = {
      binaryType: "arraybuffer",
      protocol: "",
      /** @type {((event: any) => void) | null} */ onopen: null,
      /** @type {((event: any) => void) | null} */ onmessage: null,
      /** @type {((event: any) => void) | null} */ onclose: null,
      /** @type {((event: any) => void) | null} */ onerror: null,
      get readyState() { return socket.readyState; },
      /** @param {BufferSource} data */
      send(data) { if (socket.readyState === WebSocket.OPEN) socket.send(data); },
      close() { socket.close(); },
    };
    socket.onopen = (event) => {
      this.tell(opening);
      this.rfb.onopen?.(event);
    };
    socket.onmessage = (event) => {
      if (typeof event.data === "string") to.message(JSON.parse(event.data));
      else this.rfb.onmessage?.(event);
    };
    socket.onclose = (event) => {
      this.rfb.onclose?.(event);
      to.closed();
    };
  }

  /** @param {object} message */
  tell(message) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  close() {
    this.socket.close();
  }
}
