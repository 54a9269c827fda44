"""Opens a report in headless Chromium without a network, and prints what the page holds as JSON.

Screenshots and the PDF go to a folder. Without a browser it prints the reason.
"""

import json
import pathlib
import shutil
import sys

report, folder = (pathlib.Path(argument) for argument in sys.argv[1:])
# The space of an A4 page with the report's margins of 1.6 cm, in CSS pixels.
PRINT_WIDTH = 673

try:
    from playwright.sync_api import sync_playwright
except ImportError:
    print(json.dumps({"skipped": "the Python environment has no `playwright`: install `tests/python/requirements.txt`"}))
    sys.exit()
browsers = ["chromium", "chromium-browser", "google-chrome"]
executable = next(filter(None, map(shutil.which, browsers)), None)
if executable is None:
    print(json.dumps({"skipped": "no browser is installed: install the Debian package `chromium`"}))
    sys.exit()

MEASURE = """() => ({
  page: document.documentElement.scrollWidth,
  window: document.documentElement.clientWidth,
  background: getComputedStyle(document.body).backgroundColor,
  ink: getComputedStyle(document.body).color,
})"""
SECTIONS = """() => Object.fromEntries([...document.querySelectorAll("section[id]")].map(
  section => [section.id, section.getBoundingClientRect().height]))"""
LINKS = """() => [...document.querySelectorAll("nav a")].map(
  link => document.querySelector(link.getAttribute("href")) ? null : link.href).filter(Boolean)"""
CUT = """() => [...document.querySelectorAll("table, .chart > svg, .slice, pre, li")]
  .filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
  .map(e => e.outerHTML.slice(0, 200))"""
CAPTIONS = """() => [...document.querySelectorAll("caption, figcaption")]
  .filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
  .map(e => e.outerHTML.slice(0, 200))"""
# The numbers under a slice must not run into the next one.
OVERLAP = """() => [...document.querySelectorAll(".slices > div, .panels > div, .flow > li")]
  .filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.outerHTML.slice(0, 200))"""

found = {"views": [], "errors": [], "requests": []}
with sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
    for scheme in ["light", "dark"]:
        for width in [1280, 390]:
            context = browser.new_context(
                viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
            )
            page = context.new_page()
            page.on("console", lambda message: found["errors"].append(message.text))
            page.on("pageerror", lambda error: found["errors"].append(str(error)))
            page.on("requestfailed", lambda request: found["errors"].append(request.url[:200]))
            page.on("request", lambda request: found["requests"].append(request.url[:200]))
            page.goto(report.resolve().as_uri())
            screenshot = folder / f"{scheme}-{width}.png"
            page.screenshot(path=screenshot, full_page=True)
            view = {"scheme": scheme, "width": width, "screenshot": str(screenshot)}
            view |= page.evaluate(MEASURE) | {"overlap": page.evaluate(OVERLAP)}
            view["cut_captions"] = page.evaluate(CAPTIONS)
            found["views"].append(view)
            found["sections"] = page.evaluate(SECTIONS)
            found["dead_links"] = page.evaluate(LINKS)
            context.close()
    page = browser.new_page(viewport={"width": PRINT_WIDTH, "height": 900}, color_scheme="dark")
    page.goto(report.resolve().as_uri())
    page.emulate_media(media="print", color_scheme="dark")
    found["print"] = page.evaluate(MEASURE) | {"cut": page.evaluate(CUT)}
    page.pdf(path=folder / "report.pdf", format="A4", prefer_css_page_size=True)
    found["pdf"] = str(folder / "report.pdf")
    browser.close()
print(json.dumps(found))
