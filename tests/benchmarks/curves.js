// Of each curve of asv's main graph: its label, the commits where it has a point, and whether its
// colour is on flot's canvas, where the legend is not.
() => {
  const plot = $("#main-graph").data("plot");
  if (!plot) return [];
  const canvas = plot.getCanvas();
  const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  const colours = new Set();
  for (let i = 0; i < pixels.length; i += 4) {
    colours.add(`rgb(${pixels[i]},${pixels[i + 1]},${pixels[i + 2]})`);
  }
  return plot.getData().map((curve) => ({
    label: curve.label,
    commits: curve.data
      .filter(([, value]) => value !== null)
      .map(([revision]) => $.asv.get_commit_hash(revision)),
    painted: colours.has(curve.color),
  }));
}
