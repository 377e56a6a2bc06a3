"use strict";

/* A derivation tree, from the root down, with the context that each plateau needs below it. */
const tree = (() => {
  const { element, indexed } = drawing;
  const MOST = 64; // nodes side by side that can still be told apart
  // Okabe and Ito's colours but black, with the ink that is read on each
  const COLOURS = [
    ["#e69f00", "#000"], ["#56b4e9", "#000"], ["#009e73", "#000"], ["#f0e442", "#000"],
    ["#0072b2", "#fff"], ["#d55e00", "#fff"], ["#cc79a7", "#000"],
  ];

  /** Lowest level that is drawn: 0, the tokens, or the last one of at most 64 nodes. */
  function bottom({ s, L }) {
    let level = L;
    while (level > 0 && theory.power(s, L - level + 1) <= MOST) level--;
    return level;
  }

  function node(item, x, y, radius, target, text) {
    const [fill, ink] = COLOURS[item.symbol % COLOURS.length];
    const out = element("g", { class: target ? "node target" : "node" });
    out.append(element("title", {}, text), element("circle", { cx: x, cy: y, r: radius, fill }));
    if (radius >= 7) {
      const size = Math.min(13, radius * (item.symbol > 99 ? 0.85 : 1.05));
      out.append(element("text", {
        x, y: y + size * 0.36, fill: ink, "font-size": size, "text-anchor": "middle",
      }, String(item.symbol + 1)));
    }
    return out;
  }

  function label(item, level) {
    const head = `level ${level}, symbol ${item.symbol + 1}`;
    if (!item.children) return head;
    return `${head}: rule ${item.rule + 1} writes ${item.children.map((c) => c + 1).join(" ")}`;
  }

  /** Brackets below the tokens: the s^k - 1 tokens before the last one, from which H_k is predicted. */
  function contexts(svg, { s, L }, at, y, spacing) {
    const last = theory.power(s, L) - 1;
    for (let k = 1; k <= L; k++) {
      const [from, to] = [at(last - theory.power(s, k) + 1) - spacing * 0.35, at(last - 1) + spacing * 0.35];
      const height = y + (k - 1) * 17;
      svg.append(
        element("path", { class: "context", d: `M${from} ${height - 4}v4H${to}v-4` }),
        element("text", { class: "name", x: Math.max(at(last) - 7, to + 4), y: height + 2 }, ...indexed("H", k)),
      );
    }
  }

  /**
   * Draw `rows` (root first) into an svg element, `applied` levels of rules of them.
   * Positions stay where they are in the whole tree, so that it grows downwards.
   */
  function draw(svg, rhm, rows, applied) {
    const { s, L } = rhm;
    const width = Math.max(280, svg.clientWidth);
    const left = width < 500 ? 20 : 62;
    const count = rows[rows.length - 1].length;
    const spacing = (width - left - 24) / count;
    const radius = Math.max(2, Math.min(15, spacing * 0.42));
    const floor = 24 + (rows.length - 1) * 58;
    const whole = rows.length === L + 1;
    const height = floor + radius + (whole ? 34 + L * 17 : 34);
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.setAttribute("height", height);
    svg.replaceChildren();

    const place = (depth, i) => {
      const below = count / rows[depth].length;
      return [left + (i * below + below / 2) * spacing, 24 + depth * 58];
    };
    const size = (depth) => Math.max(radius, Math.min(15, (radius * count) / rows[depth].length));
    const edges = element("g", { class: "edges" });
    const nodes = element("g");
    rows.slice(0, applied + 1).forEach((row, depth) => {
      const level = L - depth;
      const name = width < 500 ? String(level) : level === L ? "root" : level === 0 ? "tokens" : `level ${level}`;
      svg.append(element("text", { class: "name", x: 2, y: place(depth, 0)[1] + 4 }, name));
      row.forEach((item, i) => {
        const [x, y] = place(depth, i);
        const last = i === row.length - 1;
        if (depth > 0) {
          const [px, py] = place(depth - 1, Math.floor(i / s));
          edges.append(element("line", { x1: px, y1: py, x2: x, y2: y, class: last ? "spine" : "" }));
        }
        nodes.append(node(item, x, y, size(depth), last && level === 0, label(item, level)));
        if (depth === rows.length - 1 && !whole) {
          nodes.append(element("circle", { class: "more", cx: x, cy: y + radius + 8, r: 1.2 }));
          nodes.append(element("circle", { class: "more", cx: x, cy: y + radius + 13, r: 1.2 }));
        }
      });
    });
    svg.append(edges, nodes);
    if (whole && applied === L) contexts(svg, rhm, (i) => place(L, i)[0], floor + radius + 20, spacing);
  }

  return { MOST, bottom, draw };
})();
