// The console's page: connects what the web socket says with what is shown.

import { Arm } from "./arm.js";
import { Cameras } from "./cameras.js";
import { Curves } from "./curves.js";
import { Drive } from "./drive.js";
import { offerGamepad } from "./gamepad.js";
import { ask, Link } from "./link.js";
import { showDriver, showHealth, showKeys, showRun, showServos } from "./panels.js";
import { Region } from "./region.js";
import { Review } from "./review.js";

const TOGETHER = 40; // ms that what is said waits for the pictures that come with it

const setup = await ask("/api/setup");
const link = new Link();
const drive = new Drive(link, setup);
const region = new Region(link);
const cameras = new Cameras(link, (name, inEffect) => region.open(name, inEffect));
region.dialog.addEventListener("close", () => cameras.choose());
const arm = new Arm(document.getElementById("drawing"), document.getElementById("joints"), setup);
const curves = new Curves();
const review = new Review(setup);
const connection = document.getElementById("connection");
let news = null; // what was said and is not shown yet
let waiting = null;

showKeys(setup.keys);
document.getElementById("help").open = matchMedia("(min-width: 1200px) and (pointer: fine)").matches;
offerGamepad(drive);
curves.draw();
review.offer();

link.on("open", () => {
  connection.hidden = true;
  document.body.dataset.link = "open";
});
link.on("closed", (reason) => {
  const driving = drive.mine ? " While nobody drives, the arm holds." : "";
  connection.textContent = (reason || "The connection to the console is lost; trying again.") + driving;
  connection.hidden = false;
  drive.mine = false;
  document.body.dataset.link = "closed";
});
link.on("unsent", (what) => {
  connection.textContent = `${what} could not be sent: there is no connection to the console. ` +
    "Use another device, or the arm's switch.";
  connection.hidden = false;
});
link.on("state", (state) => {
  state.page.device = setup.device;
  drive.said(state.page, state.arbitration);
  if (document.body.dataset.page !== `${state.page.you}`) document.body.dataset.page = state.page.you;
  news = { ...news, ...state };
  waiting ??= setTimeout(show, TOGETHER);
});

// The browser composes the page anew whenever a part of it has changed, which costs more than the
// parts: what is said and the pictures that come with it are shown at once.
function show() {
  clearTimeout(waiting);
  waiting = null;
  if (!news) return;
  const state = news;
  news = null;
  showDriver(state, drive);
  if (document.hidden) return;
  showRun(state);
  arm.said(state.joints);
  cameras.keepsUp(!state.page.behind);
  if (!state.health) return; // what changes slowly comes now and then
  cameras.said(state.cameras, state.regions);
  showServos(state.servos, state.health);
  showHealth(state.health);
}
link.on("pictures", async (pictures) => {
  region.draw(pictures);
  await cameras.draw(pictures);
  show();
});
link.on("curves", (content) => curves.said(content));
link.on("refusal", (reason) => {
  document.getElementById("notes").textContent = `refused: ${reason}`;
});
