"use strict";

/* SVG elements, and numbers as people read them. */
const drawing = (() => {
  const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";

  function element(name, attributes = {}, ...children) {
    const out = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) out.setAttribute(key, value);
    out.append(...children);
    return out;
  }

  function raised(n) {
    return (n < 0 ? "⁻" : "") + [...String(Math.abs(n))].map((digit) => SUPERSCRIPTS[digit]).join("");
  }

  /** A symbol with a subscript, as a piece of SVG text. */
  function indexed(name, index) {
    const sub = element("tspan", { "font-size": "75%", dy: "0.3em" }, String(index));
    return [element("tspan", { "font-style": "italic" }, name), sub];
  }

  /** Three digits, without zeros at the end unless they are asked for; powers of ten from 10⁴ on. */
  function show(x, zeros = false) {
    if (Number.isNaN(x)) return "—";
    if (x === Infinity) return "∞";
    if (x === 0) return "0";
    const order = Math.floor(Math.log10(x) + 1e-12);
    if (order >= 4 || order < -3) return `${(x / 10 ** order).toFixed(2)}×10${raised(order)}`;
    const digits = x.toFixed(Math.max(0, 2 - order));
    return zeros ? digits : digits.replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");
  }

  return { element, indexed, raised, show };
})();
