"use strict";

/*
 * The predictions of rhmtheory for ensembles whose levels are alike: published sample complexities, the chain of
 * compatible symbols, exponents. Same definitions and same numbers as the library; tests compare them.
 *
 * Classic scripts with one name each, not ES modules: browsers refuse to load those from a file on disk.
 */
const theory = (() => {
  // within these, v**s is at most 2**48 and every count is an exact float
  const BOUNDS = { v: [2, 256], m: [1, 4096], s: [2, 6], L: [1, 12] };
  const LAWS = ["transformer", "cnn"];

  function power(base, exponent) {
    let out = 1;
    for (let i = 0; i < exponent; i++) out *= base;
    return out;
  }

  /** Why there is no such ensemble, and the nearest one that exists: null, or { text, fix }. */
  function problem(rhm) {
    for (const [name, [low, high]] of Object.entries(BOUNDS)) {
      const value = rhm[name];
      if (!Number.isInteger(value)) return { text: `${name} must be a whole number from ${low} to ${high}.`, fix: null };
      if (value < low || value > high) {
        const fix = { ...rhm, [name]: Math.min(Math.max(value, low), high) };
        const more = value > high ? " The Python library goes further." : "";
        return { text: `${name} = ${value}: this page computes from ${name} = ${low} to ${high}.${more}`, fix };
      }
    }
    const { v, m, s } = rhm;
    const most = power(v, s - 1);
    if (m <= most) return null;
    return {
      text:
        `There is no such language. ${v} symbols with ${m} rules each need ${v * m} different tuples of ${s} symbols, ` +
        `and there are only ${power(v, s)} (v to the power of s). So m can be at most ${most}.`,
      fix: { ...rhm, m: most },
    };
  }

  /** Fraction of the tuples that are grammatical. */
  function fraction({ v, m, s }) {
    return m / power(v, s - 1);
  }

  /** Samples P_k, k = 0..L-1. */
  function sampleComplexity(rhm, law) {
    const { v, m, L } = rhm;
    const silent = 1 - fraction(rhm);
    const rules = (k) => (k === 0 ? 1 : law === "cnn" ? k + 2 : 2 * k + 1);
    return Array.from({ length: L }, (_, k) => (v * power(m, rules(k))) / silent);
  }

  /** Probabilities of 0..draws marked items among `draws` of a population, by ratios of neighbours. */
  function hypergeometric(population, marked, draws) {
    const least = Math.max(0, draws - (population - marked));
    const most = Math.min(draws, marked);
    const logs = new Float64Array(draws + 1).fill(-Infinity);
    logs[least] = 0;
    let largest = 0;
    for (let j = least; j < most; j++) {
      const up = (marked - j) * (draws - j);
      const down = (j + 1) * (population - marked - draws + j + 1);
      logs[j + 1] = logs[j] + Math.log(up) - Math.log(down);
      largest = Math.max(largest, logs[j + 1]);
    }
    const p = logs.map((x) => Math.exp(x - largest));
    const total = p.reduce((a, b) => a + b, 0);
    return p.map((x) => x / total);
  }

  /**
   * Loss plateaus H_0..H_L in nats: H_k = E[ln n_k], n_0 = v and n_(k+1) = 1 + Hypergeom(v^s - 1, m n_k - 1, v - 1),
   * the number of symbols that k levels of context leave possible.
   */
  function plateaus({ v, m, s, L }) {
    const tuples = power(v, s);
    const steps = Array.from({ length: v }, (_, i) => hypergeometric(tuples - 1, m * (i + 1) - 1, v - 1));
    let probability = new Float64Array(v); // [i]: that i + 1 symbols are possible
    probability[v - 1] = 1;
    const out = [];
    for (let k = 0; k <= L; k++) {
      out.push(probability.reduce((sum, p, i) => sum + p * Math.log(i + 1), 0));
      const next = new Float64Array(v);
      steps.forEach((row, i) => {
        if (probability[i] > 0) row.forEach((p, j) => { next[j] += probability[i] * p; });
      });
      probability = next;
    }
    return out;
  }

  /** Factor in samples from one hidden level to the next, k >= 1. */
  function stepFactor({ m }, law) {
    return law === "cnn" ? m : m * m;
  }

  /** Exponent of the excess loss for many levels. */
  function exponent(rhm, law) {
    const step = Math.log(stepFactor(rhm, law));
    return step === 0 ? Infinity : Math.log(1 / fraction(rhm)) / step;
  }

  /** Loss at which step k counts as made: the geometric mean of H_k and H_(k+1). */
  function crossingLevels(H) {
    return H.slice(1).map((after, k) => Math.sqrt(H[k] * after));
  }

  /**
   * Steps that enter the fit: from k = 1 on (all, where there are only two), as far as they are reached, and as far as
   * what is left of them is more than rounding.
   */
  function fittedSteps(P, H) {
    const floor = H[H.length - 1];
    const first = P.length > 2 ? 1 : 0;
    return crossingLevels(H)
      .map((level, k) => ({ k, P: P[k], excess: level - floor }))
      .filter((step) => step.k >= first && Number.isFinite(step.P) && step.excess > 1e-9 * floor);
  }

  /** Minus the slope of ln(G_k - H_L) against ln P_k; NaN with fewer than two steps. */
  function staircaseExponent(P, H) {
    const steps = fittedSteps(P, H);
    if (new Set(steps.map((step) => step.P)).size < 2) return NaN;
    const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
    const x = steps.map((step) => Math.log(step.P));
    const y = steps.map((step) => Math.log(step.excess));
    const [x0, y0] = [mean(x), mean(y)];
    const covariance = mean(x.map((value, i) => (value - x0) * (y[i] - y0)));
    return -covariance / mean(x.map((value) => (value - x0) ** 2));
  }

  /** All of it for one law, "transformer" (no weight sharing) or "cnn" (sharing). */
  function predict(rhm, law, H = plateaus(rhm)) {
    const P = sampleComplexity(rhm, law);
    return {
      sampleComplexity: P,
      plateaus: H,
      stepFactor: stepFactor(rhm, law),
      exponent: exponent(rhm, law),
      finiteSizeExponent: staircaseExponent(P, H),
    };
  }

  return { BOUNDS, LAWS, power, problem, fraction, plateaus, predict, crossingLevels, fittedSteps };
})();
