"use strict";

/* One grammar drawn at random, as far as it is looked at, and sentences of it. */
const grammar = (() => {
  /** Random numbers in [0, 1) of 53 bits, the same ones for the same seed (mulberry32). */
  function generator(seed) {
    let state = seed >>> 0;
    const word = () => {
      state = (state + 0x6d2b79f5) >>> 0;
      let t = state;
      t = Math.imul(t ^ (t >>> 15), t | 1);
      t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
      return (t ^ (t >>> 14)) >>> 0;
    };
    return () => ((word() >>> 5) * 67108864 + (word() >>> 6)) / 9007199254740992;
  }

  /**
   * The rules of one level: distinct tuples, drawn when they are first asked for. Draws without replacement are
   * exchangeable, so the order of asking does not matter, and a level of millions of rules costs what is seen of it.
   */
  function level({ v, s }, random) {
    const tuples = theory.power(v, s);
    const moved = new Map(); // Fisher-Yates on 0..tuples-1, of which only what has moved is kept
    const rules = new Map();
    return (symbol, rule) => {
      const slot = `${symbol},${rule}`;
      if (!rules.has(slot)) {
        const i = rules.size;
        const j = i + Math.floor(random() * (tuples - i));
        let number = moved.get(j) ?? j;
        moved.set(j, moved.get(i) ?? i);
        const children = [];
        for (let p = 0; p < s; p++, number = Math.floor(number / v)) children.unshift(number % v);
        rules.set(slot, children);
      }
      return rules.get(slot);
    };
  }

  function draw(rhm, seed) {
    const random = generator(seed);
    const levels = Array.from({ length: rhm.L }, () => level(rhm, random));
    const below = (n) => Math.floor(random() * n);

    /** A derivation down to `bottom`: one list a level, root first, of { symbol, rule, children }. */
    function derive(bottom) {
      const rows = [[{ symbol: below(rhm.v) }]];
      for (let l = rhm.L; l > bottom; l--) {
        const row = [];
        for (const node of rows[rows.length - 1]) {
          node.rule = below(rhm.m);
          node.children = levels[l - 1](node.symbol, node.rule);
          row.push(...node.children.map((symbol) => ({ symbol })));
        }
        rows.push(row);
      }
      return rows;
    }
    return { derive };
  }

  return { draw };
})();
