// Measures a report at several widths inside iframes of the same origin and writes what it found
// into the document: one JSON object a width. Runs in the browser test only.
'use strict';

function shown(element) {
  for (let e = element; e; e = e.parentElement) {
    const style = e.ownerDocument.defaultView.getComputedStyle(e);
    if (style.display === 'none' || style.visibility === 'hidden') return false;
    if (style.clipPath !== 'none') return false;
  }
  return true;
}

function textBoxes(document) {
  const boxes = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const parent = node.parentElement;
    if (!node.data.trim() || parent.closest('title, desc, style') || !shown(parent)) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const rect of range.getClientRects()) {
      if (rect.width < 1 || rect.height < 1) continue;
      boxes.push({ node, parent, text: node.data.trim().slice(0, 40), rect });
    }
  }
  return boxes;
}

function overlaps(boxes) {
  const found = [];
  boxes.sort((a, b) => a.rect.top - b.rect.top);
  for (let i = 0; i < boxes.length; i++) {
    for (let j = i + 1; j < boxes.length && boxes[j].rect.top < boxes[i].rect.bottom; j++) {
      if (boxes[i].node === boxes[j].node) continue;
      const a = boxes[i].rect, b = boxes[j].rect;
      const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (wide > 1 && high > 2) found.push(boxes[i].text + ' / ' + boxes[j].text);
    }
  }
  return found;
}

function rgb(text) {
  const parts = text.match(/[\d.]+/g).map(Number);
  return { r: parts[0], g: parts[1], b: parts[2], a: parts.length > 3 ? parts[3] : 1 };
}

function luminance({ r, g, b }) {
  const linear = [r, g, b].map((v) => {
    const c = v / 255;
    return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
}

// Contrast of two colours as grey tones: what remains of them in black and white.
function contrast(one, other) {
  const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}

function ground(element) {
  for (let e = element; e; e = e.parentElement) {
    const colour = rgb(e.ownerDocument.defaultView.getComputedStyle(e).backgroundColor);
    if (colour.a > 0.99) return colour;
  }
  return { r: 255, g: 255, b: 255 };
}

function faint(document, boxes) {
  const found = new Set();
  for (const { parent, text } of boxes) {
    const style = document.defaultView.getComputedStyle(parent);
    const ink = rgb(parent.namespaceURI.endsWith('svg') ? style.fill : style.color);
    const ratio = contrast(ink, ground(parent));
    if (ratio < 4.5) found.add(text + ': ' + ratio.toFixed(2));
  }
  return [...found];
}

function faintShapes(document) {
  const style = (e) => document.defaultView.getComputedStyle(e);
  const found = new Set();
  for (const line of document.querySelectorAll('.chart .line')) {
    const stroke = rgb(style(line).stroke);
    const band = line.parentElement.querySelector('.band');
    const grounds = [ground(line), rgb(style(band).fill)];
    for (const other of grounds) if (contrast(stroke, other) < 3) found.add('line ' + other.r);
  }
  for (const mark of document.querySelectorAll('.mark')) {
    if (!mark.querySelector('svg.sign') || !mark.textContent.trim()) found.add('mark without sign or word');
  }
  return [...found];
}

function measure(frame) {
  const document = frame.contentDocument;
  const root = document.documentElement;
  const boxes = textBoxes(document);
  const fonts = boxes.map(({ parent, rect }) =>
    parent.namespaceURI.endsWith('svg') ? rect.height / 1.17
      : parseFloat(document.defaultView.getComputedStyle(parent).fontSize));
  return {
    width: frame.width,
    client: root.clientWidth,
    scroll: Math.max(root.scrollWidth, document.body.scrollWidth),
    texts: boxes.length,
    smallest: Math.min(...fonts),
    outside: boxes.filter(({ rect }) => rect.left < -0.5 || rect.right > root.clientWidth + 0.5)
      .map(({ text }) => text),
    overlaps: overlaps(boxes),
    faint: faint(document, boxes),
    shapes: faintShapes(document),
    scripts: document.scripts.length,
    images: document.images.length,
    charts: document.querySelectorAll('svg.chart').length,
  };
}

addEventListener('load', () => {
  const results = [...document.querySelectorAll('iframe')].map(measure);
  const out = document.createElement('pre');
  out.id = 'measured';
  out.textContent = JSON.stringify(results);
  document.querySelectorAll('iframe').forEach((frame) => frame.remove());
  document.body.append(out);
});
