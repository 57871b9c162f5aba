// Words and numbers: what is known of the run, who drives, the servos and the nodes.

const PHASES = { record: "recording", train: "training", evaluate: "evaluating", run: "running", done: "done" };
const STAGES = { waiting: "waiting", compiling: "compiling", behaviour_cloning: "cloning",
  critic_warmup: "warming up", training: "learning" };
const QUIET = 3; // s without a word of the mux after which nobody commands the arm
const HOT = 60; // degrees Celsius, as a servo's own limit is some 10 above
const CAPS = { ArrowUp: "↑", ArrowDown: "↓", ArrowLeft: "←", ArrowRight: "→", PageUp: "Page ↑",
  PageDown: "Page ↓", Escape: "Esc", " ": "Space" };
const LEVELS = ["", "warn", "bad", "warn"];

const element = (id) => document.getElementById(id);

function set(id, text) {
  const place = element(id);
  if (place.textContent !== text) place.textContent = text;
}

const number = (value, digits = 0) => (value === null || value === undefined ? "–" : value.toFixed(digits));
const percent = (value) => (value === null || value === undefined ? "–" : `${Math.round(100 * value)} %`);

export function showRun(state) {
  const { run, learner, action, reward, episode } = state;
  set("task", run ? run.task.replaceAll("_", " ") : "hilserl");
  set("run", run ? run.run + (run.message ? `: ${run.message}` : "") : "no run yet: waiting for the policy node");
  let phase = run ? PHASES[run.phase] : "–";
  if (run?.phase === "train" && learner && learner.stage !== "training") {
    phase += ` (${STAGES[learner.stage] ?? learner.stage})`;
  }
  set("phase", phase);
  if (run) {
    const count = run.episodes_in_phase + (run.in_episode ? 1 : 0);
    let text = run.episodes_of_phase ? `${count} of ${run.episodes_of_phase}` : `${count}`;
    if (!run.in_episode && run.last_outcome !== "none") text += `, ${run.last_outcome}`;
    set("episode", text);
  }
  set("clock", episode.seconds === null ? "–" : `${episode.seconds.toFixed(1)} s`);
  set("version", `${action?.version ?? run?.policy_version ?? "–"}`);
  set("updates", learner && learner.age < 5 ? number(learner.rate) : "–");
  set("probability", probability(reward));
}

function probability(reward) {
  if (!reward || reward.age > 5) return "–";
  if (reward.probability !== null) return percent(reward.probability);
  return reward.value > 0 ? "yes" : reward.value < 0 ? "failed" : "not yet";
}

export function showDriver(state, drive) {
  const { arbitration, page } = state;
  const place = element("driver");
  let [text, who] = ["no mux: nobody commands the arm", "stopped"];
  if (arbitration) {
    [text, who] = words(arbitration, page);
    // The mux speaks at least once a second.
    if (arbitration.age > QUIET) [text, who] = [`the mux is silent for ${arbitration.age.toFixed(0)} s`, "stopped"];
  }
  set("driver", text);
  if (place.dataset.who !== who) place.dataset.who = who;
  set("reason", reason(arbitration, page));
  set("notes", [...state.notes.slice(-2), ...(state.problems || [])].join(" · "));
  const stopped = arbitration?.state === 3;
  if (element("release-stop").hidden === stopped) element("release-stop").hidden = !stopped;
  const button = element("takeover");
  const other = page.driver !== null && page.driver !== page.you;
  const label = drive.mine ? "Release" : arbitration?.device === page.device && page.driver === null
    ? "Drive on" : "Take over";
  set("takeover", label);
  // What is set anew, even to the same, has the browser look at the page's style again.
  if (button.ariaPressed !== String(drive.mine)) button.ariaPressed = String(drive.mine);
  const taken = other && arbitration?.device === page.device;
  if (button.disabled !== taken) button.disabled = taken;
  const lost = element("lost");
  const abandoned = arbitration?.device === page.device && page.driver === null;
  if (lost.hidden === abandoned) lost.hidden = !abandoned;
  if (abandoned) {
    const since = page.lost === null ? "" : ` ${page.lost.toFixed(0)} s ago`;
    lost.textContent = `The page that drove lost its connection${since}: the arm holds. ` +
      "Drive on, or press r to release.";
  }
}

