// The web socket: what the console says, and what this page asks of it. It comes back by itself.

const FIRST_WAIT = 400; // ms before the first attempt to come back; doubles up to LONGEST
const LONGEST = 3000;

export class Link extends EventTarget {
  constructor() {
    super();
    this.open = false;
    this.wait = FIRST_WAIT;
    this.cameras = [];
    this.connect();
  }

  connect() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    this.socket = new WebSocket(`${scheme}://${location.host}/socket`);
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () => {
      this.open = true;
      this.wait = FIRST_WAIT;
      this.say({ type: "view", cameras: this.cameras });
      this.tell("open", null);
    };
    this.socket.onmessage = (event) => {
      if (typeof event.data === "string") this.hear(JSON.parse(event.data));
      else this.see(event.data);
    };
    this.socket.onclose = (event) => {
      if (this.open || event.reason) this.tell("closed", event.reason);
      this.open = false;
      setTimeout(() => this.connect(), this.wait);
      this.wait = Math.min(2 * this.wait, LONGEST);
    };
  }

  hear(message) {
    for (const [name, content] of Object.entries(message)) this.tell(name, content);
  }

  see(buffer) {
    const size = new DataView(buffer).getUint32(0, true);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, size)));
    let start = 4 + size;
    for (const picture of header.pictures) {
      picture.jpeg = new Uint8Array(buffer, start, picture.bytes);
      start += picture.bytes;
    }
    this.tell("pictures", header.pictures);
    this.say({ type: "seen", frame: header.frame });
  }

  tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  on(name, handler) {
    this.addEventListener(name, (event) => handler(event.detail));
  }

  // Returns whether it could be sent: what is not sent now is not sent later.
  say(message) {
    if (this.socket.readyState !== WebSocket.OPEN) return false;
    this.socket.send(JSON.stringify(message));
    return true;
  }

  view(cameras) {
    this.cameras = cameras;
    this.say({ type: "view", cameras });
  }
}

export async function ask(path, body) {
  const options = body === undefined ? {} : {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  };
  const response = await fetch(path, options);
  const answer = await response.json().catch(() => ({ error: `the console answered ${response.status}` }));
  if (!response.ok) throw new Error(answer.error || `the console answered ${response.status}`);
  return answer;
}
