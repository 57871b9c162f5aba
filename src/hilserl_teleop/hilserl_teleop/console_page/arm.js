// The arm as boxes on joints, drawn from the robot's description; drag or use arrows to turn it.

const VISIBLE = 0.004; // rad

export class Arm {
  constructor(canvas, bars, setup) {
    this.canvas = canvas;
    this.arm = setup.arm;
    this.turn = 0.7; // rad about the vertical, and down from the horizontal
    this.tilt = 0.45;
    this.positions = {};
    this.moving = this.arm.joints.filter((joint) => joint.type !== "fixed");
    this.rows = new Map(this.moving.map((joint) => [joint.name, barOf(joint, bars)]));
    canvas.addEventListener("pointerdown", (event) => canvas.setPointerCapture(event.pointerId));
    canvas.addEventListener("pointermove", (event) => {
      if (event.buttons) this.rotate(event.movementX / 120, event.movementY / 120);
    });
    canvas.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] }[event.key];
      if (!by) return;
      event.preventDefault();
      event.stopPropagation();
      this.rotate(...by);
    });
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  rotate(turn, tilt) {
    this.turn += turn;
    this.tilt = Math.max(-0.2, Math.min(1.5, this.tilt + tilt));
    this.draw();
  }

  // Joint positions in rad; draws only what can be seen to have changed.
  said(joints) {
    if (!joints) return;
    const moved = joints.name.some((name, i) => {
      return Math.abs((this.positions[name] ?? Infinity) - (joints.position[i] ?? 0)) > VISIBLE;
    });
    if (!moved) return;
    joints.name.forEach((name, i) => { this.positions[name] = joints.position[i] ?? 0; });
    for (const joint of this.moving) {
      this.rows.get(joint.name)?.(this.positions[joint.name] ?? 0);
    }
    this.draw();
  }

  draw() {
    const { canvas } = this;
    const scale = Math.min(devicePixelRatio || 1, 2);
    const [width, height] = [Math.round(canvas.clientWidth * scale), Math.round(canvas.clientHeight * scale)];
    if (!width) return;
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const pen = canvas.getContext("2d");
    const style = getComputedStyle(canvas);
    pen.clearRect(0, 0, width, height);
    const eye = (point) => this.project(point, width, height);
    this.box(pen, eye, style.getPropertyValue("--line"));
    const faces = [];
    const frames = { [this.arm.joints[0].parent]: identity() };
    for (const joint of this.arm.joints) {
      const frame = compose(frames[joint.parent] || identity(), place(joint));
      const angle = joint.type === "fixed" ? 0 : this.positions[joint.name] ?? 0;
      frames[joint.child] = compose(frame, about(joint.axis, angle));
    }
    for (const [link, shapes] of Object.entries(this.arm.links)) {
      for (const shape of shapes) {
        faces.push(...facesOf(compose(frames[link] || identity(), place(shape)), shape, eye));
      }
    }
    faces.sort((a, b) => a.depth - b.depth);
    pen.lineJoin = "round";
    pen.strokeStyle = style.getPropertyValue("--surface");
    pen.lineWidth = scale;
    for (const face of faces) {
      path(pen, face.points);
      pen.fillStyle = face.colour;
      pen.fill();
      pen.stroke();
    }
  }

  // The box that the tool's targets stay in, seen from above and from the side.
  box(pen, eye, colour) {
    const [low, high] = this.arm.workspace;
    const corner = (i) => eye([0, 1, 2].map((axis) => ((i >> axis) & 1 ? high : low)[axis]));
    pen.strokeStyle = colour;
    pen.lineWidth = 1.5;
    for (let i = 0; i < 8; i++) {
      for (const step of [1, 2, 4]) {
        if (i & step) continue;
        const [a, b] = [corner(i), corner(i | step)];
        pen.beginPath();
        pen.moveTo(a[0], a[1]);
        pen.lineTo(b[0], b[1]);
        pen.stroke();
      }
    }
  }

  // (x, y) in pixels and the depth of a point in m, in parallel projection.
  project([x, y, z], width, height) {
    const [cy, sy] = [Math.cos(this.turn), Math.sin(this.turn)];
    const [ct, st] = [Math.cos(this.tilt), Math.sin(this.tilt)];
    const [dx, dy] = [x, y - 0.13];
    const across = cy * dx - sy * dy;
    const away = sy * dx + cy * dy;
    const up = z - 0.09;
    const size = 1.6 * Math.min(width / 0.8, height / 0.62);
    return [width / 2 + across * size, height / 2 - (up * ct + away * st) * size, up * st - away * ct];
  }
}

