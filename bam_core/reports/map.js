// Makes the pictures of the maps into points with a name under the pointer, coloured by what the reader chooses.
(() => {
  const { ids, schemes, layouts } = JSON.parse(document.getElementById("map-data").textContent);
  const make = (tag, attributes, parent) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    return parent.appendChild(node);
  };
  const shapes = {
    o: (x, y, r) => `M${x - r},${y}a${r},${r} 0 1 0 ${2 * r},0a${r},${r} 0 1 0 ${-2 * r},0z`,
    "^": (x, y, r) => `M${x},${y - 1.2 * r}l${1.1 * r},${2 * r}h${-2.2 * r}z`,
    s: (x, y, r) => `M${x - r},${y - r}h${2 * r}v${2 * r}h${-2 * r}z`,
    x: (x, y, r) => `M${x - r},${y - r}l${2 * r},${2 * r}M${x + r},${y - r}l${-2 * r},${2 * r}`,
  };
  const places = [...document.querySelectorAll("#map-figure .picture")];
  const legend = document.querySelector("#map-figure .legend");
  const drawn = layouts.map(({ rows, x, y }, i) => {
    const old = places[i].querySelector("img");
    const svg = make("svg", { viewBox: "0 0 1000 900", role: "img", "aria-label": old.alt }, places[i]);
    old.remove();
    const r = Math.max(5, Math.min(11, 200 / Math.sqrt(rows.length)));
    return rows.map((row, k) => {
      const node = make("path", {}, svg);
      const title = make("title", {}, node);
      return { row, x: x[k], y: y[k], r, node, title };
    });
  });
  const paint = ({ styles, style_of }) => {
    for (const point of drawn.flat()) {
      const { colour, marker } = styles[style_of[point.row]];
      point.node.setAttribute("d", shapes[marker](point.x, point.y, point.r));
      point.node.setAttribute("fill", marker === "x" ? "none" : colour);
      point.node.setAttribute("stroke", marker === "x" ? colour : "white");
      const facts = schemes.filter((s) => s.names).map((s) => `${s.of}: ${s.names[point.row]}`);
      point.title.textContent = [ids[point.row], ...facts].join("\n");
    }
    if (!legend) return;
    legend.replaceChildren(...styles.map(({ name: text, colour, symbol, n }) => {
      const item = document.createElement("li"), mark = document.createElement("span");
      mark.textContent = symbol;
      mark.style.color = colour;
      item.append(mark, ` ${text} (${n})`);
      return item;
    }));
  };
  if (schemes.length > 1) {
    const label = document.createElement("label"), choice = document.createElement("select");
    label.append("Colours: ", choice);
    for (const scheme of schemes) choice.add(new Option(scheme.of));
    choice.onchange = () => paint(schemes[choice.selectedIndex]);
    legend.before(label);
  }
  paint(schemes[0]);
})();
