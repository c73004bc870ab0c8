"""How the page looks."""

STYLE = """
:root { --ink: #1d2430; --soft: #5b6573; --line: #e3e6ea; --paper: #fbfaf7; --accent: #D55E00; }
* { box-sizing: border-box }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 "Source Sans 3", "Segoe UI", system-ui, sans-serif }
header { padding: 3.2rem 1.5rem 1.2rem; max-width: 68rem; margin: auto }
header p { margin: 0; color: var(--accent); letter-spacing: .14em; font-weight: 600; font-size: .85rem }
h1 { margin: .2rem 0 0; font: 600 2.4rem/1.15 Georgia, "Source Serif 4", serif }
h2 { font: 600 1.45rem/1.2 Georgia, "Source Serif 4", serif; margin: 0 0 .8rem }
h4 { margin: 1rem 0 .3rem; color: var(--soft); font-weight: 600 }
main { max-width: 68rem; margin: auto; padding: 0 1.5rem }
section { margin: 2.6rem 0; border-top: 1px solid var(--line); padding-top: 1.6rem }
.tiles { display: flex; flex-wrap: wrap; gap: 1rem; margin: 1rem 0 1.4rem }
.tile { background: white; border: 1px solid var(--line); border-radius: .7rem; padding: 1rem 1.3rem; flex: 1 1 14rem }
.tile strong { font: 600 2.2rem/1.2 Georgia, serif; display: block }
.tile p { margin: 0; color: var(--soft); font-size: .92rem }
.story { padding-left: 1.1rem } .story li { margin: .25rem 0 }
.tile p.good, b.good { color: #17765a } .tile p.bad, b.bad { color: #b3261e } b.lost { color: var(--soft) }
figure { margin: 0 0 1.2rem; background: white; border: 1px solid var(--line); border-radius: .7rem; padding: 1rem }
figure svg { width: 100%; height: auto; display: block; max-width: 60rem; margin: auto }
figcaption { color: var(--soft); font-size: .9rem; margin-top: .5rem }
details { margin: .35rem 0 } summary { cursor: pointer; color: var(--ink) }
section > details > summary { font-weight: 600; color: var(--accent) }
details.kind { margin-left: 1rem } details.play { margin-left: 2rem }
.wide { overflow-x: auto } table { border-collapse: collapse; font-size: .88rem; width: 100%; background: white }
th { text-align: left; color: var(--soft); font-weight: 600; border-bottom: 2px solid var(--line) }
th, td { padding: .3rem .7rem .3rem .4rem; vertical-align: top } td { border-bottom: 1px solid var(--line) }
td { font-variant-numeric: tabular-nums; overflow-wrap: anywhere } tr.ours td { background: #fdf1e7; font-weight: 600 }
.wide td:not(:first-child) { white-space: normal; min-width: 4rem }
pre, .said { white-space: pre-wrap; overflow-wrap: anywhere; font: .86rem/1.45 ui-monospace, Menlo, monospace }
pre { background: white; border-left: 3px solid var(--accent); padding: .6rem .9rem; margin: .5rem 0 }
.said, pre, dd, td { unicode-bidi: isolate }
td.said { min-width: 16rem }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem .9rem; margin: .6rem 0 }
dt { color: var(--soft) } dd { margin: 0 }
footer { max-width: 68rem; margin: 3rem auto; padding: 1.2rem 1.5rem; color: var(--soft); font-size: .88rem;
  border-top: 1px solid var(--line) }
""".strip()
