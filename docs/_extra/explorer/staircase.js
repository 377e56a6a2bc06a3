"use strict";

/* The predicted learning curves of both laws, on logarithmic axes. */
const staircase = (() => {
  const { element, indexed, raised, show } = drawing;
  const MARGIN = { left: 58, right: 14, top: 14, bottom: 46 };

  /** Powers of ten between two numbers, every second or third one where they are too many. */
  function decades(low, high, most) {
    const [first, last] = [Math.ceil(Math.log10(low)), Math.floor(Math.log10(high))];
    const stride = Math.max(1, Math.ceil((last - first) / most));
    const numbers = Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => first + i);
    return numbers.filter((n) => n % stride === 0).map((n) => 10 ** n);
  }

  /** 1, 2, 5 times powers of ten; powers alone where those are too many. */
  function ticks(low, high, most) {
    const fine = [];
    for (let n = Math.floor(Math.log10(low)); n <= Math.log10(high); n++) fine.push(10 ** n, 2 * 10 ** n, 5 * 10 ** n);
    const within = fine.filter((t) => t >= low && t <= high);
    return within.length <= most ? within : decades(low, high, most);
  }

  function scale(low, high, from, to) {
    const [a, b] = [Math.log(low), Math.log(high)];
    return (value) => from + ((Math.log(value) - a) / (b - a)) * (to - from);
  }

  /** Ranges of both axes: [P low, P high, loss low, loss high]. */
  function ranges(predictions, H, floor) {
    const P = predictions.flatMap((p) => p.sampleComplexity).filter(Number.isFinite);
    const heights = [...H, ...theory.crossingLevels(H)].map((h) => h - floor).filter((h) => h > 1e-12);
    const [low, high] = P.length ? [Math.min(...P), Math.max(...P)] : [1, 1e6];
    // with f = 1 nothing lies above the floor
    const [least, most] = heights.length ? [Math.min(...heights), Math.max(...heights)] : [0.1, 1];
    return [low / 8, high * 20, least / 1.4, most * 1.25];
  }

  /** The curve as the points of a path; a height of zero lies on the lower edge. */
  function path(prediction, floor, x, y, [Pmin, Pmax], bottom) {
    const height = (h) => (h - floor > 1e-12 ? y(h - floor) : bottom);
    const H = prediction.plateaus;
    let out = `M${x(Pmin).toFixed(1)} ${height(H[0]).toFixed(1)}`;
    prediction.sampleComplexity.forEach((P, k) => {
      if (Number.isFinite(P)) out += `H${x(P).toFixed(1)}V${height(H[k + 1]).toFixed(1)}`;
    });
    return `${out}H${x(Pmax).toFixed(1)}`;
  }

  function axes(svg, x, y, [Pmin, Pmax, low, high], width, height, excess) {
    const [right, bottom] = [width - MARGIN.right, height - MARGIN.bottom];
    for (const P of decades(Pmin, Pmax, width < 500 ? 5 : 9)) {
      svg.append(element("line", { class: "grid", x1: x(P), x2: x(P), y1: MARGIN.top, y2: bottom }));
      const label = `10${raised(Math.round(Math.log10(P)))}`;
      svg.append(element("text", { x: x(P), y: bottom + 18, "text-anchor": "middle" }, label));
    }
    for (const h of ticks(low, high, 8)) {
      svg.append(element("line", { class: "grid", x1: MARGIN.left, x2: right, y1: y(h), y2: y(h) }));
      svg.append(element("text", { x: MARGIN.left - 6, y: y(h) + 4, "text-anchor": "end" }, show(h)));
    }
    svg.append(
      element("path", { class: "axis", d: `M${MARGIN.left} ${MARGIN.top}V${bottom}H${right}` }),
      element("text", { x: (MARGIN.left + right) / 2, y: height - 6, "text-anchor": "middle" },
        "training samples ", element("tspan", { "font-style": "italic" }, "P")),
      element("text", { transform: `translate(13 ${(MARGIN.top + bottom) / 2}) rotate(-90)`, "text-anchor": "middle" },
        excess ? "loss above the floor (nats)" : "test loss (nats)"),
    );
  }

  /** Names of the plateaus at the right edge, as far as they do not run into each other. */
  function names(svg, H, floor, y, width) {
    let last = -Infinity;
    H.forEach((h, k) => {
      if (h - floor <= 1e-12 || y(h - floor) - last < 15) return;
      last = y(h - floor);
      svg.append(
        element("line", { class: "plateau", x1: MARGIN.left, x2: width - MARGIN.right, y1: last, y2: last }),
        element("text", { class: "name", x: width - MARGIN.right - 2, y: last - 7, "text-anchor": "end" },
          ...indexed("H", k)),
      );
    });
  }

  /** Line of the fitted exponent through the centre of its steps. */
  function fit(svg, prediction, law, x, y) {
    const steps = theory.fittedSteps(prediction.sampleComplexity, prediction.plateaus);
    const alpha = prediction.finiteSizeExponent;
    if (Number.isNaN(alpha)) return;
    const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
    const [P0, G0] = [mean(steps.map((t) => Math.log(t.P))), mean(steps.map((t) => Math.log(t.excess)))];
    const ends = [steps[0].P / 3, steps[steps.length - 1].P * 3];
    const [a, b] = ends.map((P) => `${x(P).toFixed(1)} ${y(Math.exp(G0 - alpha * (Math.log(P) - P0))).toFixed(1)}`);
    svg.append(element("path", { class: `fit ${law}`, d: `M${a}L${b}`, "clip-path": "url(#frame)" }));
  }

  function marker(law, cx, cy) {
    if (law === "transformer") return element("circle", { class: `marker ${law}`, cx, cy, r: 4.5 });
    return element("rect", { class: `marker ${law}`, x: cx - 4, y: cy - 4, width: 8, height: 8 });
  }

  /** Draw into an svg element; `predictions` by law, which share their plateaus. */
  function draw(svg, predictions, excess) {
    const width = Math.max(280, svg.clientWidth);
    const height = Math.round(Math.min(540, Math.max(300, width * 0.78)));
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.setAttribute("height", height);
    const H = predictions.cnn.plateaus;
    const floor = excess ? H[H.length - 1] : 0;
    const range = ranges(Object.values(predictions), H, floor);
    const bottom = height - MARGIN.bottom;
    const x = scale(range[0], range[1], MARGIN.left, width - MARGIN.right);
    const y = scale(range[2], range[3], bottom, MARGIN.top);
    const frame = { x: MARGIN.left, y: 0, width: width - MARGIN.left - MARGIN.right, height: bottom };
    svg.replaceChildren(element("clipPath", { id: "frame" }, element("rect", frame)));
    axes(svg, x, y, range, width, height, excess);
    names(svg, H, floor, y, width);
    const levels = theory.crossingLevels(H);
    for (const [law, prediction] of Object.entries(predictions)) {
      svg.append(element("path", { class: `curve ${law}`, d: path(prediction, floor, x, y, range, bottom) }));
      if (excess) fit(svg, prediction, law, x, y);
      prediction.sampleComplexity.forEach((P, k) => {
        if (!Number.isFinite(P) || levels[k] - floor <= 1e-12) return;
        const text = element("title", {}, `hidden level ${k}: P = ${show(P)}, loss ${show(H[k])} to ${show(H[k + 1])}`);
        const mark = marker(law, x(P), y(levels[k] - floor));
        mark.append(text);
        svg.append(mark);
      });
    }
  }

  return { draw };
})();
