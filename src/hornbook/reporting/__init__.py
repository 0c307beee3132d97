"""What a run was, told on one page; two runs side by side; families drawn; ideas explained.

In: a run directory and nothing else (`recipe.toml`, `manifest.json`, `events.jsonl`, the corpus's
statistics, the baseline's results). Out: one self-contained `report.html` that opens offline, in
light and dark, with the curves as PNG files beside it; a comparison of two runs as text or page;
from a family's spec its drawing, numbers and ancestry (`hornbook show`); and short explanations
(`hornbook explain TOPIC`) kept as data in English and Chinese.

Reading (`facts`), drawing (`figures`, `svg`) and laying out (`page`, `report.html.jinja`) are kept
apart: a drawing knows no file, a page knows no event. Shares carry Wilson's interval (Wilson 1927,
"Probable inference, the law of succession, and statistical inference").
"""
