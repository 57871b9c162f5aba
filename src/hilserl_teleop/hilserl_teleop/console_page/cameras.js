// The cameras' pictures, and on a raw one the frame of what the policy sees.

import { decode } from "./pictures.js";

export class Cameras {
  constructor(link, setup, openRegion) {
    this.link = link;
    this.regions = setup.regions;
    this.openRegion = openRegion;
    this.views = new Map();
    this.raw = false;
    this.known = [];
    this.folder = document.getElementById("views");
    this.tools = document.getElementById("camera-tools");
    document.addEventListener("visibilitychange", () => this.choose());
    this.show([]);
  }

  // What cameras there are: {front: {policy: true, raw: false}, ...}.
  said(cameras) {
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
      this.views.set(name, { canvas, caption, frames: 0, newest: 0 });
    }
    if (!names.length) {
      const words = document.createElement("p");
      words.className = "muted";
      words.textContent = "No camera publishes yet.";
      this.folder.append(words);
    }
    if (names.some((name) => this.available[name].raw)) this.tools.append(this.rawButton());
    for (const name of names) this.tools.append(this.regionButton(name));
    this.choose();
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
    button.addEventListener("click", () => this.openRegion(name, this.available[name].raw));
    return button;
  }

  // Asks for the pictures that are shown; for none while nobody looks.
  choose() {
    const wanted = document.hidden ? [] : [...this.views.keys()].map((name) => this.topic(name));
    this.link.view(wanted);
  }

  topic(name) {
    const { policy, raw } = this.available[name];
    return raw && (this.raw || !policy) ? `${name}/raw` : name;
  }

  async draw(pictures) {
    for (const picture of pictures) {
      const [name, kind] = picture.camera.split("/");
      const view = this.views.get(name);
      if (!view) continue;
      const turn = ++view.newest;
      let decoded;
      try {
        decoded = await decode(picture.jpeg);
      } catch {
        view.caption.textContent = `${name}: a picture that cannot be read`;
        continue;
      }
      const { image, width, height } = decoded;
      if (turn !== view.newest) { image.close(); continue; }
      const { canvas } = view;
      if (canvas.width !== width || canvas.height !== height) {
        Object.assign(canvas, { width, height });
        canvas.style.aspectRatio = `${width} / ${height}`;
      }
      const pen = canvas.getContext("2d");
      pen.drawImage(image, 0, 0);
      image.close();
      if (kind === "raw") this.frame(pen, this.regions[name], picture);
      view.frames += 1;
      canvas.frames = view.frames;
      if (view.frames === 1) canvas.dataset.shown = "";
      const text = `${name}${kind === "raw" ? ", raw" : ""} ${picture.width} × ${picture.height}`;
      if (view.caption.textContent !== text) view.caption.textContent = text;
    }
  }

  frame(pen, region, picture) {
    if (!region || !region[2]) return;
    const scale = pen.canvas.width / picture.width;
    pen.strokeStyle = "#ffb066";
    pen.lineWidth = Math.max(2, pen.canvas.width / 200);
    pen.strokeRect(...region.map((value) => value * scale));
  }
}
