// A gamepad at the browser's machine. A browser that was once asked for gamepads looks for them sixty
// times a second from then on, so it is asked when somebody wants to use one.

const DEAD = 0.15; // of a stick
const BUTTONS = { 0: "toggle", 1: "stop", 2: "failure", 3: "success", 4: "close", 5: "open" };
const GAMEPAD = "left stick: x and y, right stick: up and down, A: take over or release, B: stop, " +
  "X: failure, Y: success, left and right bumper: close and open";
const WANTED = "gamepad"; // in the session's storage: a page that is loaded again asks again

const pads = () => [...navigator.getGamepads()].filter(Boolean);

class Gamepad {
  constructor() {
    this.down = []; // its buttons at the last look
  }

  // Where the sticks are, -1 to 1 along x, y, z, and the actions of the buttons pressed since the last look.
  read() {
    const [pad] = pads();
    if (!pad) return { stick: [0, 0, 0], pressed: [] };
    const stick = (axis) => {
      const value = pad.axes[axis] || 0;
      return Math.abs(value) < DEAD ? 0 : Math.round(100 * value) / 100;
    };
    const before = this.down;
    this.down = pad.buttons.map((button) => button.pressed);
    const pressed = Object.keys(BUTTONS).filter((index) => this.down[index] && !before[index]);
    return { stick: [stick(0), -stick(1), -stick(3)], pressed: pressed.map((index) => BUTTONS[index]) };
  }
}

// Gives the page its button with which a gamepad is asked for, and then drives by it.
export function offerGamepad(drive) {
  const [words, button] = ["gamepad", "use-gamepad"].map((id) => document.getElementById(id));
  if (!navigator.getGamepads) {
    words.textContent = "Gamepad: this browser does not let pages read one (it may need https or localhost); " +
      "keys and the pad work.";
    return;
  }
  words.textContent = `Gamepad: ${GAMEPAD}`;
  const describe = () => {
    const [pad] = pads();
    words.textContent = pad ? `Gamepad ${pad.id}: ${GAMEPAD}` : `Gamepad: plug one in and press a button; ${GAMEPAD}`;
  };
  const use = () => {
    button.hidden = true;
    sessionStorage.setItem(WANTED, "yes");
    addEventListener("gamepadconnected", () => { drive.gamepad ??= new Gamepad(); describe(); });
    addEventListener("gamepaddisconnected", () => { drive.letGo(); describe(); });
    describe();
  };
  button.addEventListener("click", use);
  button.hidden = false;
  if (sessionStorage.getItem(WANTED)) use();
}