function barOf(joint, bars) {
  const row = document.createElement("div");
  row.className = "joint";
  const name = document.createElement("span");
  name.textContent = joint.name.replaceAll("_", " ");
  const bar = document.createElement("div");
  bar.className = "bar";
  bar.setAttribute("role", "meter");
  bar.setAttribute("aria-label", `${joint.name}, rad`);
  const [low, high] = joint.limits || [-Math.PI, Math.PI];
  bar.setAttribute("aria-valuemin", low);
  bar.setAttribute("aria-valuemax", high);
  bar.title = `limits ${low} to ${high} rad`;
  const mark = document.createElement("i");
  bar.append(mark);
  const shown = document.createElement("output");
  row.append(name, bar, shown);
  bars.append(row);
  return (position) => {
    const share = Math.max(0, Math.min(1, (position - low) / (high - low)));
    const text = `${position.toFixed(2)} rad`;
    if (shown.textContent === text) return;
    mark.style.left = `${100 * share}%`;
    bar.classList.toggle("near", share < 0.03 || share > 0.97);
    bar.setAttribute("aria-valuenow", position.toFixed(2));
    shown.textContent = text;
  };
}

// A frame is [rotation as three rows, position].
const identity = () => [[[1, 0, 0], [0, 1, 0], [0, 0, 1]], [0, 0, 0]];
const apply = (rows, v) => rows.map((row) => row[0] * v[0] + row[1] * v[1] + row[2] * v[2]);
const product = (a, b) => a.map((row) => [0, 1, 2].map((j) => row[0] * b[0][j] + row[1] * b[1][j] + row[2] * b[2][j]));

function compose([rotation, position], [turned, moved]) {
  return [product(rotation, turned), apply(rotation, moved).map((value, i) => value + position[i])];
}

// Roll, pitch, yaw about fixed axes, as URDF has them.
function place({ xyz, rpy: [r, p, y] }) {
  const [cr, sr, cp, sp, cy, sy] = [Math.cos(r), Math.sin(r), Math.cos(p), Math.sin(p), Math.cos(y), Math.sin(y)];
  return [[
    [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
    [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
    [-sp, cp * sr, cp * cr],
  ], xyz];
}

// Rodrigues' formula.
function about([x, y, z], angle) {
  const [c, s, d] = [Math.cos(angle), Math.sin(angle), 1 - Math.cos(angle)];
  return [[
    [c + x * x * d, x * y * d - z * s, x * z * d + y * s],
    [y * x * d + z * s, c + y * y * d, y * z * d - x * s],
    [z * x * d - y * s, z * y * d + x * s, c + z * z * d],
  ], [0, 0, 0]];
}

const FACES = [[0, 1, 3, 2, 2, -1], [4, 5, 7, 6, 2, 1], [0, 1, 5, 4, 1, -1], [2, 3, 7, 6, 1, 1], [0, 2, 6, 4, 0, -1], [1, 3, 7, 5, 0, 1]];

function facesOf(frame, { size, colour }, eye) {
  const corners = [];
  for (let i = 0; i < 8; i++) {
    const local = [0, 1, 2].map((axis) => (((i >> axis) & 1) - 0.5) * size[axis]);
    corners.push(eye(apply(frame[0], local).map((value, axis) => value + frame[1][axis])));
  }
  return FACES.map(([a, b, c, d, axis, side]) => {
    const points = [corners[a], corners[b], corners[c], corners[d]];
    const up = frame[0][2][axis] * side;
    const light = 0.72 + 0.28 * up;
    const shade = colour.map((part) => Math.round(255 * Math.min(1, (0.12 + 0.88 * part) * light)));
    return {
      points,
      depth: points.reduce((sum, point) => sum + point[2], 0) / 4,
      colour: `rgb(${shade.join(" ")})`,
    };
  });
}

function path(pen, points) {
  pen.beginPath();
  points.forEach(([x, y], i) => (i ? pen.lineTo(x, y) : pen.moveTo(x, y)));
  pen.closePath();
}
