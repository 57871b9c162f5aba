// Looking back: the run's episodes, their pictures and who acted, and what a person says of them.

import { ask } from "./link.js";

const COLOURS = { policy: "--policy", human: "--human", offline: "--offline" };
const OUTCOMES = ["success", "failure", "timeout", "deleted"];
const LABELS = ["success", "failure", "neither", "none"];
const SOURCES = ["policy", "human", "offline"];
const WORDS = { offline: "demonstration", none: "no label" };
const SHOWN = 100; // the newest episodes

export class Review {
  constructor(setup) {
    this.list = document.getElementById("episodes");
    this.note = document.getElementById("review-note");
    this.button = document.getElementById("load");
    this.known = setup.reviews;
    this.button.addEventListener("click", () => this.load());
  }

  offer() {
    this.button.disabled = !this.known;
    if (!this.known) this.note.textContent = "This console was started without a run's folder.";
  }

  async load() {
    this.button.disabled = true;
    this.note.textContent = "Reading…";
    try {
      const { episodes } = await ask("/api/episodes");
      const newest = episodes.toReversed().slice(0, SHOWN);
      this.list.replaceChildren(...newest.map((episode) => this.row(episode)));
      this.note.textContent = episodes.length ? `${episodes.length} episodes, the newest first` +
        (episodes.length > SHOWN ? `, ${SHOWN} of them shown` : "") : "No episode is recorded yet.";
    } catch (error) {
      this.note.textContent = error.message;
    }
    this.button.disabled = false;
    this.button.textContent = "Read the episodes again";
  }

  row(episode) {
    const row = document.createElement("li");
    const details = document.createElement("details");
    const summary = document.createElement("summary");
    const name = document.createElement("strong");
    name.textContent = episode.episode;
    const words = document.createElement("span");
    words.className = "muted";
    const say = (outcome) => {
      words.textContent = episode.problem || (episode.finished
        ? `${episode.phase}, ${outcome}, ${episode.steps} steps` : "under way, or cut off");
      row.classList.toggle("deleted", outcome === "deleted" || outcome === "aborted");
    };
    say(episode.outcome);
    summary.append(name, words);
    details.append(summary);
    row.append(details);
    details.addEventListener("toggle", () => {
      if (details.open && details.children.length === 1) this.open(episode, details, say);
    });
    return row;
  }

  async open(episode, details, say) {
    const body = document.createElement("div");
    body.textContent = "Reading…";
    details.append(body);
    const note = document.createElement("p");
    note.className = "muted";
    note.setAttribute("role", "status");
    const path = `/api/episodes/${episode.episode}`;
    const show = async () => {
      const detail = await ask(path);
      body.replaceChildren(...this.content(detail, { path, say, show, note }));
    };
    try {
      await show();
    } catch (error) {
      body.textContent = error.message;
      details.addEventListener("toggle", () => { if (!details.open) body.remove(); }, { once: true });
    }
  }

  content(detail, { path, say, show, note }) {
    const step = this.stepper(detail);
    const parts = [timeline(detail, step), key(detail)];
    if (detail.strip) {
      const strip = new Image();
      strip.className = "strip";
      strip.alt = `pictures of ${detail.strip.cameras.join(" and ")} over the episode`;
      strip.src = `${path}/strip.png`;
      strip.addEventListener("click", (event) => {
        const share = event.offsetX / strip.clientWidth;
        const time = detail.strip.times[Math.min(detail.strip.times.length - 1, Math.floor(share * detail.strip.times.length))];
        step.go(nearest(detail.seconds, time));
      });
      parts.unshift(strip);
    } else {
      const none = document.createElement("p");
      none.className = "muted";
      none.textContent = "This bag holds no pictures.";
      parts.unshift(none);
    }
    const tell = async (work) => {
      note.textContent = "Writing…";
      try {
        note.textContent = (await work()).message;
        return true;
      } catch (error) {
        note.textContent = error.message;
        return false;
      }
    };
    const labels = buttons("Label this frame", LABELS, (label) => tell(() => ask("/api/labels", {
      episode: detail.episode, index: step.index, label,
    })), WORDS);
    const outcomes = buttons("The episode ended in", OUTCOMES, async (outcome) => {
      if (await tell(() => ask(path, { outcome }))) say(outcome);
    });
    const sources = buttons("All its steps are", SOURCES, (source) => tell(async () => {
      const answer = await ask(path, { source });
      await show(); // with another timeline
      return answer;
    }), WORDS);
    return [...parts, step.row, labels, outcomes, sources, note];
  }

  stepper(detail) {
    const row = document.createElement("div");
    row.className = "row";
    const slider = document.createElement("input");
    Object.assign(slider, { type: "range", min: 0, max: detail.seconds.length - 1, value: 0 });
    slider.setAttribute("aria-label", `step of ${detail.episode}`);
    const shown = document.createElement("output");
    row.append(slider, shown);
    const step = {
      row,
      index: 0,
      listeners: [],
      go(index) {
        step.index = index;
        slider.value = index;
        shown.textContent = `step ${index}, ${detail.seconds[index].toFixed(1)} s`;
        for (const listener of step.listeners) listener(index);
      },
    };
    slider.addEventListener("input", () => step.go(Number(slider.value)));
    step.go(0);
    return step;
  }
}

// Who acted, from the first step to the last; a click chooses a step.
function timeline(detail, step) {
  const canvas = document.createElement("canvas");
  canvas.className = "timeline";
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `who acted: ${detail.sources.map(([who, count]) => `${count} steps ${who}`).join(", ")}`);
  const total = Math.max(1, detail.seconds.length - 1);
  const draw = () => {
    if (!canvas.clientWidth) return;
    Object.assign(canvas, { width: canvas.clientWidth, height: canvas.clientHeight });
    const pen = canvas.getContext("2d");
    const style = getComputedStyle(canvas);
    let start = 0;
    for (const [who, count] of detail.sources) {
      pen.fillStyle = style.getPropertyValue(COLOURS[who]);
      pen.fillRect((start / total) * canvas.width, 6, (count / total) * canvas.width, 14);
      start += count;
    }
    pen.fillStyle = style.getPropertyValue("--ink");
    pen.fillRect((step.index / total) * (canvas.width - 2), 0, 2, canvas.height);
  };
  step.listeners.push(draw);
  canvas.addEventListener("click", (event) => step.go(Math.round((event.offsetX / canvas.clientWidth) * total)));
  new ResizeObserver(draw).observe(canvas);
  return canvas;
}

function key(detail) {
  const words = document.createElement("p");
  words.className = "row";
  for (const who of new Set(detail.sources.map((each) => each[0]))) {
    const part = document.createElement("span");
    part.className = `key ${who}`;
    part.textContent = WORDS[who] ?? who;
    words.append(part);
  }
  return words;
}

function buttons(title, names, press, words = {}) {
  const row = document.createElement("div");
  row.className = "row";
  row.setAttribute("role", "group");
  row.setAttribute("aria-label", title);
  const heading = document.createElement("span");
  heading.textContent = title;
  row.append(heading, ...names.map((name) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = words[name] ?? name;
    button.addEventListener("click", () => press(name));
    return button;
  }));
  return row;
}

function nearest(values, wanted) {
  let best = 0;
  values.forEach((value, i) => { if (Math.abs(value - wanted) < Math.abs(values[best] - wanted)) best = i; });
  return best;
}