function words(arbitration, page) {
  const you = arbitration.device === page.device && page.driver === page.you;
  const who = you ? "you" : arbitration.device === page.device && page.driver !== null
    ? `page ${page.driver} (${page.driver_address})` : arbitration.device;
  switch (arbitration.state) {
    case 0: return [arbitration.holding ? "policy, holding" : "policy drives", "policy"];
    case 1: return [`${who} in ${arbitration.countdown.toFixed(1)} s`, "human"];
    case 2: return [you ? "you drive" : `${who} drives`, "human"];
    default: return ["stopped", "stopped"];
  }
}

function reason(arbitration, page) {
  const parts = [];
  if (arbitration?.reason) parts.push(arbitration.reason);
  if (page.driver !== null && page.driver !== page.you && arbitration?.device === page.device) {
    parts.push("another page drives: you are watching");
  }
  return parts.join("; ");
}

const shown = new Map(); // what each part of the page was made from

// Whether a part has to be made anew.
function changed(part, content) {
  const key = JSON.stringify(content);
  if (shown.get(part) === key) return false;
  shown.set(part, key);
  return true;
}

export function showServos(servos, health) {
  if (servos && changed("servos", { ...servos, age: 0 })) {
    const rows = servos.name.map((name, i) => {
      const row = document.createElement("tr");
      const error = servos.error[i];
      const cells = [name.replaceAll("_", " "), number(servos.temperature[i]), number(servos.current[i], 2),
        number(servos.voltage[i], 1), error ? `0x${error.toString(16)}` : "none"];
      for (const [column, text] of cells.entries()) {
        const cell = document.createElement("td");
        cell.textContent = text;
        if ((column === 1 && servos.temperature[i] >= HOT) || (column === 4 && error)) cell.className = "hot";
        row.append(cell);
      }
      return row;
    });
    element("servo-rows").replaceChildren(...rows);
  }
  const bus = health.find((part) => /driver|robot|simulation/.test(part.name));
  const figures = bus ? Object.entries(bus.values).map(([key, value]) => `${key} ${value}`).join(", ") : "";
  set("bus", bus ? `${bus.name.replace(/^\//, "")}: ${bus.message}${figures ? ` (${figures})` : ""}` : "no word of the robot yet");
}

export function showHealth(health) {
  if (!changed("health", health.map(({ name, level, message }) => [name, level, message]))) return;
  const item = (part) => {
    const line = document.createElement("li");
    line.className = LEVELS[part.level] ?? "bad";
    line.textContent = `${part.name.replace(/^\//, "")}: ${part.message}`;
    return line;
  };
  const warnings = health.filter((part) => part.level > 0).map(item);
  if (!warnings.length) {
    const none = document.createElement("li");
    none.className = "muted";
    none.textContent = health.length ? "none: every node is well" : "no node has spoken yet";
    warnings.push(none);
  }
  element("warnings").replaceChildren(...warnings);
  element("nodes").replaceChildren(...health.map(item));
}

export function showKeys(keys) {
  const list = element("keys");
  const names = { 0: ["left", "right"], 1: ["back", "forward"], 2: ["down", "up"] };
  const rows = [["Space", "take over; again, or let go after holding it: release"]];
  for (const [key, [axis, amount]] of Object.entries(keys.jog)) rows.push([key, names[axis][amount > 0 ? 1 : 0]]);
  for (const [key, amount] of Object.entries(keys.gripper)) rows.push([key, amount > 0 ? "gripper open" : "gripper close"]);
  for (const [key, name] of Object.entries(keys.commands)) if (key !== " ") rows.push([key, name === "toggle" ? "take over or release" : name]);
  rows.push(["+, −", "speed"]);
  for (const [key, text] of merged(rows)) {
    const [term, meaning] = [document.createElement("dt"), document.createElement("dd")];
    for (const name of key.split(", ")) {
      const cap = document.createElement("kbd");
      cap.textContent = CAPS[name] ?? name;
      term.append(cap, " ");
    }
    meaning.textContent = text;
    list.append(term, meaning);
  }
}

// One row a meaning, with all its keys.
function merged(rows) {
  const found = new Map();
  for (const [key, text] of rows) found.set(text, found.has(text) ? `${found.get(text)}, ${key}` : key);
  return [...found].map(([text, key]) => [key, text]);
}
