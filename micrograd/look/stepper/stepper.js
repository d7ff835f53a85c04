// The page of the stepper: shows one frame at a time of the data that Python wrote into the page.
// A piece is a formula as MathML without its <math>; everything that a user named is escaped in it already.
"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId("data").textContent);
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const ROOM = 10;   // characters of a number for which the boxes have room
  const create = (tag, attributes) => set(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes);

  let run;           // the sample that is shown
  let shape;         // its graph: the parents of each node, and which are constants
  let nodes = [];    // what is drawn of each node: {box, value, gradient, mark}
  let edges = {};    // what is drawn of each edge, by "node_argument"
  let place = 0;     // the frame that is shown
  let timer = null;  // while playing
  let zoom = 1;      // of the picture: 1 is as large as fits and can be read; "whole": as large as fits

  // Sets attributes of an element; takes those away that are null
  function set(element, attributes) {
    for (const [key, value] of Object.entries(attributes)) {
      value === null ? element.removeAttribute(key) : element.setAttribute(key, value);
    }
    return element;
  }

  // Formulas

  const math = (inner, display = "") => `<math${display && ' displaystyle="true"'}>${inner}</math>`;
  const number = (digits) => `<mn>${digits}</mn>`;
  const name = (node) => data.pieces[run.maths[node]];
  const fraction = (above, below) => `<mfrac><mrow><mo lspace="0" rspace="0">∂</mo>${above}</mrow>` +
    `<mrow><mo lspace="0" rspace="0">∂</mo>${below}</mrow></mfrac>`;
  const gradientOf = (node) => fraction(name(root()), name(node));
  const signed = (digits) => digits.startsWith("−") ? `<mo>(</mo><mn>${digits}</mn><mo>)</mo>` : number(digits);
  const cell = (kind, inner, label) => `<span class="cell ${kind}">` +
    `${label === undefined ? "" : `<small>${label}</small>`}${inner && math(inner, "display")}</span>`;
  const sign = (mark, label) => cell("sign", `<mo>${mark}</mo>`, label);

  // Frames: forward [node, rule, numbers], seed [node], backward
  // [node, argument, upstream, local, contribution, before, after, path, paths, rule, note]

  const root = () => run.names.length - 1;
  const isForward = (at) => at < run.forward;
  const receiver = (frame) => frame.length > 3 ? shape.parents[frame[0]][frame[1]] : frame[0];

  // What the panel shows of a step: {what, formula, sum} as HTML, and all of it in words

  function forwardStep([node, rule, numbers]) {
    const inNumbers = numbers < 0 ? [] : [cell("numbers", data.pieces[numbers], "in numbers")];
    const formula = [cell("lhs", name(node), "node"), cell("rule", data.pieces[rule], "rule"), ...inNumbers,
      cell("result", number(run.values[node]), "value")].join(sign("=", ""));
    return {kind: "forward", what: `${math(name(node))} is computed`, formula, sum: "",
      words: `${run.names[node]} is computed: ${run.values[node]}`};
  }

  function seedStep([node]) {
    const formula = cell("lhs", gradientOf(node), "gradient") + sign("=", "") + cell("result", number("1"), "seed");
    return {kind: "seed", what: `The seed: ${math(name(node))} changes by as much as itself`, formula, sum: "",
      words: `The backward pass starts: the gradient of ${run.names[node]} is 1`};
  }

  function backwardStep(frame) {
    const [node, , upstream, local, contribution, before, after, path, paths, rule] = frame;
    const parent = receiver(frame);
    const derivative = fraction(name(node), name(parent)) + "<mo>=</mo>" + data.pieces[rule];
    const formula =
      cell("lhs", gradientOf(parent), "gradient") + sign("+=", "") + cell("upstream", gradientOf(node), "upstream") +
      sign("·", "") + cell("local", derivative, "local derivative") + cell("wide", "") + cell("wide", "", "adds") +
      cell("", "") + sign("=") + cell("upstream number", number(upstream)) + sign("·") +
      cell("local number", signed(local)) + cell("sign equals", "<mo>=</mo>") + cell("result", number(contribution));
    const rest = paths - path;
    const minus = contribution.startsWith("−");
    const sum = paths === 1 ? `<span>the only path into ${math(name(parent))}</span>` :
      `<span><b>path ${path} of ${paths}</b> into ${math(name(parent))}</span>` +
      math(number(before) + `<mo>${minus ? "−" : "+"}</mo>` + number(minus ? contribution.slice(1) : contribution) +
           "<mo>=</mo>" + number(after)) + `<span>${rest ? `${rest} more to come` : "✓ complete"}</span>`;
    return {kind: "backward", what: `${math(name(node))} hands its gradient on to ${math(name(parent))}`, formula, sum,
      words: `${run.names[node]} hands on ${upstream} times ${local}, which is ${contribution}, to ` +
        `${run.names[parent]}; path ${path} of ${paths}; its gradient so far is ${after}`};
  }

  function show(at) {
    place = Math.max(0, Math.min(run.frames.length - 1, at));
    const frame = run.frames[place];
    const forward = isForward(place);
    const {kind, what, formula, sum, words} =
      forward ? forwardStep(frame) : place === run.forward ? seedStep(frame) : backwardStep(frame);
    byId("what").innerHTML = what;
    byId("formula").className = kind;
    byId("formula").innerHTML = formula;
    byId("sum").innerHTML = sum;
    const note = (!forward && frame[10]) || (place === run.frames.length - 1 && run.verdict) || "";
    byId("note").textContent = note;
    byId("spoken").textContent = `Step ${place + 1} of ${run.frames.length}. ${words}. ${note}`;
    byId("place").textContent = `${place + 1} / ${run.frames.length}`;
    byId("slider").value = place + 1;
    byId("slider").setAttribute("aria-valuetext", `step ${place + 1} of ${run.frames.length}: ${words}`);
    byId("first").disabled = byId("back").disabled = place === 0;
    byId("next").disabled = byId("last").disabled = place === run.frames.length - 1;
    byId("to-forward").setAttribute("aria-pressed", forward);
    byId("to-backward").setAttribute("aria-pressed", !forward);
    const pass = forward ? "forward" : "backward";
    paint(frame, forward);
    if (document.body.dataset.pass !== pass) {
      document.body.dataset.pass = pass;
      resize();  // the panel above the picture has another height
    }
    bringIntoView(still.matches ? "instant" : "smooth");
    hideTip();
  }

  // The picture: what every node and edge looks like at this frame

  function paint(frame, forward) {
    const value = shape.parents.map((parents) => parents.length === 0);
    const gradient = run.names.map(() => "–");
    const state = {};
    const parts = {};
    run.frames.slice(0, place + 1).forEach((past, at) => {
      if (isForward(at)) {
        value[past[0]] = true;
        shape.parents[past[0]].forEach((_, argument) => { if (forward) state[`${past[0]}_${argument}`] = "done"; });
      } else {
        const [node, argument, , , , , after = "1", path = 1, paths = 1] = past;  // the seed has a node alone
        gradient[receiver(past)] = after;
        parts[receiver(past)] = [path, paths];
        state[`${node}_${argument}`] = "done";
      }
    });
    nodes.forEach((node, i) => {
      const [got, of] = parts[i] || [0, 1];
      const constant = shape.constants[i];
      const done = forward ? value[i] : constant || got === of;
      const wrong = place === run.frames.length - 1 && run.wrong.includes(i);
      node.box.classList.remove("now", "from", "done", "part", "waiting");
      node.box.classList.add(done ? "done" : got ? "part" : "waiting");
      node.box.classList.toggle("wrong", wrong);
      write(node.value, value[i] ? run.values[i] : "…");
      write(node.gradient, forward ? "–" : gradient[i]);
      const given = constant || (forward && !shape.parents[i].length);
      node.mark.textContent = wrong ? "✗" : given ? "" : done ? "✓" : got ? `${got}/${of}` : "";
      node.box.setAttribute("aria-label", `${run.names[i]}: ${value[i] ? run.values[i] : "not computed yet"}` +
        (forward || constant ? "" : `, gradient ${gradient[i]}`) +
        (done ? ", done" : got ? `, ${got} of ${of} paths` : ", waiting"));
    });
    const target = receiver(frame);
    nodes[target].box.classList.add("now");
    const active = forward ? shape.parents[target].map((_, argument) => [target, argument])
      : frame.length > 3 ? [frame] : [];
    for (const [node, argument] of active) {
      nodes[forward ? shape.parents[node][argument] : node].box.classList.add("from");
      state[`${node}_${argument}`] = "now";
    }
    for (const [id, edge] of Object.entries(edges)) {
      edge.classList.remove("now", "done", "waiting");
      edge.classList.add(state[id] || "waiting");
    }
    label(forward || frame.length < 4 ? null : frame);
  }

  function write(field, digits) {
    if (field && field.element.textContent !== field.prefix + digits) {
      field.element.textContent = field.prefix + digits;
      set(field.element, {textLength: digits.length > ROOM ? 5.8 * ROOM : null, lengthAdjust: "spacingAndGlyphs"});
    }
  }

  // What the current edge carries, in a small tag on the edge
  function label(frame) {
    byId("picture").querySelector(".tag")?.remove();
    const path = frame && edges[`${frame[0]}_${frame[1]}`]?.querySelector("path:not(.reach)");
    if (!path) {
      return;
    }
    const tag = create("g", {class: "tag"});
    const text = create("text", {});
    text.textContent = frame[4].startsWith("−") ? frame[4] : `+${frame[4]}`;
    tag.append(text);
    path.ownerSVGElement.querySelector("g").append(tag);
    const size = text.getBBox();
    const bounds = {x: size.x - 4, y: size.y - 2, width: size.width + 8, height: size.height + 4, rx: 4};
    const {x, y} = besideBoxes(path, bounds, [nodes[frame[0]], nodes[receiver(frame)]]);
    tag.prepend(create("rect", bounds));
    set(tag, {transform: `translate(${x - bounds.x} ${y - bounds.y})`});
  }

  // Where a tag of this size covers neither of the two boxes, little of others, and is near to its edge
  function besideBoxes(path, {width, height}, two) {
    const view = path.ownerSVGElement.viewBox.baseVal;
    const [low, high] = [-view.height - 16, 10];  // Graphviz has its zero at the lower edge
    const overlap = (at, {x, y, width: w, height: h}) =>
      Math.max(0, Math.min(at.x + width, x + w + 3) - Math.max(at.x, x - 3)) *
      Math.max(0, Math.min(at.y + height, y + h + 3) - Math.max(at.y, y - 6));  // 6: its mark stands out at the top
    const places = [];
    for (const part of [0.5, 0.35, 0.65, 0.2, 0.8]) {
      const {x, y} = path.getPointAtLength(path.getTotalLength() * part);
      for (let off = 16; off < 100; off += 4) {
        for (const [right, down] of [[0, -off], [0, off], [0.4, -off], [0.4, off], [-0.4, -off], [-0.4, off]]) {
          const far = Math.hypot(right * width, down) + 20 * Math.abs(part - 0.5);
          places.push({x: x + (right - 0.5) * width, y: y + down - height / 2, far});
        }
      }
    }
    const cost = (at) => at.far + nodes.reduce((sum, {outline}) => sum + overlap(at, outline), 0) / 5;
    const free = places.filter((at) => at.y > low && at.y + height < high && !two.some((node) => overlap(at, node.outline)));
    return (free.length ? free : places).reduce((best, at) => cost(at) < cost(best) ? at : best);
  }

  // Scroll so that all of this step is seen, or the node, where there is no room for all
  function bringIntoView(behavior) {
    const view = byId("picture").getBoundingClientRect();
    const frame = run.frames[place];
    const one = nodes[receiver(frame)].box.getBoundingClientRect();
    const others = isForward(place) ? [] : [nodes[frame[0]].box, byId("picture").querySelector(".tag")];
    const all = [one, ...others.flatMap((element) => element ? [element.getBoundingClientRect()] : [])];
    const move = (low, high, size) => {  // along one axis: the names of the two sides, and of the room between them
      const [from, to] = [Math.min(...all.map((each) => each[low])), Math.max(...all.map((each) => each[high]))];
      const middle = to - from < view[size] ? (from + to) / 2 : (one[low] + one[high]) / 2;
      const seen = from >= view[low] + 12 && to <= view[high] - 12;
      return seen ? 0 : middle - (view[low] + view[high]) / 2;
    };
    const by = {left: move("left", "right", "width"), top: move("top", "bottom", "height")};
    if (by.left || by.top) {
      byId("picture").scrollBy({...by, behavior});
    }
  }

  // Building the picture of a run

  function load(index) {
    run = data.runs[index];
    const frames = run.frames.length;
    byId("slider").max = frames;
    byId("track").style.setProperty("--split", Math.max(0, run.forward - 0.5) / Math.max(1, frames - 1));
    byId("to-forward").disabled = run.forward === 0;
    byId("to-backward").disabled = run.forward === frames;
    byId("root").innerHTML = math(name(root()));
    if (shape !== data.shapes[run.shape]) {
      shape = data.shapes[run.shape];
      const picture = byId(`picture${run.shape}`);
      picture ? showSvg(picture) : showTable();
      interact();
    }
    for (const [id, edge] of Object.entries(edges)) {
      const [node, argument] = id.split("_");
      edge.setAttribute("aria-label", `from ${run.names[shape.parents[node][argument]]} to ${run.names[node]}`);
    }
  }

  function showSvg(picture) {
    byId("picture").replaceChildren(picture.content.cloneNode(true));
    const svg = byId("picture").querySelector("svg");
    nodes = run.names.map((_, i) => {
      const box = svg.querySelector(`#n${i}`);
      const [outline, ...lines] = box.querySelectorAll("path, polygon, polyline");
      outline.classList.add("outline");
      lines.forEach((line) => line.classList.add("line"));
      const texts = [...box.querySelectorAll("text")];  // the last is the gradient; a constant has none
      const gradient = shape.constants[i] ? null : field(texts.pop());
      if (gradient) {
        gradient.element.classList.add("gradient");
        texts.pop();  // what says so
      }
      const around = outline.getBBox();
      const mark = create("text", {class: "mark", x: around.x + 3, y: around.y + 3});
      box.append(mark);
      return {box, value: field(texts.pop()), gradient, mark, outline: around};
    });
    edges = {};
    shape.parents.forEach((parents, node) => parents.forEach((_, argument) => {
      const edge = svg.querySelector(`#e${node}_${argument}`);
      edge.append(set(edge.querySelector("path").cloneNode(), {class: "reach"}));
      edges[`${node}_${argument}`] = edge;
    }));
    zoom = 1;
    resize();
  }

  // Where a number stands in the picture; of a constant with a name after that: "x = 0.5"
  const field = (element) => ({element, prefix: element.textContent.match(/^(.* = )?/)[0]});

  function resize() {
    const svg = byId("picture").querySelector("svg");
    if (svg) {
      const view = byId("picture");
      const {width, height} = svg.viewBox.baseVal;
      const whole = Math.min((view.clientWidth - 24) / width, (view.clientHeight - 36) / height, 2.2);
      const scale = zoom === "whole" ? whole : (whole < 0.65 ? 0.95 : whole) * zoom;
      set(svg, {width: width * scale, height: height * scale});
    }
  }

  function enlarge(by) {
    const now = byId("picture").querySelector("svg")?.getBoundingClientRect().width;
    zoom = 1;
    resize();
    zoom = by * now / byId("picture").querySelector("svg")?.getBoundingClientRect().width;
    resize();
    show(place);
  }

  // Where no picture could be made: the nodes as a table
  function showTable() {
    const table = document.createElement("table");
    const head = ["node", "from", "data", "grad", ""].map((word) => `<th>${word}</th>`).join("");
    table.innerHTML = `<thead><tr>${head}</tr></thead><tbody></tbody>`;
    nodes = run.names.map((_, i) => {
      const box = table.tBodies[0].insertRow();
      box.id = `n${i}`;
      const from = shape.parents[i].map((parent) => math(name(parent))).join(", ");
      box.innerHTML = `<td>${math(name(i))}</td><td>${from}</td><td></td><td></td><td></td>`;
      return {box, value: field(box.cells[2]), gradient: field(box.cells[3]), mark: box.cells[4]};
    });
    edges = {};
    byId("picture").replaceChildren(table);
  }

  // Clicking a node, pointing at an edge

  function visit(node) {
    const places = run.frames.flatMap((frame, at) => receiver(frame) === node ? [at] : []);
    if (places.length) {
      go(places.find((at) => at > place) ?? places[0]);
    } else {
      const why = shape.constants[node] ? "a constant: no gradient is taken" : "given";
      tip(nodes[node].box, `${math(name(node))} is ${why}`);
    }
  }

  function localOf(node, argument) {
    const frame = run.frames.find((one) => one.length > 3 && one[0] === node && one[1] === argument);
    const parent = shape.parents[node][argument];
    if (!frame) {
      return `${math(name(parent))} is a constant: no derivative is taken with respect to it`;
    }
    const sides = new Set([fraction(name(node), name(parent)), data.pieces[frame[9]], number(frame[3])]);  // not 1 = 1
    return math([...sides].join("<mo>=</mo>")) + "<small>local derivative along this arrow</small>";
  }

  function interact() {
    const stops = nodes.map(({box}, i) => [box, () => visit(i)]);
    for (const [id, edge] of Object.entries(edges)) {
      const [node, argument] = id.split("_").map(Number);
      const tell = () => tip(edge.querySelector("path"), localOf(node, argument));
      edge.addEventListener("pointerenter", tell);
      edge.addEventListener("pointerleave", hideTip);
      edge.addEventListener("focus", tell);
      edge.addEventListener("blur", hideTip);
      edge.setAttribute("role", "img");
      stops.push([edge, tell]);
    }
    // One stop for Tab; the arrow keys up and down go on from there
    stops.forEach(([element, act], i) => {
      element.tabIndex = i ? -1 : 0;
      element.addEventListener("click", act);
      element.addEventListener("keydown", (event) => {
        const on = {ArrowDown: 1, ArrowUp: -1}[event.key];
        if (on) {
          const [other] = stops[(i + on + stops.length) % stops.length];
          stops.forEach(([each]) => { each.tabIndex = each === other ? 0 : -1; });
          other.focus();
        } else if (event.key === "Enter") {
          act();
        } else {
          return;
        }
        event.preventDefault();
      });
    });
    nodes.forEach(({box}) => box.tagName === "TR" || box.setAttribute("role", "button"));
  }

  function tip(element, inner) {
    const box = byId("tip");
    box.innerHTML = inner;
    box.hidden = false;
    const near = element.getBoundingClientRect();
    const view = byId("picture").getBoundingClientRect();
    const middle = Math.max(view.left, Math.min(view.right, (near.left + near.right) / 2));
    const left = Math.max(4, Math.min(innerWidth - box.offsetWidth - 4, middle - box.offsetWidth / 2));
    const above = Math.max(near.top, view.top) - box.offsetHeight - 6;
    box.style.left = `${left}px`;
    box.style.top = `${above > 4 ? above : Math.min(near.bottom + 6, innerHeight - box.offsetHeight - 4)}px`;
  }

  const hideTip = () => { byId("tip").hidden = true; };

  // Controls

  function pause() {
    clearTimeout(timer);
    timer = null;
    set(byId("play"), {"aria-pressed": false, "aria-label": "Play"});
  }

  function play() {
    if (place === run.frames.length - 1) {
      show(0);
    }
    set(byId("play"), {"aria-pressed": true, "aria-label": "Pause"});
    const tick = () => {
      show(place + 1);
      timer = setTimeout(place < run.frames.length - 1 ? tick : pause, Number(byId("speed").value));
    };
    timer = setTimeout(tick, Number(byId("speed").value));
  }

  const go = (at) => { pause(); show(at); };
  const actions = {
    first: () => go(0), back: () => go(place - 1), next: () => go(place + 1), last: () => go(run.frames.length - 1),
    "to-forward": () => go(0), "to-backward": () => go(run.forward), play: () => timer === null ? play() : pause(),
    smaller: () => enlarge(0.8), larger: () => enlarge(1.25), fit: () => { zoom = "whole"; resize(); bringIntoView("instant"); },
  };
  const keys = {ArrowLeft: "back", ArrowRight: "next", Home: "first", End: "last", " ": "play"};
  for (const [id, act] of Object.entries(actions)) {
    byId(id).addEventListener("click", act);
  }
  byId("slider").addEventListener("input", () => go(Number(byId("slider").value) - 1));
  byId("sample").addEventListener("change", () => {
    load(byId("sample").selectedIndex);
    go(place);
  });
  document.addEventListener("keydown", (event) => {
    const on = event.target.closest("select, input, button, a");
    const own = on && (on.matches("select, input") || event.key === " ");  // keys that the control itself takes
    if (event.key === "Escape") {
      hideTip();
    } else if (keys[event.key] && !own && !event.altKey && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      actions[keys[event.key]]();
      event.preventDefault();
      event.stopPropagation();
    }
  });
  // A mouse drags the picture; a finger and a wheel scroll it by themselves
  let dragged = null;  // from where
  byId("picture").addEventListener("pointerdown", (event) => {
    const {scrollLeft, scrollTop} = byId("picture");
    const drags = event.pointerType === "mouse" && event.button === 0 && event.target.closest("svg");
    dragged = drags ? {x: event.clientX + scrollLeft, y: event.clientY + scrollTop, far: false} : null;
  });
  addEventListener("pointermove", (event) => {
    if (dragged && event.buttons === 1) {
      const [left, top] = [dragged.x - event.clientX, dragged.y - event.clientY];
      const {scrollLeft, scrollTop} = byId("picture");
      dragged.far ||= Math.hypot(left - scrollLeft, top - scrollTop) > 4;
      if (dragged.far) {
        byId("picture").scrollTo({left, top, behavior: "instant"});
      }
    }
  });
  byId("picture").addEventListener("click", (event) => {
    if (dragged?.far) {
      event.stopPropagation();  // the end of dragging is no click on a node
    }
    dragged = null;
  }, true);
  addEventListener("resize", () => { resize(); bringIntoView("instant"); });
  byId("picture").addEventListener("scroll", hideTip);

  // Light and dark: as chosen with the button, else as the notebook around has it, else as the system has it

  const iframe = window.frameElement;  // in a notebook; null where there is none, or one of another origin
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const themes = ["automatic", "light", "dark"];
  let theme = "automatic";

  function around() {
    const light = iframe?.ownerDocument.body.dataset.jpThemeLight;
    return (light ? light === "false" : dark.matches) ? "dark" : "light";
  }

  function paintTheme() {
    document.documentElement.dataset.theme = theme === "automatic" ? around() : theme;
    set(byId("theme"), {"aria-label": `Theme: ${theme}`, title: `Theme: ${theme}`});
  }

  byId("theme").addEventListener("click", () => {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length];
    paintTheme();
  });
  dark.addEventListener("change", paintTheme);

  paintTheme();
  byId("samples").hidden = data.runs.length < 2;
  data.runs.forEach((one) => byId("sample").add(new Option(one.name)));
  load(0);
  show(0);
  if (iframe) {  // the static picture beside it has done its duty, and it takes the height that it needs
    new MutationObserver(paintTheme).observe(iframe.ownerDocument.body, {attributes: true});
    iframe.parentElement.querySelectorAll("[data-micrograd-static]").forEach((still) => { still.style.display = "none"; });
    const picture = byId("picture");
    const wanted = document.body.scrollHeight - picture.clientHeight + picture.scrollHeight;
    iframe.style.height = `${Math.max(460, Math.min(760, wanted + 16))}px`;
  }
  resize();
  bringIntoView("instant");
})();
