// Curves on a canvas: lines over a grid, with their newest value written at the end.

const LEFT = 38;
const RIGHT = 46;
const TOP = 8;
const BOTTOM = 20;

// lines: [{colour: "--good", points: [[x, y], ...]}]; top: the axis' upper end, null for the data's.
export function drawCurves(canvas, lines, { top = null, unit = "", empty, across }) {
  const scale = Math.min(devicePixelRatio || 1, 2);
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (!width) return;
  canvas.width = width * scale;
  canvas.height = height * scale;
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  const style = getComputedStyle(canvas);
  const colour = (name) => style.getPropertyValue(name);
  pen.font = `12px ${style.fontFamily}`;
  const points = lines.flatMap((line) => line.points);
  if (!points.length) {
    pen.fillStyle = colour("--muted");
    pen.fillText(empty, 8, height / 2);
    return;
  }
  const xs = points.map((point) => point[0]);
  const [first, last] = [Math.min(...xs), Math.max(...xs)];
  const highest = top ?? niceTop(Math.max(...points.map((point) => point[1])));
  const x = (value) => LEFT + ((value - first) / Math.max(1e-9, last - first)) * (width - LEFT - RIGHT);
  const y = (value) => height - BOTTOM - (value / highest) * (height - TOP - BOTTOM);
  grid(pen, { width, height, highest, unit, y, colour });
  pen.fillStyle = colour("--muted");
  pen.fillText(`${Math.round(first)}`, LEFT, height - 5);
  const words = `${Math.round(last)} ${across === "episodes" && last === 1 ? "episode" : across}`;
  pen.fillText(words, width - RIGHT - pen.measureText(words).width, height - 5);
  for (const line of lines) {
    if (!line.points.length) continue;
    pen.strokeStyle = pen.fillStyle = colour(line.colour);
    pen.lineWidth = 2;
    pen.setLineDash(line.dash || []);
    pen.beginPath();
    line.points.forEach(([at, value], i) => (i ? pen.lineTo(x(at), y(value)) : pen.moveTo(x(at), y(value))));
    pen.stroke();
    pen.setLineDash([]);
  }
  ends(pen, lines, { width, y, unit, colour });
}

function grid(pen, { width, highest, unit, y, colour }) {
  pen.textAlign = "left";
  for (const share of [0, 0.5, 1]) {
    const at = y(share * highest);
    pen.strokeStyle = colour("--line");
    pen.lineWidth = 1;
    pen.beginPath();
    pen.moveTo(LEFT, at);
    pen.lineTo(width - RIGHT, at);
    pen.stroke();
    pen.fillStyle = colour("--muted");
    pen.fillText(label(share * highest, unit), 0, at + 4);
  }
}

// The newest values, moved apart where they would lie on each other.
function ends(pen, lines, { width, y, unit, colour }) {
  const shown = lines.filter((line) => line.points.length)
    .map((line) => ({ line, value: line.points.at(-1)[1] }))
    .map((end) => ({ ...end, at: y(end.value) + 4 }))
    .sort((a, b) => a.at - b.at);
  shown.forEach((end, i) => { if (i && end.at - shown[i - 1].at < 13) end.at = shown[i - 1].at + 13; });
  for (const { line, value, at } of shown) {
    pen.fillStyle = colour(line.colour);
    pen.fillText(label(value, unit), width - RIGHT + 6, at);
  }
}

const label = (value, unit) => (unit === "%" ? `${Math.round(100 * value)} %` : `${Math.round(value)}`);

function niceTop(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value) ?? 10 * power;
}

export class Curves {
  constructor() {
    this.content = null;
    const again = () => this.draw();
    new ResizeObserver(again).observe(document.getElementById("rates"));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  }

  said(content) {
    this.content = content;
    this.draw();
  }

  draw() {
    const { episodes, pace } = this.content || { episodes: { episode: [] }, pace: [] };
    const line = (name) => episodes.episode.map((number, i) => [number, episodes[name][i]]);
    drawCurves(document.getElementById("rates"), [
      { colour: "--good", points: line("success") },
      { colour: "--human", points: line("intervention"), dash: [6, 4] },
    ], { top: 1, unit: "%", empty: "no episode of training has ended yet", across: "episodes" });
    drawCurves(document.getElementById("pace"), [{ colour: "--policy", points: pace }],
      { empty: "no learner has spoken yet", across: "s" });
  }
}
