// The region of interest: a rectangle drawn on a camera's whole frame, saved in a parameter file.

import { ask } from "./link.js";
import { decode } from "./pictures.js";

const NAMES = ["x", "y", "width", "height"];
const WHOLE = [0, 0, 0, 0];
const WAITING = "Waiting for the camera's picture.";

export class Region {
  constructor(link) {
    this.link = link;
    this.dialog = document.getElementById("region");
    this.canvas = document.getElementById("region-canvas");
    this.note = document.getElementById("region-note");
    this.square = document.getElementById("region-square");
    this.inputs = Object.fromEntries(NAMES.map((name) => [name, this.dialog.querySelector(`[name=${name}]`)]));
    this.numbers = [0, 0, 0, 0];
    this.canvas.addEventListener("pointerdown", (event) => this.begin(event));
    this.canvas.addEventListener("pointermove", (event) => this.drag(event));
    for (const [index, name] of NAMES.entries()) {
      this.inputs[name].addEventListener("input", () => {
        this.numbers[index] = Math.max(0, Math.round(Number(this.inputs[name].value) || 0));
        this.paint();
      });
    }
    document.getElementById("region-save").addEventListener("click", () => this.save());
    document.getElementById("region-whole").addEventListener("click", () => this.choose(WHOLE));
    document.getElementById("region-close").addEventListener("click", () => this.dialog.close());
  }

  // Begins with the region that is saved, or else with the one in effect.
  async open(name, inEffect) {
    this.name = name;
    this.topic = `${name}/raw`;
    this.image = this.size = this.corner = null;
    this.link.view([this.topic]);
    this.note.textContent = WAITING;
    this.canvas.width = this.canvas.width; // clears what it showed of another time or camera
    delete this.canvas.dataset.shown;
    document.getElementById("region-title").textContent = `Region of interest of ${name}`;
    this.choose(inEffect || WHOLE);
    this.dialog.showModal();
    try {
      const { region } = await ask(`/api/region/${name}`);
      if (region[2] && this.name === name && !this.corner) this.choose(region);
    } catch (error) {
      this.note.textContent = error.message;
    }
  }

  choose(numbers) {
    this.numbers = [...numbers];
    NAMES.forEach((name, i) => { this.inputs[name].value = this.numbers[i]; });
    this.paint();
  }

  async draw(pictures) {
    const picture = pictures.find((each) => each.camera === this.topic);
    if (!picture || !this.dialog.open) return;
    const decoded = await decode(picture.jpeg);
    this.image?.close();
    this.image = decoded.image;
    this.shown = decoded;
    this.size = [picture.width, picture.height];
    this.paint();
    this.canvas.dataset.shown = "";
    if (this.note.textContent === WAITING) this.note.textContent = "";
  }

  paint() {
    if (!this.image) return;
    const { canvas, image } = this;
    const { width, height } = this.shown;
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const pen = canvas.getContext("2d");
    pen.drawImage(image, 0, 0);
    if (!this.numbers[2]) return;
    const scale = width / this.size[0];
    pen.strokeStyle = "#ffb066";
    pen.lineWidth = Math.max(1, width / 160);
    pen.strokeRect(...this.numbers.map((value) => value * scale));
  }

  // A pointer's place in the camera's pixels.
  at(event) {
    const box = this.canvas.getBoundingClientRect();
    const share = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    return share.map((value, i) => Math.round(Math.max(0, Math.min(1, value)) * this.size[i]));
  }

  begin(event) {
    if (!this.image) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.corner = this.at(event);
  }

  drag(event) {
    if (!event.buttons || !this.corner) return;
    const [a, b] = [this.corner, this.at(event)];
    if (this.square.checked) {
      const side = Math.min(Math.abs(b[0] - a[0]), Math.abs(b[1] - a[1]));
      for (const i of [0, 1]) b[i] = a[i] + Math.sign(b[i] - a[i]) * side;
    }
    this.choose([Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.abs(a[0] - b[0]), Math.abs(a[1] - b[1])]);
  }

  async save() {
    const [x, y, width, height] = this.numbers;
    if (this.size && (x + width > this.size[0] || y + height > this.size[1])) {
      this.note.textContent = `[${this.numbers.join(", ")}] does not lie in the frame of ${this.size.join(" × ")}.`;
      return;
    }
    try {
      const answer = await ask("/api/region", { camera: this.name, region: this.numbers });
      this.note.textContent = answer.message;
    } catch (error) {
      this.note.textContent = error.message;
    }
  }
}
