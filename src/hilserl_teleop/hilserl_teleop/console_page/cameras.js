// The cameras' pictures, and on a whole frame the region that the policy sees.

import { decode } from "./pictures.js";

const STALE = 2500; // ms without a new picture after which the one that is shown is called old

export class Cameras {
  constructor(link, openRegion) {
    this.link = link;
    this.regions = {};
    this.openRegion = openRegion;
    this.views = new Map();
    this.raw = false;
    this.known = [];
    this.folder = document.getElementById("views");
    this.tools = document.getElementById("camera-tools");
    this.note = document.getElementById("camera-note");
    document.addEventListener("visibilitychange", () => this.choose());
    setInterval(() => this.tellWhatIsOld(), 500);
    this.show([]);
  }

  // What cameras there are: {front: {policy: true, raw: false}, ...}, and what region of its frame
  // each one's node gives to the policy: {front: [x, y, width, height], ...}.
  said(cameras, regions) {
    this.regions = regions || {};
    const known = JSON.stringify(cameras || {});
    if (known === this.known) return;
    this.known = known;
    this.available = cameras || {};
    this.show(Object.keys(this.available).filter((name) => this.available[name].policy || this.available[name].raw));
  }

  show(names) {
    this.views.clear();
    this.folder.replaceChildren();
    this.tools.replaceChildren();
    for (const name of names) {
      const figure = document.createElement("figure");
      figure.className = "view";
      const canvas = document.createElement("canvas");
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", `camera ${name}`);
      const caption = document.createElement("figcaption");
      caption.textContent = `${name}: no picture yet`;
      figure.append(canvas, caption);
      this.folder.append(figure);
      this.views.set(name, { canvas, caption, frames: 0, newest: 0, at: 0, text: "" });
    }
    if (!names.length) {
      const words = document.createElement("p");
      words.className = "muted";
      words.textContent = "No camera publishes yet.";
      this.folder.append(words);
    }
    const whole = names.filter((name) => this.available[name].raw);
    if (whole.length) this.tools.append(this.rawButton(), ...whole.map((name) => this.regionButton(name)));
    this.choose();
  }

  keepsUp(does) {
    const text = does ? "" : "This page, or its network, takes pictures too slowly: some are left out.";
    if (this.note.textContent !== text) this.note.textContent = text;
  }

  // A camera that stands still looks like an arm that does.
  tellWhatIsOld() {
    if (document.hidden || document.querySelector("dialog[open]")) return; // none was asked for
    for (const view of this.views.values()) {
      if (!view.frames) continue;
      const age = performance.now() - view.at;
      const old = age > STALE;
      this.write(view, old ? `${view.text}, no new picture for ${Math.floor(age / 1000)} s` : view.text);
      if (view.canvas.classList.contains("old") !== old) view.canvas.classList.toggle("old", old);
    }
  }

  write(view, text) {
    if (view.caption.textContent !== text) view.caption.textContent = text;
  }

  rawButton() {
    const button = document.createElement("button");
    button.textContent = "Raw view";
    button.setAttribute("aria-pressed", String(this.raw));
    button.addEventListener("click", () => {
      this.raw = !this.raw;
      button.setAttribute("aria-pressed", String(this.raw));
      this.choose();
    });
    return button;
  }

  regionButton(name) {
    const button = document.createElement("button");
    button.textContent = `Region of ${name}`;
    button.addEventListener("click", () => this.openRegion(name, this.regions[name]));
    return button;
  }

  // Asks for the pictures that are shown; for none while nobody looks.
  choose() {
    if (document.querySelector("dialog[open]")) return; // it looks at one picture of its own
    for (const view of this.views.values()) view.at = performance.now();
    const wanted = document.hidden ? [] : [...this.views.keys()].map((name) => this.topic(name));
    this.link.view(wanted);
  }

  topic(name) {
    const { policy, raw } = this.available[name];
    return raw && (this.raw || !policy) ? `${name}/raw` : name;
  }

  // Draws all at once, when the last has been decoded.
  async draw(pictures) {
    const drawn = await Promise.all(pictures.map((picture) => this.decoded(picture)));
    for (const draw of drawn) draw?.();
  }

  // What draws a picture, unless a newer one has come meanwhile.
  async decoded(picture) {
    const [name, kind] = picture.camera.split("/");
    const view = this.views.get(name);
    if (!view) return null;
    const turn = ++view.newest;
    let decoded;
    try {
      decoded = await decode(picture.jpeg);
    } catch {
      view.caption.textContent = `${name}: a picture that cannot be read`;
      return null;
    }
    return () => {
      if (turn === view.newest) this.paint(view, picture, decoded, name, kind);
      decoded.image.close();
    };
  }

  paint(view, picture, { image, width, height }, name, kind) {
    const { canvas } = view;
    if (canvas.width !== width || canvas.height !== height) {
      Object.assign(canvas, { width, height });
      canvas.style.aspectRatio = `${width} / ${height}`;
    }
    const pen = canvas.getContext("2d");
    pen.drawImage(image, 0, 0);
    if (kind === "raw") this.frame(pen, this.regions[name], picture);
    view.frames += 1;
    canvas.frames = view.frames;
    if (view.frames === 1) canvas.dataset.shown = "";
    view.at = performance.now();
    view.text = `${name}${kind === "raw" ? ", raw" : ""} ${picture.width} × ${picture.height}`;
    this.write(view, view.text);
  }

  frame(pen, region, picture) {
    if (!region || !region[2]) return;
    const scale = pen.canvas.width / picture.width;
    pen.strokeStyle = "#ffb066";
    pen.lineWidth = Math.max(2, pen.canvas.width / 200);
    pen.strokeRect(...region.map((value) => value * scale));
  }
}
