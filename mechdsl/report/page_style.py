"""How pages and notebooks look. Colours are named once for light and once for dark; a notebook's own theme decides for
what stands in it.
"""

from __future__ import annotations

__all__ = ["STYLE"]

_LIGHT = (
    "--ink:#1f2328;--paper:#ffffff;--soft:#59636e;--rule:#d1d9e0;--tint:#f6f8fa;--link:#0a5bc4;--good:#14702e;"
    "--bad:#b3261e;--keyword:#8a1c7c;--string:#0b6135;--number:#0a4fa3;"
)
_DARK = (
    "--ink:#e6edf3;--paper:#0f1419;--soft:#9aa6b2;--rule:#3a434d;--tint:#1a2129;--link:#79b8ff;--good:#5bd27a;"
    "--bad:#ff8a80;--keyword:#e3a1dc;--string:#8fd6a5;--number:#8cc2ff;"
)

STYLE = (
    f"""
.mechdsl{{{_LIGHT}}}
@media (prefers-color-scheme:dark){{.mechdsl{{{_DARK}}}}}
[data-jp-theme-light="true"] .mechdsl,.vscode-light .mechdsl{{{_LIGHT}}}
[data-jp-theme-light="false"] .mechdsl,.vscode-dark .mechdsl{{{_DARK}}}
"""
    + """
.mechdsl{color:var(--ink);line-height:1.5}
.mechdsl *{box-sizing:border-box}
.mechdsl.page{margin:0 auto;padding:1.5rem;max-width:78rem;background:var(--paper);
 font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;
 display:grid;grid-template-columns:15rem minmax(0,1fr);column-gap:2.5rem;align-items:start}
html:has(>.mechdsl.page){color-scheme:light dark;background:#fff;scroll-padding-top:1rem}
@media (prefers-color-scheme:dark){html:has(>.mechdsl.page){background:#0f1419}}
.mechdsl.page>header{grid-column:1/-1;border-bottom:1px solid var(--rule);margin-bottom:1.5rem;padding-bottom:.5rem}
.mechdsl h1{font-size:1.75rem;line-height:1.25;margin:.2rem 0 .6rem}
.mechdsl h2{font-size:1.35rem;margin:2.2rem 0 .6rem;padding-bottom:.2rem;border-bottom:1px solid var(--rule)}
.mechdsl h3{font-size:1.1rem;margin:1.6rem 0 .4rem}
.mechdsl h4{font-size:1rem;margin:1.2rem 0 .3rem}
.mechdsl main>section:first-child>h2{margin-top:0}
.mechdsl h1,.mechdsl h2,.mechdsl h3,.mechdsl h4,.mechdsl p,.mechdsl li,.mechdsl dd,.mechdsl dt,.mechdsl summary
 {overflow-wrap:anywhere}
.mechdsl p{margin:.5rem 0;max-width:72ch}
.mechdsl a{color:var(--link)}
.mechdsl nav{position:sticky;top:1rem;max-height:calc(100vh - 2rem);overflow-y:auto;font-size:.875rem}
.mechdsl nav ol{list-style:none;margin:0;padding:0}
.mechdsl nav ol ol{padding-left:.9rem}
.mechdsl nav li{margin:.2rem 0}
.mechdsl nav a{text-decoration:none}
.mechdsl nav a:hover,.mechdsl nav a:focus{text-decoration:underline}
.mechdsl .wide,.mechdsl .display,.mechdsl .listing{overflow-x:auto;max-width:100%}
.mechdsl .wide:focus-visible,.mechdsl .display:focus-visible,.mechdsl .listing:focus-visible
 {outline:2px solid var(--link);outline-offset:1px}
.mechdsl .wide{margin:.8rem 0}
.mechdsl table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums;margin:0;border:0}
.mechdsl caption{text-align:left;font-weight:600;padding:.2rem 0;color:var(--ink)}
.mechdsl th,.mechdsl td{padding:.22rem .9rem .22rem 0;text-align:left;vertical-align:top;background:none;border:0}
.mechdsl thead th{border-bottom:1px solid var(--soft);vertical-align:bottom;white-space:nowrap}
.mechdsl tbody tr{background:none}
.mechdsl tbody tr+tr>*{border-top:1px solid var(--rule)}
.mechdsl tbody th{font-weight:400}
.mechdsl tfoot tr>*{border-top:1px solid var(--soft);font-weight:600}
.mechdsl .number{text-align:right;white-space:nowrap}
.mechdsl dl{display:grid;gap:.15rem 0;margin:.6rem 0}
.mechdsl dl>div{display:grid;grid-template-columns:minmax(7rem,14rem) minmax(0,1fr);column-gap:1rem}
.mechdsl dt{color:var(--soft)}
.mechdsl dd{margin:0;min-width:0;overflow-x:auto;overflow-y:hidden}
.mechdsl ul{margin:.4rem 0;padding-left:1.3rem}
.mechdsl .display{padding:.5rem .2rem;margin:.3rem 0}
.mechdsl .display math{width:max-content;min-width:100%;font-size:1.08em;text-align:left;display:block math}
.mechdsl .label{color:var(--soft);font-size:.92rem;margin-top:.3rem}
.mechdsl math{font-size:1.05em}
.mechdsl .listing{background:var(--tint);border:1px solid var(--rule);border-radius:6px;padding:.8rem 1rem;
 font:.82rem/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;white-space:pre;tab-size:2}
.mechdsl .listing code{font:inherit;background:none;padding:0;color:inherit}
.mechdsl code{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:.9em;
 background:var(--tint);border-radius:3px;padding:.05em .25em;overflow-wrap:anywhere}
.mechdsl .keyword{color:var(--keyword);font-weight:600}
.mechdsl .string{color:var(--string)}
.mechdsl .comment{color:var(--soft);font-style:italic}
.mechdsl .listing .number{color:var(--number)}
.mechdsl .good{color:var(--good);font-weight:600}
.mechdsl .bad{color:var(--bad);font-weight:700}
.mechdsl .faint{color:var(--soft)}
.mechdsl .strong{font-weight:600}
.mechdsl details{margin:.6rem 0;border-left:2px solid var(--rule);padding-left:.9rem}
.mechdsl summary{cursor:pointer;margin-left:-.1rem}
.mechdsl figure{margin:0}
.mechdsl figcaption{color:var(--soft);font-size:.875rem;margin-top:.35rem}
.mechdsl .diagrams{display:flex;flex-wrap:wrap;gap:1.8rem 2.6rem;margin:1rem 0;align-items:flex-start}
.mechdsl .diagrams figure{max-width:100%}
.mechdsl .diagram{max-width:100%;height:auto;display:block}
.mechdsl .diagram .box{fill:var(--tint);stroke:var(--soft);stroke-width:1.2}
.mechdsl .diagram text{fill:var(--ink);font:13px system-ui,-apple-system,"Segoe UI",Roboto,Arial,sans-serif;
 text-anchor:middle}
.mechdsl .diagram .name{font-weight:700}
.mechdsl .diagram .detail{fill:var(--soft)}
.mechdsl .diagram .label{text-anchor:start;fill:var(--link)}
.mechdsl .diagram .arrow{fill:none;stroke:var(--link);stroke-width:1.5}
.mechdsl .diagram .faint{stroke-dasharray:4 3}
.mechdsl .diagram .box.faint{fill:none}
.mechdsl .diagram .head{fill:var(--link)}
.mechdsl .picture{margin:1rem 0}
.mechdsl .picture img{display:block;max-width:100%;height:auto;background:#fff;border-radius:4px}
@media (max-width:60rem){
 .mechdsl.page{display:block;padding:1rem}
 .mechdsl nav{position:static;max-height:none;margin-bottom:1rem}
 .mechdsl nav ol ol{display:none}
}
@media (max-width:34rem){
 .mechdsl h1{font-size:1.4rem}
 .mechdsl dl>div{grid-template-columns:minmax(0,1fr);margin-bottom:.4rem}
 .mechdsl .listing{font-size:.75rem;padding:.6rem}
}
@media print{
 .mechdsl{--ink:#000;--paper:#fff;--soft:#444;--rule:#bbb;--tint:#fff;--link:#000;--good:#000;--bad:#000;
  --keyword:#000;--string:#333;--number:#333}
 .mechdsl.page{display:block;max-width:none;padding:0;font-size:10pt}
 html:has(>.mechdsl.page){background:#fff}
 .mechdsl nav{display:none}
 .mechdsl .listing{white-space:pre-wrap;overflow-wrap:anywhere}
 .mechdsl .wide,.mechdsl .display,.mechdsl .listing{overflow:visible}
 .mechdsl h2,.mechdsl h3,.mechdsl h4,.mechdsl summary,.mechdsl caption{break-after:avoid}
 .mechdsl figure,.mechdsl tr,.mechdsl .display{break-inside:avoid}
 .mechdsl details::details-content{content-visibility:visible;block-size:auto}
}
"""
)
