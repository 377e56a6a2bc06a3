"use strict";

/* The page: reads the language, computes, and shows; everything follows from one state. */
const explorer = (() => {
  const NAMES = ["v", "m", "s", "L"];
  const { show } = drawing;
  const $ = (id) => document.getElementById(id);
  const state = { rhm: { v: 16, m: 4, s: 2, L: 4 }, seed: 1, excess: false, applied: 4, predictions: null };
  let language = null; // the grammar that is drawn
  let rows = [];
  let growing = 0;
  let speaking = 0;

  /** Show a number, and keep it with all digits for those who read the page by program. */
  function put(cell, value, zeros = false) {
    cell.textContent = show(value, zeros);
    cell.dataset.value = String(value);
    return cell;
  }

  function cell(name, ...content) {
    const out = document.createElement(name);
    out.append(...content);
    return out;
  }

  /** A number of samples, and below it by what it exceeds the step before. */
  function samples(P, k) {
    const out = put(cell("td"), P[k]);
    if (k > 0 && Number.isFinite(P[k])) {
      const factor = cell("span", `×${show(P[k] / P[k - 1])}`);
      factor.className = "factor";
      out.append(factor);
    }
    return out;
  }

  function showSteps({ transformer, cnn }) {
    const H = cnn.plateaus;
    const body = cnn.sampleComplexity.map((_, k) => {
      const row = document.createElement("tr");
      const head = cell("th", String(k));
      head.scope = "row";
      const loss = cell("td", put(cell("span"), H[k], true), " → ", put(cell("span"), H[k + 1], true));
      row.append(head, loss, samples(transformer.sampleComplexity, k), samples(cnn.sampleComplexity, k));
      return row;
    });
    $("steps").tBodies[0].replaceChildren(...body);
  }

  function showExponents(predictions) {
    for (const target of document.querySelectorAll("#exponents td[data-law]")) {
      put(target, predictions[target.dataset.law][target.dataset.name]);
    }
    $("exponent-note").textContent = exponentNote();
  }

  function exponentNote() {
    const { m, L } = state.rhm;
    if (theory.fraction(state.rhm) === 1) {
      return "With f = 1 every tuple is grammatical: siblings are independent, there is no correlation to learn from, " +
        "and no number of samples suffices.";
    }
    if (m === 1) return "With m = 1 no level costs more samples than the first: all steps come at once.";
    const many = "The loss falls by f per level: α = ln(1/f) / ln(step factor).";
    if (L === 1) return `${many} One level is one step, which has no slope.`;
    const which = L > 2 ? "k ≥ 1" : "both";
    return `${many} The staircase has few steps, and a floor: its own exponent is the slope through the points ` +
      `where it crosses between plateaus (steps ${which}), as it would be measured.`;
  }

  function summary({ transformer, cnn }) {
    const { v, m, s, L } = state.rhm;
    const last = (p) => show(p.sampleComplexity[L - 1]);
    if (theory.fraction(state.rhm) === 1) {
      return `v = ${v}, m = ${m}, s = ${s}: all tuples are grammatical, f = 1. Nothing can be learnt, and the loss stays ` +
        `at ln v = ${show(Math.log(v), true)} nats.`;
    }
    return `With v = ${v}, m = ${m}, s = ${s}, L = ${L}, all ${L === 1 ? "of the one level" : `${L} levels`} take about ` +
      `${last(transformer)} samples without weight sharing (transformer) and ${last(cnn)} with it (CNN). ` +
      `The loss comes down from ${show(cnn.plateaus[0], true)} to ${show(cnn.plateaus[L], true)} nats.`;
  }

  // --- the derivation tree ------------------------------------------------------------------------------

  function newSentence() {
    rows = language.derive(tree.bottom(state.rhm));
    $("grown").max = String(rows.length - 1);
    state.applied = rows.length - 1;
    drawTree();
  }

  function newGrammar() {
    language = grammar.draw(state.rhm, state.seed);
    newSentence();
  }

  function treeNote() {
    const { v, s, L } = state.rhm;
    const start = `Symbols are numbered 1 to ${v} at each level, and each is written by one of its rules, drawn at random. `;
    if (rows.length <= L) {
      const tokens = theory.power(s, L);
      return `${start}The sentence has ${show(tokens)} tokens; the tree is drawn down to level ${L - rows.length + 1}, ` +
        `where it has ${rows[rows.length - 1].length} nodes.`;
    }
    return `${start}The network is asked for the last token (ringed). The thick line is the chain of ` +
      "hidden symbols above it; brackets are the context that each loss plateau needs.";
  }

  function rulesInUse() {
    const out = [];
    rows.slice(0, state.applied).forEach((row, depth) => {
      const lines = new Map();
      for (const node of row) {
        lines.set(`${node.symbol},${node.rule}`, `${node.symbol + 1} → ${node.children.map((c) => c + 1).join(" ")}`);
      }
      const block = cell("p", cell("b", `level ${state.rhm.L - depth}`));
      for (const line of [...lines.values()].sort((a, b) => parseInt(a) - parseInt(b))) block.append(line, cell("br"));
      out.push(block);
    });
    $("rules").replaceChildren(...out);
  }

  function drawTree() {
    const slider = $("grown");
    slider.value = String(state.applied);
    slider.setAttribute("aria-valuetext", `${state.applied} of ${rows.length - 1} levels of rules applied`);
    const shown = rows[state.applied];
    tree.draw($("tree"), state.rhm, rows, state.applied);
    $("tree").setAttribute("aria-label", `Derivation tree after ${state.applied} levels of rules; its lowest row reads ` +
      shown.map((node) => node.symbol + 1).join(" "));
    $("tree-note").textContent = treeNote();
    rulesInUse();
  }

  function grow() {
    clearInterval(growing);
    state.applied = 0;
    drawTree();
    growing = setInterval(() => {
      state.applied++;
      drawTree();
      if (state.applied >= rows.length - 1) clearInterval(growing);
    }, 650);
  }

  // --- all of it ----------------------------------------------------------------------------------------

  function drawCurve() {
    staircase.draw($("staircase"), state.predictions, state.excess);
    $("staircase").setAttribute("aria-label", `Predicted loss against training samples. ${summary(state.predictions)}`);
  }

  /** Say it once the hand rests: a moving slider would speak at every step. What is wrong is said at once. */
  function say(text, delay) {
    clearTimeout(speaking);
    speaking = setTimeout(() => { $("summary").textContent = text; }, delay);
  }

  function showProblem(found) {
    $("answer").classList.toggle("warning", Boolean(found));
    $("results").hidden = Boolean(found);
    $("mend").hidden = !found?.fix;
    if (found?.fix) {
      const changed = NAMES.filter((name) => found.fix[name] !== state.rhm[name]);
      $("mend").textContent = `Set ${changed.map((name) => `${name} = ${found.fix[name]}`).join(", ")}`;
      $("mend").onclick = () => set(found.fix);
    }
  }

  function update() {
    clearInterval(growing);
    const { rhm } = state;
    const found = theory.problem(rhm);
    showProblem(found);
    const known = NAMES.every((name) => Number.isInteger(rhm[name]));
    for (const name of NAMES) $(name).setCustomValidity(found && (!found.fix || found.fix[name] !== rhm[name]) ? found.text : "");
    put($("f"), known ? theory.fraction(rhm) : NaN);
    put($("d"), known ? theory.power(rhm.s, rhm.L) : NaN);
    if (found) return say(found.text, 0);
    const H = theory.plateaus(rhm);
    state.predictions = Object.fromEntries(theory.LAWS.map((law) => [law, theory.predict(rhm, law, H)]));
    showSteps(state.predictions);
    showExponents(state.predictions);
    drawCurve();
    newGrammar();
    $("python").textContent = `rt.predict(rt.RHM(v=${rhm.v}, m=${rhm.m}, s=${rhm.s}, L=${rhm.L}), "cnn")`;
    history.replaceState(null, "", `#v=${rhm.v}&m=${rhm.m}&s=${rhm.s}&L=${rhm.L}&seed=${state.seed}`);
    return say(summary(state.predictions), 200);
  }

  function set(rhm) {
    state.rhm = { ...state.rhm, ...rhm };
    for (const name of NAMES) $(name).value = $(`${name}-slider`).value = String(state.rhm[name]);
    update();
  }

  /** The setting that the address names, so that a link shows what was seen. */
  function fromAddress() {
    const given = new URLSearchParams(location.hash.slice(1));
    const number = (name) => (given.has(name) ? Number(given.get(name)) : NaN);
    const named = NAMES.filter((name) => Number.isInteger(number(name)));
    if (Number.isInteger(number("seed"))) state.seed = number("seed");
    set(Object.fromEntries(named.map((name) => [name, number(name)])));
  }

  function listen() {
    for (const name of NAMES) {
      const [slider, field] = [$(`${name}-slider`), $(name)];
      slider.addEventListener("input", () => {
        field.value = slider.value;
        state.rhm[name] = Number(slider.value);
        update();
      });
      field.addEventListener("input", () => {
        state.rhm[name] = field.value === "" ? NaN : Number(field.value);
        slider.value = field.value;
        update();
      });
    }
    $("controls").addEventListener("submit", (event) => event.preventDefault());
    for (const button of document.querySelectorAll("[data-setting]")) {
      const [v, m, s, L] = button.dataset.setting.split(" ").map(Number);
      button.addEventListener("click", () => set({ v, m, s, L }));
    }
    for (const radio of document.querySelectorAll("[name=axis]")) {
      radio.addEventListener("change", () => {
        state.excess = radio.value === "excess";
        drawCurve();
      });
    }
    $("grown").addEventListener("input", () => {
      clearInterval(growing);
      state.applied = Number($("grown").value);
      drawTree();
    });
    $("grow").addEventListener("click", grow);
    $("sentence").addEventListener("click", () => { clearInterval(growing); newSentence(); });
    $("grammar").addEventListener("click", () => { state.seed++; update(); });
    window.addEventListener("hashchange", fromAddress);
    new ResizeObserver(() => {
      if ($("results").hidden) return;
      drawCurve();
      drawTree();
    }).observe($("results"));
  }

  listen();
  fromAddress();
  return { state };
})();
