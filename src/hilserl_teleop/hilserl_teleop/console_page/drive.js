// Driving: keys, the pad, and a gamepad become wishes; the console makes actions of them.

const BEAT = 50; // ms between two wishes: while they come, the arm is not let go
const LAZY = 200; // ms between two looks at whether there is anything to do
const HELD = 400; // ms: a space bar held longer gives the arm back when it is let go

export class Drive {
  constructor(link, setup) {
    this.link = link;
    this.keys = setup.keys;
    this.speeds = setup.speeds;
    this.speed = this.speeds.indexOf(setup.speed);
    this.held = new Map(); // what is pressed: [axis, amount]
    this.stick = [0, 0, 0];
    this.gamepad = null; // once one has been seen
    this.mine = false; // whether this page drives
    this.asked = 0; // when this page asked to
    this.spaceDown = null; // since when, if that press took over
    this.listen();
    this.beat();
  }

  listen() {
    addEventListener("keydown", (event) => this.keyDown(event));
    addEventListener("keyup", (event) => this.keyUp(event));
    addEventListener("blur", () => this.letGo());
    document.addEventListener("visibilitychange", () => this.letGo());
    for (const button of document.querySelectorAll("[data-axis]")) {
      const wish = [Number(button.dataset.axis), Number(button.dataset.amount)];
      this.holdable(button, wish);
    }
    for (const button of document.querySelectorAll("[data-grip]")) {
      button.addEventListener("click", () => this.grip(Number(button.dataset.grip)));
    }
    for (const button of document.querySelectorAll("[data-event]")) {
      button.addEventListener("click", () => this.press(button.dataset.event));
    }
    document.getElementById("stop").addEventListener("pointerdown", () => this.stop());
    // A press by keyboard is a click without a pointer; two stops are as good as one.
    document.getElementById("stop").addEventListener("click", () => this.stop());
    document.getElementById("takeover").addEventListener("click", () => this.toggle());
    document.getElementById("release-stop").addEventListener("click", () => {
      this.link.say({ type: "release_stop" });
    });
    const speed = document.getElementById("speed");
    speed.addEventListener("input", () => this.setSpeed(Number(speed.value)));
    this.setSpeed(this.speed);
  }

  // A button that moves the arm as long as it is pressed, by finger, mouse or keyboard.
  holdable(button, wish) {
    const down = (event) => {
      if (event.type === "pointerdown") button.setPointerCapture(event.pointerId);
      if (event.type === "keydown" && event.key !== "Enter" && event.key !== " ") return;
      if (event.type === "keydown") { event.preventDefault(); event.stopPropagation(); }
      button.classList.add("held");
      this.hold(button, wish);
    };
    const up = () => {
      button.classList.remove("held");
      this.drop(button);
    };
    button.addEventListener("pointerdown", down);
    button.addEventListener("keydown", down);
    for (const end of ["pointerup", "pointercancel", "lostpointercapture", "keyup", "blur"]) {
      button.addEventListener(end, up);
    }
    button.addEventListener("contextmenu", (event) => event.preventDefault());
  }

  keyDown(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const command = this.keys.commands[event.key];
    if (command === "stop") { event.preventDefault(); this.stop(); return; }
    if (isTyping(event.target) || document.querySelector("dialog[open]")) return;
    if (event.key === " " && event.target.closest("button, summary, [tabindex='0']") &&
        event.target.id !== "takeover") return; // it presses what has the focus
    const jog = this.keys.jog[event.key];
    if (jog && (this.mine || !event.key.startsWith("Arrow"))) {
      event.preventDefault();
      if (!event.repeat) this.hold(event.code, jog);
    } else if (this.keys.gripper[event.key] !== undefined) {
      if (!event.repeat) this.grip(this.keys.gripper[event.key]);
    } else if (command) {
      event.preventDefault();
      if (event.repeat) return;
      if (command === "toggle") {
        if (!this.mine && event.key === " ") this.spaceDown = performance.now();
        this.toggle();
      } else this.command(command);
    } else if (this.keys.speed[event.key]) {
      this.setSpeed(this.speed + this.keys.speed[event.key]);
    }
  }

  keyUp(event) {
    this.drop(event.code);
    if (event.key !== " ") return;
    if (event.target.id === "takeover") event.preventDefault(); // the press was taken already
    if (this.spaceDown !== null && performance.now() - this.spaceDown > HELD) this.press("release");
    this.spaceDown = null;
  }

  command(name) {
    if (name === "release stop") this.link.say({ type: "release_stop" });
    else this.press(name);
  }

  toggle() {
    this.press(this.mine ? "release" : "takeover");
  }

  press(name) {
    if (name === "takeover") { this.mine = true; this.asked = performance.now(); }
    if (name === "release") this.letGo();
    if (!this.link.say({ type: "event", event: name })) this.mine = false;
  }

  stop() {
    this.letGo();
    if (!this.link.say({ type: "event", event: "stop" })) this.link.tell("unsent", "STOP");
  }

  hold(key, wish) {
    this.held.set(key, wish);
    this.send(0);
  }

  drop(key) {
    if (this.held.delete(key)) this.send(0);
  }

  letGo() {
    this.held.clear();
    this.stick = [0, 0, 0];
    for (const button of document.querySelectorAll(".held")) button.classList.remove("held");
    this.send(0);
  }

  grip(direction) {
    this.send(direction);
  }

  setSpeed(index) {
    this.speed = Math.max(0, Math.min(this.speeds.length - 1, index));
    document.getElementById("speed").value = this.speed;
    document.getElementById("speed-shown").textContent = `${Math.round(100 * this.speeds[this.speed])} %`;
  }

  send(grip) {
    if (!this.mine) return;
    const move = [...this.stick];
    for (const [axis, amount] of this.held.values()) move[axis] += amount;
    this.link.say({
      type: "drive",
      move: move.map((amount) => Math.max(-1, Math.min(1, amount))),
      grip,
      speed: this.speeds[this.speed],
    });
  }

  // Goes on while this page drives, or could be asked to by a gamepad.
  beat() {
    const busy = this.mine || this.gamepad !== null;
    if (this.gamepad) this.readGamepad();
    if (!document.hidden) this.send(0);
    setTimeout(() => this.beat(), busy ? BEAT : LAZY);
  }

  // The console says who drives; a takeover takes a moment to get there and back.
  said(page, arbitration) {
    if (this.mine && performance.now() - this.asked < 600) return;
    const was = this.mine;
    this.mine = page.driver === page.you && arbitration?.device === page.device;
    if (was && !this.mine) this.held.clear();
  }

  readGamepad() {
    const { stick, pressed } = this.gamepad.read();
    this.stick = stick;
    for (const action of pressed) {
      if (action === "toggle") this.toggle();
      else if (action === "stop") this.stop();
      else if (action === "open" || action === "close") this.grip(action === "open" ? 1 : -1);
      else this.press(action);
    }
  }
}

function isTyping(element) {
  return element.matches("input:not([type='range']), select, textarea");
}
